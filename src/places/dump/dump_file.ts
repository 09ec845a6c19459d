/**
 * A dump that is being written: commands from any number of sessions one after the other, each
 * followed by its CHECK. What has been written can be read back; where the dump goes to stdout, a
 * copy is kept in an unnamed file for that.
 */
import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat, utf8 } from "../../core/bytes.ts";
import { AppError, errnoOf } from "../../core/errors.ts";
import {
  type MissingInDump,
  printDumpCheck,
  printDumpHeader,
} from "../../formats/sync/dump_line.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { keepBeside, openBeside } from "../../storage/durable.ts";
import { recordsAt } from "./dump_records.ts";
import type { Range } from "./scan.ts";

const CRLF = utf8("\r\n");
const APPLY = utf8("APPLY ");
const STDOUT = 1;
const PAUSE_MS = 2;

export type PutDumpBytes = (bytes: Uint8Array) => undefined;

/** Throws AppError (cannot_create) if there is a file at `path` already. */
export function requireNoDump(path: string): void {
  if (!existsSync(path)) return;
  throw new AppError("cannot_create", `Cannot write dump ${path}: there is such a file already`);
}

/**
 * Begins a dump as `path`.part, which only its owner can read; `keepDumpFile` renames it to `path`.
 * A `.part` file that a killed run has left is removed: it is no dump. Throws AppError
 * (cannot_create).
 */
export function createDumpFile(path: string): number {
  requireNoDump(path);
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
  requireNoDump(path);
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

/** Opens an unnamed temporary file, for data that comes or goes through a pipe. */
export function createSpool(): number {
  const folder = mkdtempSync(join(tmpdir(), "bobbin-"));
  const fd = openSync(join(folder, "dump"), "wx+", 0o600);
  rmSync(folder, { recursive: true });
  return fd;
}

export interface DumpFileOptions {
  readonly fd: number;
  /** As error messages call the dump. */
  readonly locator: string;
  /** Everything is written to stdout too, command by command. */
  readonly toStdout: boolean;
  /** Called when the dump is complete and on disk. */
  readonly ended: () => void;
}

export class DumpFile {
  readonly #options: DumpFileOptions;
  #hash: Hash = createHash("sha256");
  #offset = 0;
  #commands = 0;
  #last: Promise<unknown> = Promise.resolve();
  #broken: unknown;

  constructor(options: DumpFileOptions) {
    this.#options = options;
    this.#write(concat([printDumpHeader(), CRLF]));
  }

  /**
   * Writes `APPLY …` and its CHECK, after the commands that are under way. Returns where the
   * command stands in the file. If `write` throws, the file is as it was before; a dump on stdout
   * cannot be taken back, and ends there.
   */
  command(write: (put: PutDumpBytes) => Promise<void>): Promise<Range> {
    return this.#exclusively(async () => {
      const [start, hash] = [this.#offset, this.#hash.copy()];
      try {
        this.#write(APPLY);
        await write((bytes) => this.#write(bytes));
        this.#write(CRLF);
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

  /** Writes the END and makes the dump durable. */
  end(): Promise<void> {
    return this.#exclusively(async () => {
      this.#write(concat([printDumpCheck(this.#sum(), "END"), CRLF]));
      if (!this.#options.toStdout) fdatasyncSync(this.#options.fd);
      this.#options.ended();
    });
  }

  /** Closes the file. Without `end` before, it is a dump that was cut off. */
  async close(): Promise<void> {
    await this.#last;
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
    ftruncateSync(this.#options.fd, start);
    this.#offset = start;
    this.#hash = hash;
  }

  #write(bytes: Uint8Array): undefined {
    const { fd, toStdout, locator } = this.#options;
    try {
      for (let at = 0; at < bytes.length; ) {
        at += writeSync(fd, bytes, at, bytes.length - at, this.#offset + at);
      }
      if (toStdout) writeToPipe(bytes);
    } catch (error) {
      this.#broken = error;
      throw new AppError("io", `Cannot write ${locator}: ${errnoOf(error)}`, { cause: error });
    }
    this.#hash.update(bytes);
    this.#offset += bytes.length;
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
