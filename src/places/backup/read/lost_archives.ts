/**
 * Archives whose data file is gone while the state beside it still counts on it: they were there,
 * so that their users are named, and never taken for users without a backup.
 */
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { statOf } from "../../../storage/disk.ts";
import { archivesIn, dataFilesIn } from "../../backup_locator.ts";
import { STATE_FILE } from "../state/open_state.ts";
import { readState } from "../state/read_state.ts";
import { statusIn } from "../state/state_extent.ts";
import { flawOfState, hasTable } from "../state/state_flaw.ts";

/** The folders of those below `root`, or `root` itself. */
export function lostArchivesIn(root: string): string[] {
  return archivesIn(root, (folder) => lostArchive(folder) !== undefined);
}

/** The error for the archive in `folder`, if it is one of those. */
export function lostArchive(folder: string): AppError | undefined {
  const file = join(folder, STATE_FILE);
  if (statOf(file)?.isFile() !== true || dataFilesIn(folder).length > 0) return undefined;
  const database = readState(file);
  try {
    // What a killed first run leaves has no status yet.
    const isSound = flawOfState(database) === undefined && hasTable(database, "status");
    const status = isSound ? statusIn(database) : undefined;
    return status && lostData(folder, status.filename);
  } finally {
    database.close();
  }
}

function lostData(folder: string, name: string): AppError {
  return new AppError("bad_data", `The archive in ${folder} has lost its data file ${name}`, {
    hint: `Bring it back from a copy. To begin anew, move ${STATE_FILE} away`,
  });
}
