/**
 * Opens `backupstate.sqlite3`. Upstream's tools read and write it too and would throw a
 * write-ahead log away, so it has none (backup-format.md 1).
 */
import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { diskError, FILE_MODE, statOf } from "../../../storage/disk.ts";
import { sqliteError } from "../../../storage/sqlite.ts";

export const STATE_FILE = "backupstate.sqlite3";

/** Opens the state at `path` to be written, and makes it where there is none. */
export function openState(path: string): Database {
  let database: Database | undefined;
  try {
    if (statOf(path) === undefined) makeEmpty(path);
    database = new Database(path, { readwrite: true, strict: true });
    database.run("PRAGMA journal_mode = DELETE");
    database.run("PRAGMA synchronous = FULL");
    // What a run changes stays in memory until it commits: until then others read the state before.
    database.run("PRAGMA cache_spill = OFF");
    database.run("PRAGMA trusted_schema = OFF");
    return database;
  } catch (error) {
    database?.close();
    throw sqliteError(error, path);
  }
}

/** SQLite would make the file for all to read. */
function makeEmpty(path: string): void {
  try {
    closeSync(openSync(path, "wx", FILE_MODE));
  } catch (error) {
    throw diskError(error, "make the state", path);
  }
}
