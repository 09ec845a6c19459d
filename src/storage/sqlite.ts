/**
 * SQLite as the store uses it: write-ahead log, every commit synced, and never waiting for a lock
 * inside a call. Whoever may wait retries outside (`retry.ts`).
 */
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, existsSync, openSync } from "node:fs";
import { AppError, type ErrorCode, errnoOf, PERMISSION_HINT } from "../core/errors.ts";
import { diskError, FILE_MODE } from "./disk.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly hint: string;
}

const DAMAGED: Meaning = { code: "bad_data", hint: "Run `bobbin store reconstruct`." };

/** Primary result codes of SQLite (the low byte of errno) that an administrator can act on. */
const CODES: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [5, { code: "busy", hint: "Another process is writing; run it again." }],
  [6, { code: "busy", hint: "Another process is writing; run it again." }],
  [7, { code: "io", hint: "The machine has no memory left." }],
  [8, { code: "refused", hint: PERMISSION_HINT }],
  [10, { code: "io", hint: "Look at the disk and its free space." }],
  [11, DAMAGED],
  [13, { code: "io", hint: "Make room on the disk and run it again." }],
  [14, { code: "io", hint: "Look at the folder's owner and mode." }],
  [15, { code: "busy", hint: "Another process is writing; run it again." }],
  // Too big, a constraint, a type: rows that contradict the schema or an index.
  ...[18, 19, 20, 26].map((code) => [code, DAMAGED] as const),
]);

/** How SQLite says that a database lacks what every one of its schema has, or has it twice. */
const OTHER_SCHEMA = /^(no such (table|column|index)|duplicate column|malformed)|already exists/;

/** Turns an error of SQLite about `path` into an AppError; others pass unchanged. */
export function sqliteError(error: unknown, path: string): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const isOther = (error.errno & 0xff) === 1 && OTHER_SCHEMA.test(error.message);
  const known = isOther ? DAMAGED : CODES.get(error.errno & 0xff);
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
  /**
   * Brings a database that an older release made up to the schema of this one, and is told so
   * first. Without it such a database is refused.
   */
  readonly raise?: ((change: SchemaChange) => void) | undefined;
  /** What errors call the database; its path if not given. */
  readonly name?: string;
}

/** A database goes from one version of its schema to a later one, which older releases refuse. */
export interface SchemaChange {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** Statement n brings a database from version n (PRAGMA user_version; 0: empty) to n + 1. */
export type Schema = readonly string[];

/** Opens a database at the last version of `schema`; a later version is refused. */
export function openDatabase(path: string, schema: Schema, options: OpenOptions): Database {
  const { name = path } = options;
  let database: Database | undefined;
  try {
    if (options.create) makePrivate(path);
    database = new Database(path, { create: options.create, readwrite: true, strict: true });
    // Somebody may just be recovering the log of a killed process, or closing: both are short.
    database.run(`PRAGMA busy_timeout = ${OPENING_MS}`);
    // So that gc can give back what large journals took. In a database that is there already it
    // would change nothing but be written, and looking must leave every byte as it was.
    if (versionOf(database) === 0) database.run("PRAGMA auto_vacuum = INCREMENTAL");
    const mode = database.query<{ journal_mode: string }, []>("PRAGMA journal_mode = WAL").get();
    if (mode?.journal_mode !== "wal") {
      throw new AppError("refused", `Cannot keep ${name} with a write-ahead log`, {
        hint: "The file system must support shared memory and POSIX locks.",
      });
    }
    database.run("PRAGMA synchronous = FULL");
    database.run(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
    database.run("PRAGMA trusted_schema = OFF");
    bringUp(database, schema, { ...options, name });
    database.run("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database?.close();
    throw sqliteError(error, name);
  }
}

/** SQLite would make the file for all to read; its log gets the mode of the database. */
function makePrivate(path: string): void {
  if (existsSync(path)) return; // what this cannot look at, the opening tells
  try {
    closeSync(openSync(path, "wx", FILE_MODE));
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return; // another process was first
    throw diskError(error, "make the database", path);
  }
}

function bringUp(
  database: Database,
  schema: Schema,
  { raise, name }: OpenOptions & { readonly name: string },
): void {
  const [found, to] = [versionOf(database), schema.length];
  if (found === to) return;
  if (found > to || (found > 0 && raise === undefined)) throw otherSchema(name, found, to);
  if (found > 0) raise?.({ path: name, from: found, to });
  database.run("BEGIN IMMEDIATE");
  const version = versionOf(database); // another process may have been first
  for (const statements of schema.slice(version)) database.run(statements);
  if (version < to) database.run(`PRAGMA user_version = ${to}`);
  database.run("COMMIT");
  if (version > to) throw otherSchema(name, version, to);
}

function otherSchema(name: string, found: number, ours: number): AppError {
  const hint =
    found > ours
      ? "Use the release of Bobbin that wrote it, or a later one."
      : "Bring it up to this release with `bobbin serve` or `bobbin store gc`.";
  return new AppError("refused", `Cannot use ${name}: its schema is ${found}, ours ${ours}`, {
    hint,
  });
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
