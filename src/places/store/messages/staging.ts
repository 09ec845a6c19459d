/**
 * `.staging/<session>/`: message files that a session has sent or reserved and no mailbox names
 * yet. Staging promises nothing: it is not synced, and gc removes what a killed session left.
 */
import { closeSync, constants, copyFileSync, linkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { beginSha1 } from "../../../hash/sha1.ts";
import { HeaderEnd } from "../../../mailbox/header_end.ts";
import { isGuid } from "../../../model/guid.ts";
import { diskError, removeFile, statOf, writeFully } from "../../../storage/disk.ts";
import { openBeside } from "../../../storage/durable.ts";
import { makeHeldFolder } from "../../../storage/held_folder.ts";
import { beginWriteback } from "../../../storage/libc.ts";
import { STAGING_FOLDER } from "../layout.ts";
import { LINK_REFUSED } from "../store_settings.ts";
import type { KnownMessage, MessageFacts } from "./message_file.ts";

/**
 * What is sent here is counted by the server, which knows all sessions of an account; what is
 * copied here for a session that has sent nothing only this place can count.
 */
export interface StagingLimits {
  /** Bytes of reserved messages that one session may have as copies. */
  readonly stagingBytes: number;
  /** Bytes of one message. */
  readonly messageBytes: number;
}

interface StagingFile {
  readonly guid: string;
  readonly path: string;
  /** Undefined for a repeat, whose bytes are only checked. */
  readonly fd: number | undefined;
}

interface StagingWriterOptions {
  /** Bytes that a message may have. */
  readonly limitBytes: number;
  readonly done: (facts: MessageFacts) => KnownMessage;
}

/**
 * One message on its way into staging. Ends by `end` or `abort`; `abort` after either does nothing.
 */
export class StagingWriter {
  readonly #file: StagingFile;
  readonly #options: StagingWriterOptions;
  readonly #hash = beginSha1();
  readonly #header = new HeaderEnd();
  #size = 0;
  #isOpen = true;

  constructor(file: StagingFile, options: StagingWriterOptions) {
    this.#file = file;
    this.#options = options;
  }

  write(bytes: Uint8Array): void {
    const { fd, guid, path } = this.#file;
    const { limitBytes } = this.#options;
    if (this.#size + bytes.length > limitBytes) {
      throw new AppError("refused", `Cannot stage message ${guid}: over ${limitBytes} bytes`);
    }
    this.#hash.update(bytes);
    this.#header.feed(bytes);
    try {
      if (fd !== undefined) writeFully(fd, bytes, this.#size);
    } catch (error) {
      throw diskError(error, `stage message ${guid}`, path);
    }
    this.#size += bytes.length;
  }

  /**
   * The message, staged. Throws bad_data if its bytes were none or not those that the GUID says.
   */
  end(): KnownMessage {
    const { fd, guid } = this.#file;
    const found = this.#hash.digest();
    const wrong = this.#size === 0 ? "it is empty" : `its bytes have the SHA-1 ${found}`;
    if (found !== guid || this.#size === 0) {
      this.abort();
      throw new AppError("bad_data", `Cannot stage message ${guid}: ${wrong}`, {
        context: { guid },
      });
    }
    this.#isOpen = false;
    if (fd !== undefined) {
      beginWriteback(fd);
      closeSync(fd);
    }
    const headerSize = this.#header.headerSize ?? this.#size;
    return this.#options.done({ guid, size: this.#size, headerSize });
  }

  abort(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { fd, path } = this.#file;
    if (fd === undefined) return;
    closeSync(fd);
    removeFile(path);
  }
}

/** Where a message lies that is staged in `folder`. */
function stagedPath(folder: string, guid: string): string {
  return join(folder, guid);
}

/** What one session has staged, by GUID. */
export class Staging {
  readonly folder: string;
  readonly #release: () => void;
  readonly #limits: StagingLimits;
  readonly #facts = new Map<string, MessageFacts>();
  /** What counts against the limit: copied for this session, and in no mailbox yet. */
  readonly #copies = new Set<string>();
  #bytes = 0;

  constructor(root: string, limits: StagingLimits) {
    const made = makeHeldFolder(join(root, STAGING_FOLDER));
    this.folder = made.path;
    this.#release = made.release;
    this.#limits = limits;
  }

  /** Bytes that the copies take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True where the message is here. */
  has(guid: string): boolean {
    return this.#facts.has(guid);
  }

  /** A staged message, or undefined. */
  find(guid: string): KnownMessage | undefined {
    const facts = this.#facts.get(guid);
    return facts === undefined ? undefined : { path: stagedPath(this.folder, guid), facts };
  }

  /**
   * Begins to stage a message that comes in pieces. The bytes of a repeat are checked and let go.
   */
  begin(guid: string): StagingWriter {
    if (!isGuid(guid)) throw new AppError("refused", `Cannot stage "${guid}": no GUID`);
    const path = stagedPath(this.folder, guid);
    const done = (facts: MessageFacts): KnownMessage => {
      this.#facts.set(guid, facts);
      return { path, facts };
    };
    try {
      // What lies at `path` may be a link to a message of a pool, and is not written to.
      const fd = this.#facts.has(guid) ? undefined : openBeside(path);
      return new StagingWriter({ guid, path, fd }, { limitBytes: this.#limits.messageBytes, done });
    } catch (error) {
      throw diskError(error, "stage a message", path);
    }
  }

  /** Stages a message that lies in a pool, by a link where that can be; what is staged then. */
  reserve({ path, facts }: KnownMessage): KnownMessage {
    const { guid } = facts;
    const staged = stagedPath(this.folder, guid);
    if (this.#facts.has(guid)) return { path: staged, facts };
    try {
      linkSync(path, staged);
    } catch (error) {
      if (!LINK_REFUSED.has(errnoOf(error) ?? "")) {
        throw diskError(error, `reserve message ${guid}`, staged);
      }
      return this.#copy({ path, facts }, staged);
    }
    // A link takes no room.
    this.#facts.set(guid, facts);
    return { path: staged, facts };
  }

  #copy({ path, facts }: KnownMessage, staged: string): KnownMessage {
    const { guid, size } = facts;
    const limit = this.#limits.stagingBytes;
    if (this.#bytes + size > limit) {
      const text = `Cannot stage message ${guid}: the session holds ${this.#bytes} bytes`;
      throw new AppError("refused", text, {
        context: { guid, limit },
        hint: "Apply what is staged, then send more; or raise the limit of staged bytes.",
      });
    }
    try {
      copyFileSync(path, staged, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    } catch (error) {
      throw diskError(error, `reserve message ${guid}`, staged);
    }
    this.#facts.set(guid, facts);
    this.#copies.add(guid);
    this.#bytes += size;
    return { path: staged, facts };
  }

  /**
   * A mailbox has these messages now: they stay staged for others, and take no room of their own.
   */
  applied(guids: Iterable<string>): void {
    for (const guid of guids) {
      if (this.#copies.delete(guid)) this.#bytes -= this.#facts.get(guid)?.size ?? 0;
    }
  }

  /** Forgets everything, as RESTART does. */
  clear(): void {
    for (const guid of this.#facts.keys()) removeFile(stagedPath(this.folder, guid));
    this.#facts.clear();
    this.#copies.clear();
    this.#bytes = 0;
  }

  /** Ends the session's staging. */
  close(): void {
    this.#facts.clear();
    this.#copies.clear();
    try {
      if (statOf(this.folder) !== undefined) rmSync(this.folder, { recursive: true });
    } finally {
      this.#release();
    }
  }
}
