/**
 * SQLite as the store uses it: write-ahead log, every commit synced, and never waiting for a lock
 * inside a call. Whoever may wait retries outside (`places/store/retry.ts`).
 */
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, existsSync, openSync } from "node:fs";
import { AppError, type ErrorCode } from "../core/errors.ts";
import { diskError, FILE_MODE } from "./disk.ts";

/** SQLite's primary result codes (the low byte of errno) that mean something to an administrator. */
const CODES: ReadonlyMap<number, { readonly code: ErrorCode; readonly hint: string }> = new Map([
  [5, { code: "busy", hint: "Another process is writing; run it again." }],
  [6, { code: "busy", hint: "Another process is writing; run it again." }],
  [8, { code: "io", hint: "Run Bobbin as the user that owns the store." }],
  [10, { code: "io", hint: "Look at the disk and its free space." }],
  [11, { code: "bad_data", hint: "Run `bobbin store reconstruct`." }],
  [13, { code: "io", hint: "Make room on the disk and run it again." }],
  [14, { code: "io", hint: "Look at the folder's owner and mode." }],
  [26, { code: "bad_data", hint: "Run `bobbin store reconstruct`." }],
]);

/** Turns an error of SQLite about the database at `path` into an `AppError`; others pass unchanged. */
export function sqliteError(error: unknown, path: string): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const known = CODES.get(error.errno & 0xff);
  if (known === undefined) return error;
  return new AppError(known.code, `Cannot use ${path}: ${error.message}`, {
    cause: error,
    context: { path, sqlite: error.code ?? String(error.errno) },
    hint: known.hint,
  });
}

/** What the log is cut back to once it has been written into the database. */
const LOG_BYTES = 4 * 1024 * 1024;

/** How long the opening of a database may wait for another process; nothing waits later. */
const OPENING_MS = 2000;

export interface OpenOptions {
  /** Make the database where there is none. */
  readonly create: boolean;
}

/** Statement n brings a database from version n (PRAGMA user_version) to n + 1; 0 is an empty one. */
export type Schema = readonly string[];

/** Opens a database of the store and brings it up to the last version of `schema`; a later one is refused. */
export function openDatabase(path: string, schema: Schema, options: OpenOptions): Database {
  let database: Database | undefined;
  try {
    if (options.create) makePrivate(path);
    database = new Database(path, { create: options.create, readwrite: true, strict: true });
    // Somebody may just be recovering the log of a killed process, or closing: both are short.
    database.run(`PRAGMA busy_timeout = ${OPENING_MS}`);
    // So that gc can give back what large journals took. In a database that is there already it would
    // change nothing but be written, and looking must leave every byte as it was.
    if (versionOf(database) === 0) database.run("PRAGMA auto_vacuum = INCREMENTAL");
    const mode = database.query<{ journal_mode: string }, []>("PRAGMA journal_mode = WAL").get();
    if (mode?.journal_mode !== "wal") {
      throw new AppError("refused", `Cannot keep ${path} with a write-ahead log`, {
        hint: "The file system must support shared memory and POSIX locks.",
      });
    }
    database.run("PRAGMA synchronous = FULL");
    database.run(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
    database.run("PRAGMA trusted_schema = OFF");
    bringUp(database, path, schema);
    database.run("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database?.close();
    throw sqliteError(error, path);
  }
}

/** SQLite would make the file for all to read; its log gets the mode of the database. */
function makePrivate(path: string): void {
  if (existsSync(path)) return;
  try {
    closeSync(openSync(path, "a", FILE_MODE));
  } catch (error) {
    throw diskError(error, "make the database", path);
  }
}

function bringUp(database: Database, path: string, schema: Schema): void {
  if (versionOf(database) === schema.length) return;
  database.run("BEGIN IMMEDIATE");
  const version = versionOf(database); // another process may have been first
  for (const statements of schema.slice(version)) database.run(statements);
  if (version < schema.length) database.run(`PRAGMA user_version = ${schema.length}`);
  database.run("COMMIT");
  if (version <= schema.length) return;
  throw new AppError(
    "refused",
    `Cannot use ${path}: its schema is ${version}, ours ${schema.length}`,
    { hint: "Use the release of Bobbin that wrote it, or a later one." },
  );
}

function versionOf(database: Database): number {
  return (
    database.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0
  );
}

/**
 * Runs `work` under the writer lock and commits what it did; whatever it throws undoes all of it.
 * Throws busy at once where another process holds the lock.
 */
export function writing<T>(database: Database, path: string, work: () => T): T {
  try {
    database.run("BEGIN IMMEDIATE");
    let result: T;
    try {
      result = work();
      database.run("COMMIT");
    } catch (error) {
      // SQLite has rolled back by itself after some errors (a full disk, for one).
      if (database.inTransaction) database.run("ROLLBACK");
      throw error;
    }
    return result;
  } catch (error) {
    throw sqliteError(error, path);
  }
}

/** Runs `work` on one snapshot of the database. */
export function reading<T>(database: Database, path: string, work: () => T): T {
  if (database.inTransaction) return work();
  try {
    database.run("BEGIN");
    try {
      return work();
    } finally {
      if (database.inTransaction) database.run("COMMIT");
    }
  } catch (error) {
    throw sqliteError(error, path);
  }
}
