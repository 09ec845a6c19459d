/** Makes the state of an archive anew, also where the one that is there seems to fit. */
import { closeSync } from "node:fs";
import { join } from "node:path";
import { sqliteError } from "../../../storage/sqlite.ts";
import { dataFilesIn, noArchive } from "../../backup_locator.ts";
import { BackupState } from "../state/backup_state.ts";
import { openState, STATE_FILE } from "../state/open_state.ts";
import { statusIn } from "../state/state_extent.ts";
import { dataFileOf, lockArchive } from "./archive_writer.ts";
import { clearLeftovers } from "./clear_leftovers.ts";
import { type RecoverOptions, recoverArchive } from "./recover_archive.ts";

/**
 * `isWhole` is false where not all of the archive could be read. Throws AppError: not_found, busy
 * where a run has the archive, bad_data where nothing of it can be read, io.
 */
export async function rebuildArchive(
  folder: string,
  options: RecoverOptions,
): Promise<{ readonly isWhole: boolean }> {
  if (dataFilesIn(folder).length === 0) throw noArchive(folder);
  const lock = lockArchive(folder);
  try {
    const database = openState(join(folder, STATE_FILE), options.notice);
    try {
      new BackupState(database); // makes the tables
      const name = dataFileOf(folder, statusIn(database));
      if (name === undefined) throw noArchive(folder);
      const isWhole = await recoverArchive(database, join(folder, name), options);
      clearLeftovers(folder, statusIn(database)?.filename);
      return { isWhole };
    } catch (error) {
      throw sqliteError(error, join(folder, STATE_FILE));
    } finally {
      database.close();
    }
  } finally {
    closeSync(lock);
  }
}
