/** Up to where a state goes. */
import type { Database } from "bun:sqlite";
import { DATA_FILE } from "../../backup_locator.ts";

export interface Status {
  /** Of the data file. */
  readonly filename: string;
  /** Bytes of the data file, and of its unpacked stream, at the last commit. */
  readonly size: number;
  readonly offset: number;
  /** The tables of Bobbin go as far too: no other program has written to the archive since. */
  readonly saysAll: boolean;
}

/** Undefined before the first commit, or where the row names no data file. */
export function statusIn(database: Database): Status | undefined {
  const row = database
    .query<Omit<Status, "saysAll"> & { end: number | null; entry: number | null }, []>(
      `SELECT filename, size, offset, (SELECT max(offset + size) FROM x_members) AS end,
        (SELECT max(offset) FROM x_entries) AS entry FROM status`,
    )
    .get();
  if (row === null || !DATA_FILE.test(row.filename)) return undefined;
  const { end, entry, ...status } = row;
  return { ...status, saysAll: end === row.offset && entry !== null };
}
