/** Opens `backupstate.sqlite3` to be read: nothing is written beside it, also after a kill. */
import { Database, SQLiteError } from "bun:sqlite";
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { stampAt } from "../../../core/file_stamp.ts";
import { diskError } from "../../../storage/disk.ts";
import { makePrivateFolder, removePrivateFolder } from "../../../storage/private_folder.ts";
import { sqliteError } from "../../../storage/sqlite.ts";
import { BUSY_MS } from "./open_state.ts";

/** The journal of a commit that was cut off is there, and is to be undone first. */
const READONLY_ROLLBACK = 776;
const ATTEMPTS = 5;

/** The state at `path` as it was last committed. Throws AppError. */
export function readState(path: string): Database {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const database = new Database(path, { readonly: true, strict: true });
    try {
      database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      database.query("SELECT 1 FROM sqlite_master").get();
      return database;
    } catch (error) {
      database.close();
      const isCutOff = error instanceof SQLiteError && error.errno === READONLY_ROLLBACK;
      if (!isCutOff) throw sqliteError(error, path);
    }
    const copy = rolledBack(path);
    if (copy !== undefined) return copy;
  }
  throw new AppError("busy", `Cannot read ${path}: it keeps changing`, { hint: "Run it again" });
}

/** A copy in memory without the commit that was cut off; undefined if a writer is just at that. */
function rolledBack(path: string): Database | undefined {
  const files = [path, `${path}-journal`];
  const stamps = (): string => files.map((file) => stampAt(file)).join();
  const folder = makePrivateFolder();
  let copy: Database | undefined;
  try {
    const before = stamps();
    for (const file of files) copyFileSync(file, join(folder, basename(file)));
    if (stamps() !== before) return undefined;
    copy = new Database(join(folder, basename(path)), { readwrite: true, strict: true });
    copy.query("SELECT 1 FROM sqlite_master").get(); // undoes what the journal says
    return Database.deserialize(copy.serialize(), { strict: true });
  } catch (error) {
    if (stamps().includes("ENOENT")) return undefined;
    throw sqliteError(diskErrorOf(error, path), path);
  } finally {
    copy?.close();
    removePrivateFolder(folder);
  }
}

function diskErrorOf(error: unknown, path: string): unknown {
  return error instanceof SQLiteError ? error : diskError(error, "copy", path);
}
