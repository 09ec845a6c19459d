/** What an archive tells of itself: its runs, its messages, its size. */
import { utf8 } from "../../../core/bytes.ts";
import { AppError, FormatError } from "../../../core/errors.ts";
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

interface ArchiveMoment {
  /** Milliseconds since 1970: as it was then, by its runs. */
  readonly at?: number | undefined;
}

/**
 * Throws AppError (not_found, io), also where no run had ended at that moment, (bad_data) where
 * nothing of the archive can be read.
 */
export async function runsOfArchive(
  folder: string,
  { at }: ArchiveMoment = {},
): Promise<ArchiveRuns> {
  const { database, bytes } = await openArchiveState(folder);
  try {
    const marks = database
      .query<{ mark: string; offset: number | null }, [number]>(
        "SELECT mark, offset FROM x_runs WHERE ended <= ? ORDER BY ended, offset",
      )
      .all(at ?? Number.MAX_SAFE_INTEGER);
    if (at !== undefined && marks.length === 0) {
      const text = `Cannot list ${folder} as of ${new Date(at).toISOString()}: no run had ended`;
      throw new AppError("not_found", text, { hint: "`--runs` without a time lists all" });
    }
    const end =
      at === undefined
        ? undefined
        : marks.reduce((last, one) => Math.max(last, one.offset ?? 0), 0);
    const count = database
      .query<{ n: number }, [number]>("SELECT count(*) AS n FROM files WHERE offset <= ?")
      .get(end ?? Number.MAX_SAFE_INTEGER);
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
