/**
 * `.staging/<session>/`: message files that a session has sent or reserved and no mailbox names yet.
 * Staging promises nothing: it is not synced, and gc removes what a killed session left.
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, constants, copyFileSync, linkSync, lstatSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf } from "../../core/errors.ts";
import { diskError, FILE_MODE, makeFolder, removeFile, statOf, writeFully } from "./disk.ts";
import { STAGING_FOLDER } from "./layout.ts";
import { LINK_REFUSED } from "./settings.ts";

/** Bytes of one message, in as many pieces as it came. */
export type MessageBytes = Iterable<Uint8Array>;

export interface StagingLimits {
  /** Bytes one session may hold here. */
  readonly stagingBytes: number;
  /** Bytes of one message. */
  readonly messageBytes: number;
}

/** What one session has staged, by GUID. */
export class Staging {
  readonly folder: string;
  readonly #limits: StagingLimits;
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor(root: string, limits: StagingLimits) {
    this.folder = join(root, STAGING_FOLDER, `${process.pid}-${randomBytes(6).toString("hex")}`);
    this.#limits = limits;
    makeFolder(this.folder);
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True where the message is here. */
  has(guid: string): boolean {
    return this.#sizes.has(guid);
  }

  /** The path of a staged message, or undefined. */
  pathOf(guid: string): string | undefined {
    return this.#sizes.has(guid) ? join(this.folder, guid) : undefined;
  }

  /** Stages a message; its bytes must have the SHA-1 that `guid` says. A repeat is ignored. */
  put(guid: string, bytes: MessageBytes): void {
    if (!/^[0-9a-f]{40}$/.test(guid))
      throw new AppError("refused", `Cannot stage "${guid}": no GUID`);
    const path = join(this.folder, guid);
    if (this.#sizes.has(guid)) return;
    const size = this.#write(path, guid, bytes);
    this.#sizes.set(guid, size);
    this.#bytes += size;
  }

  #write(path: string, guid: string, bytes: MessageBytes): number {
    const hash = createHash("sha1");
    let size = 0;
    let whole = false;
    let fd: number | undefined;
    try {
      fd = openSync(path, "wx", FILE_MODE);
      for (const piece of bytes) {
        this.#require(guid, size + piece.length);
        writeFully(fd, piece, size);
        hash.update(piece);
        size += piece.length;
      }
      const found = hash.digest("hex");
      if (found !== guid) {
        throw new AppError(
          "bad_data",
          `Cannot stage message ${guid}: its bytes have the SHA-1 ${found}`,
          {
            context: { guid, found },
          },
        );
      }
      if (size === 0) throw new AppError("bad_data", `Cannot stage message ${guid}: it is empty`);
      whole = true;
      return size;
    } catch (error) {
      throw diskError(error, `stage message ${guid}`, path);
    } finally {
      if (fd !== undefined) closeSync(fd);
      if (fd !== undefined && !whole) removeFile(path);
    }
  }

  #require(guid: string, size: number): void {
    if (size > this.#limits.messageBytes) {
      throw new AppError(
        "refused",
        `Cannot stage message ${guid}: over ${this.#limits.messageBytes} bytes`,
      );
    }
    if (this.#bytes + size > this.#limits.stagingBytes) {
      throw new AppError(
        "refused",
        `Cannot stage message ${guid}: the session holds ${this.#bytes} bytes`,
        {
          context: { guid, limit: this.#limits.stagingBytes },
          hint: "Apply what is staged, then send more; or raise the limit of staged bytes.",
        },
      );
    }
  }

  /** Stages a message that lies in a pool, by a link where that can be; `path` has been checked. */
  reserve(guid: string, path: string): void {
    if (this.#sizes.has(guid)) return;
    const staged = join(this.folder, guid);
    try {
      try {
        linkSync(path, staged);
      } catch (error) {
        if (!LINK_REFUSED.has(errnoOf(error) ?? "")) throw error;
        copyFileSync(path, staged, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      }
    } catch (error) {
      throw diskError(error, `reserve message ${guid}`, staged);
    }
    // Reserved messages are the store's own bytes already: they do not count against the limit.
    this.#sizes.set(guid, 0);
  }

  /** Forgets everything, as RESTART does. */
  clear(): void {
    for (const guid of this.#sizes.keys()) removeFile(join(this.folder, guid));
    this.#sizes.clear();
    this.#bytes = 0;
  }

  /** Ends the session's staging. */
  close(): void {
    this.#sizes.clear();
    if (statOf(this.folder, lstatSync) !== undefined) rmSync(this.folder, { recursive: true });
  }
}
