/**
 * A database of the store that this process must not write to, read from a private copy of it and of its
 * write-ahead log. SQLite cannot read such a log without writing beside it, so no lock is taken; a copy is good
 * if the log was not begun anew meanwhile: then it holds every page that a checkpoint may just have been
 * moving (https://www.sqlite.org/walformat.html, sections 2.1 and 2.2).
 */
import {
  accessSync,
  type BigIntStats,
  constants,
  copyFileSync,
  mkdtempSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { AppError, errnoOf } from "../core/errors.ts";
import { diskError, readPart } from "./disk.ts";

/** False where the file system or its modes forbid this process to write to `path`, which is there. */
export function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (["EACCES", "EROFS", "EPERM"].includes(errno)) return false;
    if (errno === "ENOENT") return true;
    throw diskError(error, "look", path);
  }
}

/** Bytes of the log's header: they change when it is begun anew. */
const LOG_HEADER_BYTES = 32;
/** The first copy of the header of the log's index: it changes with every transaction. */
const INDEX_HEADER_BYTES = 48;

const ATTEMPTS = 200;
const PAUSE_MS = 5;
/** The clock of a file system may stand still for so long. */
const SETTLED_MS = 50;

/** Folders to be removed when the process ends, whatever ends it in good order. */
const folders = new Set<string>();

function privateFolder(): string {
  if (folders.size === 0) {
    process.once("exit", () => {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    });
  }
  const folder = mkdtempSync(join(tmpdir(), "bobbin-look-"));
  folders.add(folder);
  return folder;
}

export class PrivateCopy {
  /** Of the copy. */
  readonly path: string;
  readonly #source: string;
  readonly #folder: string;
  #stamp = "";

  /** Copies the database at `source`; one that is not there is an empty one. */
  constructor(source: string) {
    this.#source = source;
    this.#folder = privateFolder();
    this.path = join(this.#folder, basename(source));
    try {
      this.take();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** True where the database was written since the copy was taken. */
  isStale(): boolean {
    return stampOf(this.#source) !== this.#stamp;
  }

  /** Copies again. The old copy must not be open any more. Throws busy where the database never holds still. */
  take(): void {
    const [log, copied] = [`${this.#source}-wal`, `${this.path}-wal`];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const stamp = stampOf(this.#source);
      const before = stateOf(this.#source);
      for (const suffix of ["", "-wal", "-shm"]) rmSync(this.path + suffix, { force: true });
      copyIfThere(this.#source, this.path);
      copyIfThere(log, copied);
      if (before !== undefined && stateOf(this.#source) === before) {
        this.#stamp = stamp;
        return;
      }
      Bun.sleepSync(PAUSE_MS);
    }
    throw new AppError("busy", `Cannot copy ${this.#source}: it keeps changing`, {
      hint: "Run it again.",
    });
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    folders.delete(this.#folder);
  }
}

function copyIfThere(from: string, to: string): void {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw diskError(error, "copy", from);
  }
}

function statsOf(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function timesOf(path: string): string {
  const stat = statsOf(path);
  return stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}

/** What differs after any transaction and any checkpoint. */
function stampOf(source: string): string {
  const [log, index] = [`${source}-wal`, `${source}-shm`];
  const parts = [timesOf(source), timesOf(log), startOf(log, LOG_HEADER_BYTES)];
  return [...parts, startOf(index, INDEX_HEADER_BYTES)].join(" ");
}

/** What must be the same before and after a copy; undefined while it cannot be told. */
function stateOf(source: string): string | undefined {
  const header = startOf(`${source}-wal`, LOG_HEADER_BYTES);
  const stat = statsOf(source);
  if (header !== "") return `${stat?.ino} ${header}`;
  // Without a log all is in the database, which then must not change at all.
  const ageMs = stat === undefined ? SETTLED_MS : Date.now() - Number(stat.mtimeMs);
  return ageMs < SETTLED_MS ? undefined : timesOf(source);
}

function startOf(path: string, length: number): string {
  return Buffer.from(readPart(path, { offset: 0, length }) ?? []).toString("hex");
}
