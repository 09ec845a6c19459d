/** What an archive tells of itself: its runs, its messages, its size. */
import { utf8 } from "../../../core/bytes.ts";
import { FormatError } from "../../../core/errors.ts";
import { parseRunMark, type RunMark } from "../../../formats/backup/run_mark.ts";
import type { Owner } from "../../../model/names.ts";
import { statusIn } from "../state/state_extent.ts";
import { openArchiveState, ownerOfArchive } from "./open_backup.ts";

export interface ArchiveRuns {
  readonly owner: Owner;
  readonly folder: string;
  /** Of the data file. */
  readonly bytes: number;
  readonly messages: number;
  /** Those that wrote nothing too, the oldest first; none of an archive that others have made. */
  readonly runs: readonly RunMark[];
}

/** True for a run that could have everything. */
export function isWhole({ findings }: RunMark): boolean {
  return findings === 0;
}

/** Throws AppError (not_found, io), (bad_data) where nothing of the archive can be read. */
export async function runsOfArchive(folder: string): Promise<ArchiveRuns> {
  const { database, bytes } = await openArchiveState(folder);
  try {
    const marks = database
      .query<{ mark: string }, []>("SELECT mark FROM x_runs ORDER BY ended, offset")
      .all();
    const count = database.query<{ n: number }, []>("SELECT count(*) AS n FROM files").get();
    return {
      ...{ owner: ownerOfArchive(folder, database), folder, messages: count?.n ?? 0 },
      bytes: statusIn(database)?.size ?? 0,
      runs: marks.flatMap(({ mark }) => markIn(mark) ?? []),
    };
  } finally {
    bytes.close();
    database.close();
  }
}

/** One that cannot be read tells nothing; fsck names it. */
function markIn(text: string): RunMark | undefined {
  try {
    return parseRunMark(utf8(text));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
