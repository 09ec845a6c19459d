/**
 * A database of the store that this process must not write to, read from a private copy of it and
 * of its write-ahead log. SQLite cannot read such a log without writing beside it, so no lock is
 * taken; a copy is good if the log was not begun anew meanwhile: then it holds every page that a
 * checkpoint may just have been moving (https://www.sqlite.org/walformat.html, sections 2.1 and
 * 2.2).
 *
 * A process that also writes to the database must not make such a copy of it: closing any
 * descriptor of a file drops the locks that SQLite holds on it for the whole process
 * (https://www.sqlite.org/howtocorrupt.html, section 2.2). The store sees to that
 * (store_access.ts).
 */
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { AppError, errnoOf } from "../core/errors.ts";
import { stampAt } from "../core/file_stamp.ts";
import { diskError, readPart, statOf } from "./disk.ts";
import { makePrivateFolder, removePrivateFolder } from "./private_folder.ts";

/** False where this process is not allowed to write to `path`, which exists. */
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

export class PrivateCopy {
  /** Of the copy. */
  readonly path: string;
  readonly #source: string;
  readonly #folder: string;
  #watch: Watch | undefined;

  /** Copies the database at `source`; one that is not there is an empty one. */
  constructor(source: string) {
    this.#source = source;
    this.#folder = makePrivateFolder();
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
    return this.#watch?.hasChanged() ?? true;
  }

  /** Copies again; the old copy must be closed. Throws busy if the database never holds still. */
  take(): void {
    const [log, copied] = [`${this.#source}-wal`, `${this.path}-wal`];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      this.#watch?.close();
      this.#watch = new Watch(this.#source);
      const before = stateOf(this.#source);
      for (const suffix of ["", "-wal", "-shm"]) rmSync(this.path + suffix, { force: true });
      copyIfThere(this.#source, this.path);
      copyIfThere(log, copied);
      if (before !== undefined && stateOf(this.#source) === before) return;
      Bun.sleepSync(PAUSE_MS);
    }
    throw new AppError("busy", `Cannot copy ${this.#source}: it keeps changing`, {
      hint: "Run it again.",
    });
  }

  close(): void {
    this.#watch?.close();
    removePrivateFolder(this.#folder);
  }
}

/** Tells whether a database has been written since. Asked for every read, so it is cheap. */
class Watch {
  readonly #source: string;
  /** The log's index, which all that have the database open share; undefined without one. */
  readonly #index: number | undefined;
  readonly #before = Buffer.alloc(INDEX_HEADER_BYTES);
  readonly #now = Buffer.alloc(INDEX_HEADER_BYTES);
  readonly #times: string = "";

  constructor(source: string) {
    this.#source = source;
    this.#index = openIfThere(`${source}-shm`);
    if (this.#index === undefined) this.#times = this.#timesNow();
    else readSync(this.#index, this.#before, 0, INDEX_HEADER_BYTES, 0);
  }

  hasChanged(): boolean {
    if (this.#index === undefined) return this.#timesNow() !== this.#times;
    // Without a link all have closed the old log, and others may have begun a new one.
    if (fstatSync(this.#index).nlink === 0) return true;
    const got = readSync(this.#index, this.#now, 0, INDEX_HEADER_BYTES, 0);
    return got < INDEX_HEADER_BYTES || !this.#now.equals(this.#before);
  }

  /** Without the log's index nobody has the database open: the last to close wrote all. */
  #timesNow(): string {
    const paths = [`${this.#source}-shm`, this.#source];
    return paths.map((path) => stampAt(path, { followsLinks: true })).join();
  }

  close(): void {
    if (this.#index !== undefined) closeSync(this.#index);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw diskError(error, "look at", path);
  }
}

/** What only the copy can fail with. */
const NO_ROOM = ["ENOSPC", "EDQUOT", "EFBIG"];

/** Throws AppError (io): it has `tmpdir` in its context where the copy has no room. */
function copyIfThere(from: string, to: string): void {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (errno === "ENOENT") return;
    if (!NO_ROOM.includes(errno)) throw diskError(error, "copy", from);
    const text = `Cannot copy ${from} to TMPDIR, which is ${tmpdir()}: ${errno}`;
    const hint = "Make room there, or set TMPDIR to a folder of another disk";
    throw new AppError("io", text, { cause: error, context: { errno, tmpdir: tmpdir() }, hint });
  }
}

/** What must be the same before and after a copy; undefined while it cannot be told. */
function stateOf(source: string): string | undefined {
  const header = startOf(`${source}-wal`, LOG_HEADER_BYTES);
  const stat = statOf(source, { followsLinks: true });
  if (header !== "") return `${stat?.ino} ${header}`;
  // Without a log all is in the database, which then must not change at all.
  const ageMs = stat === undefined ? SETTLED_MS : Date.now() - stat.mtimeMs;
  return ageMs < SETTLED_MS ? undefined : stampAt(source, { followsLinks: true });
}

function startOf(path: string, length: number): string {
  return Buffer.from(readPart(path, { offset: 0, length }) ?? []).toString("hex");
}
