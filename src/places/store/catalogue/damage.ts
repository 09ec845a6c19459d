/**
 * Damage of a whole database of the store: telling it, keeping what can still be read, and moving
 * the file out of the way. Nothing is ever deleted.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { diskError, statOf } from "../../../storage/disk.ts";
import { mayWrite } from "../../../storage/private_copy.ts";
import { sqliteError } from "../../../storage/sqlite.ts";
import {
  bound,
  type DamagedRow,
  damagedColumn,
  damagedIn,
  damagedRow,
  type Tables,
} from "./sound_rows.ts";

/** Something wrong with a database: a row of it, or without `row` the file. */
export interface Damage {
  readonly error: AppError;
  readonly row?: DamagedRow;
}

/**
 * True for an error that a database of the store itself has. Others concern the whole run: somebody
 * writes to it now, or there is no room for a copy of it.
 */
export function isOfDatabase(error: unknown): error is AppError {
  if (!(error instanceof AppError)) return false;
  return error.code !== "busy" && error.context["tmpdir"] === undefined;
}

/** What is wrong with the database that `open` gives. Throws what `isOfDatabase` is not true of. */
export function damageOf(path: string, open: () => Database, tables: Tables): Damage[] {
  try {
    const database = open();
    const query = database.query<{ integrity_check: string }, []>("PRAGMA integrity_check(1)");
    const said = query.get()?.integrity_check;
    if (said !== "ok") return [{ error: damaged(path, `${said}`.replaceAll("\n", " ")) }];
    const rows = Object.keys(tables).flatMap((table) => damagedIn(database, table, tables));
    return rows.map((row) => ({ row, error: damagedRow(row, tables) }));
  } catch (error) {
    const known = sqliteError(error, path);
    if (!isOfDatabase(known)) throw known;
    return [{ error: known }];
  }
}

function damaged(path: string, what: string): AppError {
  const hint = "Run `bobbin store reconstruct`.";
  return new AppError("bad_data", `Cannot use ${path}: ${what}`, { context: { path }, hint });
}

/** True where a database at `path` cannot be used, whoever tries: not for want of a right. */
export function isBroken(path: string, { code, context }: AppError): boolean {
  // A file that may be written, of a form that SQLite says it can only read.
  return code === "bad_data" || (context["sqlite"] === "SQLITE_READONLY" && mayWrite(path));
}

/** Rows of a table as they were read. */
export interface SavedRows {
  readonly table: string;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/**
 * The sound rows of some tables of a damaged database, and the tables of which a part was lost:
 * what could not be read to its end, or had damaged rows.
 */
export function salvage(
  path: string,
  tables: Tables,
  wanted: readonly string[],
): { readonly saved: readonly SavedRows[]; readonly unread: readonly string[] } {
  const saved: SavedRows[] = [];
  const unread = new Set<string>();
  for (const table of wanted) {
    const rows: SavedRows["rows"][number][] = [];
    let database: Database | undefined;
    try {
      database = new Database(path, { readwrite: true, strict: true });
      const query = database.query<Record<string, unknown>, []>(`SELECT * FROM ${table}`);
      for (const row of query.iterate()) {
        if (damagedColumn(tables[table], row) === undefined) rows.push(row);
        else unread.add(table);
      }
    } catch (error) {
      if (!(error instanceof SQLiteError)) throw error;
      unread.add(table);
    } finally {
      database?.close();
    }
    saved.push({ table, rows });
  }
  return { saved, unread: [...unread] };
}

/** Adds rows to a database that lacks them. */
export function insertRows(database: Database, { table, rows }: SavedRows): void {
  for (const row of rows) {
    const columns = Object.keys(row);
    const marks = columns.map(() => "?").join(", ");
    database
      .query(`INSERT OR IGNORE INTO ${table} (${columns.join(", ")}) VALUES (${marks})`)
      .run(...columns.map((column) => bound(row[column])));
  }
}

/** Moves a database with its log away, to `wanted` or a name like it; returns that name. */
export function setAside(path: string, wanted: string): string {
  const folder = dirname(path);
  let name = wanted;
  for (let more = 2; statOf(join(folder, name)) !== undefined; more++) name = `${wanted}-${more}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (statOf(path + suffix) === undefined) continue;
    try {
      renameSync(path + suffix, join(folder, name + suffix));
    } catch (error) {
      throw diskError(error, "set aside", path + suffix);
    }
  }
  return name;
}
