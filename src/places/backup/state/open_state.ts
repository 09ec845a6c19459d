/**
 * Opens `backupstate.sqlite3`. Upstream's tools read and write it too and would throw a
 * write-ahead log away, so it has none (backup-format.md 1).
 */
import { Database } from "bun:sqlite";
import { closeSync, openSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { diskError, FILE_MODE, makeFolder, statOf } from "../../../storage/disk.ts";
import { makePrivateFolder, removePrivateFolder } from "../../../storage/private_folder.ts";
import { sqliteError } from "../../../storage/sqlite.ts";
import { flawOfState } from "./state_flaw.ts";

export const STATE_FILE = "backupstate.sqlite3";

/** How long a reader may hold a commit up, and a commit a reader. */
export const BUSY_MS = 5000;

/** For what is damaged: upstream removes every file beside an archive, but no folder. */
export const CUT_FOLDER = "cut-off";

/**
 * Opens the state at `path` to be written, and makes it where there is none. One that cannot be
 * believed goes into `CUT_FOLDER`, which is told.
 */
export function openState(path: string, notice: (text: string) => void): Database {
  const flaw = statOf(path) === undefined ? undefined : flawAt(path);
  if (flaw !== undefined) {
    const folder = join(dirname(path), CUT_FOLDER);
    notice(`${path} cannot be used: ${flaw}; it is put into ${folder}`);
    try {
      makeFolder(folder);
      renameSync(path, join(folder, basename(path)));
    } catch (error) {
      throw diskError(error, "put away", path);
    }
  }
  return openSoundState(path);
}

/** Why the file at `path` is not the state of an archive. */
function flawAt(path: string): string | undefined {
  if (statOf(path)?.isFile() !== true) return "it is no file";
  let database: Database | undefined;
  try {
    database = openSoundState(path);
    return flawOfState(database);
  } catch (error) {
    const known = sqliteError(error, path);
    if (known instanceof AppError && known.code === "bad_data") return known.message;
    throw known;
  } finally {
    database?.close();
  }
}

function openSoundState(path: string): Database {
  let database: Database | undefined;
  try {
    if (statOf(path) === undefined) makeEmpty(path);
    database = new Database(path, { readwrite: true, strict: true });
    database.run("PRAGMA journal_mode = DELETE");
    // FULL lets the journal of a commit come back after a power cut, which would undo the commit.
    database.run("PRAGMA synchronous = EXTRA");
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
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

/** How much of a scratch state is in memory: the rest of it, of any size, lies in TMPDIR. */
const SCRATCH_KIB = 16 * 1024;

/** An empty state for one look at an archive of any size; it is gone when it is closed. */
export function openScratchState(): Database {
  const folder = makePrivateFolder();
  const path = join(folder, STATE_FILE);
  try {
    const database = new Database(path, { create: true, strict: true });
    database.run("PRAGMA journal_mode = MEMORY");
    database.run("PRAGMA synchronous = OFF");
    database.run(`PRAGMA cache_size = -${SCRATCH_KIB}`);
    database.run("PRAGMA user_version = 1"); // makes the file, which then needs no name
    return database;
  } catch (error) {
    throw sqliteError(error, path);
  } finally {
    removePrivateFolder(folder);
  }
}
