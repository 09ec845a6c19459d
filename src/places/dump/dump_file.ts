/**
 * A dump that is being written: commands from any number of sessions one after the other, each
 * followed by its CHECK. What has been written can be read back; where the dump goes to stdout, a
 * copy is kept in an unnamed file for that. Each command is read as it is written, and the whole
 * dump once more from its file before it is called complete.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { concat, utf8 } from "../../core/bytes.ts";
import { AppError, errnoOf } from "../../core/errors.ts";
import { openRegular, startOf } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import {
  DUMP_START,
  type MissingInDump,
  printDumpCheck,
  printDumpHeader,
} from "../../formats/sync/dump_line.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { removeFile, statOf, writeFully } from "../../storage/disk.ts";
import { keepBeside, openBeside } from "../../storage/durable.ts";
import { openUnnamed } from "../../storage/private_folder.ts";
import { recordsAt } from "./dump_records.ts";
import { CommandCheck, type Range, scanDump } from "./scan.ts";

const CRLF = utf8("\r\n");
const APPLY = utf8("APPLY ");
const STDOUT = 1;
const PAUSE_MS = 2;

export type PutDumpBytes = (bytes: Uint8Array) => undefined;

/**
 * True where `path` is a dump or an empty file, which a new dump may replace, false where there is
 * none. Throws AppError (cannot_create) where it is anything else.
 */
export function hasEarlierDump(path: string): boolean {
  const opened = openRegular(path);
  if (opened.state === "missing") return false;
  if (opened.state === "open") {
    try {
      if (["", DUMP_START].includes(startOf(opened.fd, DUMP_START.length))) return true;
    } finally {
      closeSync(opened.fd);
    }
  }
  const why = "errno" in opened ? opened.errno : "there is such a file already, and it is no dump";
  throw new AppError("cannot_create", `Cannot write dump ${path}: ${why}`, {
    ...("errno" in opened
      ? { context: { path, errno: opened.errno } }
      : { hint: "Give another name, or remove that file" }),
  });
}

/**
 * Begins a dump as `path`.part, which only its owner can read; `keepDumpFile` renames it to `path`.
 * A `.part` file that a killed run has left is removed: it is no dump. Throws AppError
 * (cannot_create).
 */
export function createDumpFile(path: string): number {
  try {
    return openBeside(partOf(path));
  } catch (error) {
    const text = `Cannot write dump ${path}: ${errnoOf(error)}`;
    throw new AppError("cannot_create", text, { cause: error });
  }
}

/**
 * Renames a dump that is complete and on disk to `path`, durably. Throws AppError (cannot_create).
 */
export function keepDumpFile(fd: number, path: string): void {
  try {
    if (keepBeside(fd, partOf(path), path)) return;
  } catch (error) {
    const text = `Cannot write dump ${path}: ${errnoOf(error)}`;
    throw new AppError("cannot_create", text, { cause: error });
  }
  throw new AppError("cannot_create", `Cannot write dump ${path}: another run has begun it anew`);
}

function partOf(path: string): string {
  return `${path}.part`;
}

/** Removes what was written of a dump that will not be completed. */
export function dropDumpFile(fd: number, path: string): void {
  const part = partOf(path);
  if (statOf(part)?.ino === fstatSync(fd).ino) removeFile(part);
}

/** Opens an unnamed temporary file for data of a pipe. Throws AppError (io). */
export function createSpool(): number {
  try {
    return openUnnamed();
  } catch (error) {
    const text = `Cannot make a temporary file in ${tmpdir()}: ${errnoOf(error)}`;
    throw new AppError("io", text, { cause: error });
  }
}

export interface DumpFileOptions {
  readonly fd: number;
  /** As error messages call the dump. */
  readonly locator: string;
  /** Everything is written to stdout too, command by command. */
  readonly toStdout: boolean;
  /** Called when the dump is complete and on disk. */
  readonly ended: () => void;
  /** Called when it will never be complete. */
  readonly dropped: () => void;
}

export class DumpFile {
  readonly #options: DumpFileOptions;
  #hash: Hash = createHash("sha256");
  #offset = 0;
  #commands = 0;
  #last: Promise<unknown> = Promise.resolve();
  #broken: unknown;
  #isEnded = false;

  constructor(options: DumpFileOptions) {
    this.#options = options;
    this.#write(concat([printDumpHeader(), CRLF]));
  }

  /**
   * Writes `APPLY …` and its CHECK, after the commands that are under way. Returns where the
   * command stands in the file. If `write` throws, the file is as it was before; a dump on stdout
   * cannot be taken back, and ends there. Throws FormatError, and takes the command back, where it
   * could not be read again.
   */
  command(write: (put: PutDumpBytes) => Promise<void>): Promise<Range> {
    return this.#exclusively(async () => {
      const [start, hash] = [this.#offset, this.#hash.copy()];
      const check = new CommandCheck(DEFAULT_LIMITS);
      const put: PutDumpBytes = (bytes) => {
        check.take(bytes);
        this.#write(bytes);
      };
      try {
        put(APPLY);
        await write(put);
        put(CRLF);
        check.end();
      } catch (error) {
        this.#takeBack(start, hash, error);
        throw error;
      }
      const end = this.#offset;
      this.#commands += 1;
      this.#write(concat([printDumpCheck(this.#sum()), CRLF]));
      return { start, end };
    });
  }

  /** Reads back the records of the command that stands at `range`. */
  recordsAt(range: Range): RecordSource {
    return recordsAt(this.#options.fd, range);
  }

  /** Writes that all commands of `owner` are there, and what of this owner is `missing`. */
  complete(owner: Owner, missing: readonly MissingInDump[]): Promise<void> {
    return this.#exclusively(async () => {
      this.#write(concat([printDumpCheck({ ...this.#sum(), owner, missing }), CRLF]));
    });
  }

  /** Writes the END, syncs, and reads all back. Throws AppError (io); then there is no dump. */
  end(): Promise<void> {
    return this.#exclusively(async () => {
      const end = concat([printDumpCheck(this.#sum(), "END"), CRLF]);
      this.#attempt(() => {
        writeFully(this.#options.fd, end, this.#offset);
        if (!this.#options.toStdout) fdatasyncSync(this.#options.fd);
        this.#readBack();
        if (this.#options.toStdout) writeToPipe(end);
      });
      this.#options.ended();
      this.#isEnded = true;
    });
  }

  #readBack(): void {
    const { fd, locator } = this.#options;
    for (const line of scanDump(fd, DEFAULT_LIMITS)) {
      if (line.kind !== "damage") continue;
      const text = `${locator} cannot be read back: ${line.why} at byte ${line.offset}`;
      throw new AppError("io", text);
    }
  }

  /** Closes the file. Without `end` before, it is a dump that was cut off. */
  async close(): Promise<void> {
    await this.#last;
    if (!this.#isEnded) this.#options.dropped();
    closeSync(this.#options.fd);
  }

  #sum() {
    return { count: this.#commands, sha256: this.#hash.copy().digest("hex") };
  }

  #exclusively<Value>(work: () => Promise<Value>): Promise<Value> {
    const turn = this.#last.then(() => {
      if (this.#broken !== undefined) throw this.#broken;
      return work();
    });
    this.#last = turn.catch(() => undefined); // its own caller is told
    return turn;
  }

  #takeBack(start: number, hash: Hash, error: unknown): void {
    if (this.#options.toStdout) this.#broken = error;
    this.#attempt(() => ftruncateSync(this.#options.fd, start));
    this.#offset = start;
    this.#hash = hash;
  }

  #write(bytes: Uint8Array): undefined {
    this.#attempt(() => {
      writeFully(this.#options.fd, bytes, this.#offset);
      if (this.#options.toStdout) writeToPipe(bytes);
    });
    this.#hash.update(bytes);
    this.#offset += bytes.length;
  }

  /** An error of the disk or of stdout ends the dump: every later call throws it again. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      const text = `Cannot write ${this.#options.locator}: ${errnoOf(error)}`;
      this.#broken = error instanceof AppError ? error : new AppError("io", text, { cause: error });
      throw this.#broken;
    }
  }
}

/** Writes to stdout, which may be a pipe whose reader is slower. */
function writeToPipe(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STDOUT, bytes, at);
    } catch (error) {
      if (errnoOf(error) !== "EAGAIN") throw error;
      Bun.sleepSync(PAUSE_MS);
    }
  }
}
