/**
 * What a killed command has left beside an archive, and a command that writes to it clears away:
 * never a data file that may hold what no other has.
 */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { diskError, makeFolder, namesIn } from "../../../storage/disk.ts";
import { syncPath } from "../../../storage/durable.ts";
import { CUT_FOLDER } from "../state/open_state.ts";

/** The name of a data file that is written; others may be plain tars, which are only read. */
export const PACKED_FILE = /^backupdata-\d+\.tar\.gz$/;

/** A data file of which nothing counts yet. */
const UNFINISHED_FILE = /^backupdata-\d+\.new\.tar\.gz$/;

/** Under what name the data file `path` is written until the first of it counts. */
export function unfinishedName(path: string): string {
  return path.replace(/\.tar\.gz$/, ".new.tar.gz");
}

/** A new archive grows here during a compaction. Upstream's tools leave folders alone. */
export const NEW_FOLDER = "compact.new";

/**
 * Clears `folder`, in which the state counts the data file `counted`. Others are of a compaction
 * that was killed, if its folder is there; else they are kept apart, and the folder with them is
 * returned. Throws AppError (io).
 */
export function clearLeftovers(folder: string, counted: string | undefined): string | undefined {
  const names = namesIn(folder);
  const others = names.filter((name) => PACKED_FILE.test(name) && name !== counted);
  const isCompacted = names.includes(NEW_FOLDER);
  const unfinished = names.filter((name) => UNFINISHED_FILE.test(name));
  if (others.length + unfinished.length === 0 && !isCompacted) return undefined;
  const kept = join(folder, CUT_FOLDER);
  try {
    syncPath(folder, "folder"); // what leads to the data file that counts must be there before
    for (const name of isCompacted ? [...others, ...unfinished] : unfinished) {
      rmSync(join(folder, name));
    }
    // The last of all, as it says of the others what they are.
    rmSync(join(folder, NEW_FOLDER), { recursive: true, force: true });
    if (isCompacted || others.length === 0) return undefined;
    makeFolder(kept);
    for (const name of others) renameSync(join(folder, name), join(kept, name));
    for (const one of [kept, folder]) syncPath(one, "folder");
    return kept;
  } catch (error) {
    throw diskError(error, "clear away what a killed command has left", folder);
  }
}
