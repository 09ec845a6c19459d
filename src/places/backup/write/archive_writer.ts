/**
 * The archive of one owner while it is written: one writer at a time, by a lock of the kernel.
 *
 * Order of writing: entries go into members, all members into the file, the file is made durable,
 * and then the state is committed, which says up to where the file counts. What a killed run has
 * left behind that is cut off by the next; what was committed before stays as it was.
 */
import type { Database } from "bun:sqlite";
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  rmdirSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { joined } from "../../../core/bytes.ts";
import { AppError } from "../../../core/errors.ts";
import { paddingOf, printTarHeader, type TarEntry } from "../../../formats/tar/tar_header.ts";
import { diskError, FILE_MODE, makeFolder, removeFile, statOf } from "../../../storage/disk.ts";
import { keepBeside, openBeside, syncPath } from "../../../storage/durable.ts";
import { lockAlone } from "../../../storage/libc.ts";
import { sqliteError } from "../../../storage/sqlite.ts";
import { dataFilesIn } from "../../backup_locator.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";
import { lostArchive } from "../read/lost_archives.ts";
import { BackupState, type EntryFlaw } from "../state/backup_state.ts";
import { openState, STATE_FILE } from "../state/open_state.ts";
import { type Status, statusIn } from "../state/state_extent.ts";
import { STATUS_VERSION } from "../state/state_schema.ts";
import { clearLeftovers, PACKED_FILE, unfinishedName } from "./clear_leftovers.ts";
import { MemberWriter, type Pack } from "./member_writer.ts";
import { hasRunBehind, recoverArchive } from "./recover_archive.ts";

const LOCK_FILE = ".lock";

export interface WriterOptions {
  readonly pack: Pack;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** What is in the file, up to the bytes that count. */
  readonly committed: (database: Database, path: string) => ArchiveBytes;
  /** Tells what was found and mended at the opening. */
  readonly notice: (text: string) => void;
}

interface OpenData {
  readonly fd: number;
  readonly path: string;
  /** A new one has another name until something of it counts: nobody reads it before. */
  readonly opened: string;
  readonly members: MemberWriter;
}

/** What is told of an entry that is to be appended. */
export type NewEntry = Omit<TarEntry, "size">;

export class ArchiveWriter implements ArchiveBytes {
  readonly database: Database;
  readonly #folder: string;
  readonly #options: WriterOptions;
  readonly #lock: number;
  /** Folders that the opening has made, those above first. */
  readonly #made: readonly string[];
  #state: BackupState;
  #status: Status | undefined;
  #bytes: ArchiveBytes | undefined;
  #data: OpenData | undefined;
  /** What has kept something from being appended: nothing more counts. */
  #trouble: { readonly error: unknown } | undefined;

  private constructor(
    folder: string,
    options: WriterOptions,
    opened: {
      readonly lock: number;
      readonly database: Database;
      readonly made: readonly string[];
    },
  ) {
    this.#folder = folder;
    this.#options = options;
    this.#lock = opened.lock;
    this.#made = opened.made;
    this.database = opened.database;
    this.#state = new BackupState(opened.database);
  }

  /**
   * Opens the archive in `folder`, or makes one there with the first entry. Throws AppError: busy
   * where another process has it, io.
   */
  static async open(folder: string, options: WriterOptions): Promise<ArchiveWriter> {
    const made = makeFolder(folder);
    for (const one of made) syncPath(dirname(one), "folder");
    const lock = lockArchive(folder);
    let database: Database | undefined;
    try {
      database = openState(join(folder, STATE_FILE), options.notice);
      const writer = new ArchiveWriter(folder, options, { lock, database, made });
      await writer.#recover();
      return writer;
    } catch (error) {
      database?.close();
      closeSync(lock);
      throw sqliteError(error, join(folder, STATE_FILE));
    }
  }

  /** Brings file and state together, as a killed run or a power cut has left them. */
  async #recover(): Promise<void> {
    const { notice } = this.#options;
    this.#status = statusIn(this.database);
    const name = dataFileOf(this.#folder, this.#status);
    if (name === undefined) {
      clearLeftovers(this.#folder, name);
      return;
    }
    const path = join(this.#folder, name);
    if (!PACKED_FILE.test(name)) {
      throw new AppError("refused", `Cannot append to ${path}`, {
        hint: "Only archives that are packed with gzip are written",
      });
    }
    const lost = lostArchive(this.#folder);
    if (lost !== undefined) throw lost;
    const fd = openData(path);
    const { size } = fstatSync(fd);
    const counted = this.#status?.size ?? -1;
    const isOfIt = this.#status?.filename === name;
    const isStale = isOfIt && this.#status && (await hasRunBehind(path, this.#status));
    const isOurs = isOfIt && this.#status?.saysAll === true && !isStale;
    if (isOurs && size > counted) {
      notice(`${path}: cut off ${size - counted} bytes of a run that was not finished`);
      ftruncateSync(fd, counted);
    }
    closeSync(fd);
    if (!isOurs || size < counted) {
      const isShort = counted >= 0 && size < counted;
      const older = isStale ? "its state is older" : "its state is of another program";
      const other = counted < 0 ? "no state is beside it" : older;
      const what = isShort ? `it has ${size} bytes, not ${counted}` : other;
      notice(`${path}: ${what}; the state is made anew from what is whole`);
      await recoverArchive(this.database, path, this.#options);
      this.#state = new BackupState(this.database); // the one before knows of runs that are gone
      this.#status = statusIn(this.database);
    }
    clearLeftovers(this.#folder, this.#status?.filename);
  }

  /**
   * Appends one entry; its content is `pieces`. Flaws of it are told, and no reason to stop. A
   * `damaged` one is kept as bytes alone: the state does not count it as had.
   */
  append(
    entry: NewEntry,
    pieces: readonly Uint8Array[] = [],
    { damaged = false }: { readonly damaged?: boolean } = {},
  ): EntryFlaw[] {
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    return this.#unlessFailed(() => {
      const { members } = this.#begun();
      const { offset } = members;
      const whole = { ...entry, size };
      members.append([printTarHeader(whole), ...pieces, new Uint8Array(paddingOf(size))]);
      if (damaged) return [{ kind: "damaged", entry: { ...whole, offset } }];
      return this.#state.take({ ...whole, offset }, () => joined(pieces));
    });
  }

  #unlessFailed<Value>(work: () => Value): Value {
    if (this.#trouble !== undefined) throw this.#trouble.error;
    try {
      return work();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): unknown {
    const trouble = sqliteError(error, join(this.#folder, STATE_FILE));
    this.#trouble ??= { error: trouble };
    return trouble;
  }

  /** To be awaited before more is appended, where it is there. */
  get room(): Promise<void> | undefined {
    return this.#data?.members.room;
  }

  /** Bytes of the file that are not committed. */
  get uncommittedBytes(): number {
    return (this.#data?.members.size ?? 0) - (this.#status?.size ?? 0);
  }

  /** True where anything is in the archive, be it that it does not count yet. */
  get isThere(): boolean {
    return this.#status !== undefined || this.#data !== undefined;
  }

  /** True where something was appended since the last commit. */
  get isChanged(): boolean {
    return this.#data !== undefined && this.database.inTransaction;
  }

  /** Part of the stream, be it that its member is not written yet. */
  read(offset: number, size: number): Uint8Array {
    const held = this.#data?.members.peek(offset, size);
    if (held !== undefined) return held;
    const path = this.#data?.opened ?? join(this.#folder, this.#status?.filename ?? "");
    this.#bytes ??= this.#options.committed(this.database, path);
    return this.#bytes.read(offset, size);
  }

  /** Notes a run that wrote nothing into the archive. */
  noteRun(mark: Uint8Array, ended: number): void {
    this.#unlessFailed(() => this.#state.noteRun(mark, { ended }));
  }

  #begun(): OpenData {
    if (this.#data === undefined) {
      const name = this.#status?.filename ?? `backupdata-${this.#options.now()}.tar.gz`;
      const path = join(this.#folder, name);
      const isNew = this.#status === undefined;
      const opened = isNew ? unfinishedName(path) : path;
      const fd = isNew ? openNew(opened) : openData(opened);
      const { size = 0, offset = 0 } = this.#status ?? {};
      const members = new MemberWriter({
        ...{ fd, path: opened, size, offset, pack: this.#options.pack },
        written: (member) =>
          this.database
            .query("INSERT OR REPLACE INTO x_members VALUES ($coffset, $offset, $size)")
            .run({ ...member }),
      });
      this.#data = { fd, path, opened, members };
    }
    if (!this.database.inTransaction) this.database.run("BEGIN IMMEDIATE");
    return this.#data;
  }

  /** Makes everything appended so far durable, and lets it count. */
  async commit(): Promise<void> {
    if (this.#trouble !== undefined) throw this.#trouble.error;
    const data = this.#data;
    if (data === undefined || !this.database.inTransaction) return;
    const { fd, path, opened, members } = data;
    try {
      await members.finish();
      if (this.#status === undefined) {
        if (!keepBeside(fd, opened, path)) {
          throw new AppError("io", `Cannot keep ${opened}: another file has its name now`);
        }
      }
      const status = { filename: basename(path), size: members.size, offset: members.offset };
      this.database.run("DELETE FROM status");
      this.database
        .query(
          `INSERT INTO status (filename, size, mtime, offset, version)
            VALUES ($filename, $size, $mtime, $offset, ${STATUS_VERSION})`,
        )
        .run({ ...status, mtime: Math.floor(fstatSync(fd).mtimeMs / 1000) });
      this.database.run("COMMIT");
      this.#status = { ...status, saysAll: true };
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Ends the writing. What was appended and not committed is taken back. */
  async close(): Promise<void> {
    const data = this.#data;
    this.#data = undefined;
    try {
      if (data !== undefined) await this.#takeBack(data);
    } finally {
      if (data !== undefined) closeSync(data.fd);
      this.database.close();
      if (this.#status === undefined) dropEmpty(this.#folder, this.#made);
      closeSync(this.#lock);
    }
  }

  async #takeBack({ fd, path, opened, members }: OpenData): Promise<void> {
    // Members that are being packed must not be written behind the cut.
    await members.finish().catch((error: unknown) => {
      if (this.#trouble === undefined) throw error;
    });
    if (this.database.inTransaction) this.database.run("ROLLBACK");
    // A commit that has failed may have come to count all the same.
    this.#status = statusIn(this.database);
    if (this.#status === undefined) for (const name of [opened, path]) removeFile(name);
    else if (fstatSync(fd).size > this.#status.size) ftruncateSync(fd, this.#status.size);
  }
}

/** Takes the archive until the descriptor is closed. Throws AppError (busy, io). */
export function lockArchive(folder: string): number {
  const path = join(folder, LOCK_FILE);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  let fd: number | undefined;
  try {
    fd = openSync(path, flags, FILE_MODE);
    const isLocked = lockAlone(fd);
    if (isLocked === undefined) {
      throw new AppError("refused", `Cannot lock ${path}: no C library on this machine`);
    }
    // Another run that has brought nothing has removed its lock meanwhile.
    if (isLocked && statOf(path)?.ino === fstatSync(fd).ino) return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw diskError(error, "open the lock", path);
  }
  closeSync(fd);
  throw new AppError("busy", `Cannot write the archive in ${folder}: another process has it`, {
    hint: "Wait until that run is over",
  });
}

/** Nothing has come of the owner: what was made at the opening goes again, and only that. */
function dropEmpty(folder: string, made: readonly string[]): void {
  for (const name of [STATE_FILE, LOCK_FILE]) removeFile(join(folder, name));
  for (const one of [...new Set([...made, folder])].reverse()) {
    if (readdirSync(one).length > 0) return;
    rmdirSync(one);
  }
}

function openData(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    throw diskError(error, "open the archive", path);
  }
}

function openNew(path: string): number {
  try {
    return openBeside(path);
  } catch (error) {
    throw diskError(error, "make the archive", path);
  }
}

/** The data file that the state counts; where that is gone or there is no state, the newest. */
export function dataFileOf(folder: string, status: Status | undefined): string | undefined {
  if (status !== undefined && statOf(join(folder, status.filename))) return status.filename;
  return dataFilesIn(folder).at(-1) ?? status?.filename;
}
