/**
 * `.staging/<session>/`: message files that a session has sent or reserved and no mailbox names yet.
 * Staging promises nothing: it is not synced, and gc removes what a killed session left.
 */
import { closeSync, constants, copyFileSync, linkSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { beginSha1 } from "../../../hash/sha1.ts";
import { isGuid } from "../../../model/guid.ts";
import { diskError, FILE_MODE, removeFile, statOf, writeFully } from "../../../storage/disk.ts";
import { beginWriteback } from "../../../storage/libc.ts";
import { STAGING_FOLDER } from "../layout.ts";
import { LINK_REFUSED } from "../store_settings.ts";
import { HeaderEnd, type KnownMessage, type MessageFacts } from "./message_file.ts";
import { makeSessionFolder } from "./staging_lock.ts";

/** Bytes of one message, in as many pieces as it came. */
export type MessageBytes = Iterable<Uint8Array>;

export interface StagingLimits {
  /** Bytes one session may hold here. */
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

interface StagingEvents {
  /** Refuses a message that has come to this size. */
  readonly require: (size: number) => void;
  readonly done: (facts: MessageFacts) => void;
}

function openNew(path: string): number {
  try {
    return openSync(path, "w", FILE_MODE);
  } catch (error) {
    throw diskError(error, "stage a message", path);
  }
}

/** One message on its way into staging. Ends by `end` or `abort`; `abort` after either does nothing. */
export class StagingWriter {
  readonly #file: StagingFile;
  readonly #events: StagingEvents;
  readonly #hash = beginSha1();
  readonly #header = new HeaderEnd();
  #size = 0;
  #isOpen = true;

  constructor(file: StagingFile, events: StagingEvents) {
    this.#file = file;
    this.#events = events;
  }

  write(bytes: Uint8Array): void {
    const { fd, guid, path } = this.#file;
    this.#events.require(this.#size + bytes.length);
    this.#hash.update(bytes);
    this.#header.feed(bytes);
    try {
      if (fd !== undefined) writeFully(fd, bytes, this.#size);
    } catch (error) {
      throw diskError(error, `stage message ${guid}`, path);
    }
    this.#size += bytes.length;
  }

  /** Throws bad_data if the bytes were none or not those that the GUID says. */
  end(): void {
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
    this.#events.done({ guid, size: this.#size, headerSize: this.#header.found ?? this.#size });
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
export function stagedPath(folder: string, guid: string): string {
  return join(folder, guid);
}

/** What one session has staged, by GUID. */
export class Staging {
  readonly folder: string;
  readonly #release: () => void;
  readonly #limits: StagingLimits;
  readonly #facts = new Map<string, MessageFacts>();
  /** What counts against the limit: sent, and in no mailbox yet. */
  readonly #sent = new Set<string>();
  #bytes = 0;

  constructor(root: string, limits: StagingLimits) {
    const made = makeSessionFolder(join(root, STAGING_FOLDER));
    this.folder = made.path;
    this.#release = made.release;
    this.#limits = limits;
  }

  /** Bytes held now. */
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

  /** Stages a message; its bytes must have the SHA-1 that `guid` says. A repeat is ignored. */
  put(guid: string, bytes: MessageBytes): void {
    const writer = this.begin(guid);
    try {
      for (const piece of bytes) writer.write(piece);
      writer.end();
    } catch (error) {
      writer.abort();
      throw error;
    }
  }

  /** Begins to stage a message that comes in pieces. The bytes of a repeat are checked and let go. */
  begin(guid: string): StagingWriter {
    if (!isGuid(guid)) throw new AppError("refused", `Cannot stage "${guid}": no GUID`);
    const path = stagedPath(this.folder, guid);
    const isRepeat = this.#facts.has(guid);
    const fd = isRepeat ? undefined : openNew(path);
    return new StagingWriter(
      { guid, path, fd },
      {
        require: (size) => this.#require(guid, isRepeat ? 0 : size),
        done: (facts) => {
          if (!isRepeat) this.#note(facts);
        },
      },
    );
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
    this.#require(facts.guid, facts.size);
    try {
      copyFileSync(path, staged, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    } catch (error) {
      throw diskError(error, `reserve message ${facts.guid}`, staged);
    }
    this.#note(facts);
    return { path: staged, facts };
  }

  /** Counts a message whose bytes take room here. */
  #note(facts: MessageFacts): void {
    this.#facts.set(facts.guid, facts);
    this.#sent.add(facts.guid);
    this.#bytes += facts.size;
  }

  /** A mailbox has these messages now: they stay staged for others, and take no room of their own. */
  applied(guids: Iterable<string>): void {
    for (const guid of guids) {
      if (this.#sent.delete(guid)) this.#bytes -= this.#facts.get(guid)?.size ?? 0;
    }
  }

  /** Forgets everything, as RESTART does. */
  clear(): void {
    for (const guid of this.#facts.keys()) removeFile(stagedPath(this.folder, guid));
    this.#facts.clear();
    this.#sent.clear();
    this.#bytes = 0;
  }

  /** Ends the session's staging. */
  close(): void {
    this.#facts.clear();
    this.#sent.clear();
    try {
      if (statOf(this.folder) !== undefined) rmSync(this.folder, { recursive: true });
    } finally {
      this.#release();
    }
  }
}
