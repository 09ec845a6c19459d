/**
 * Compares the state that lies beside an archive with the one that the archive itself gives
 * (backup-format.md 5). What both cannot have alike is left out: inodes of over 24 bits, offsets
 * of long names, bytes of older copies, and records whose message was unlinked meanwhile. Runs that
 * wrote nothing are in no archive.
 */
import type { Database } from "bun:sqlite";
import { statusIn } from "../../places/backup/state/state_extent.ts";
import { hasTable } from "../../places/backup/state/state_flaw.ts";

export interface RowDifference {
  readonly table: string;
  readonly key: string;
  /** The row that the archive says; "" for none. */
  readonly expected: string;
  /** The row that is there; "" for none. */
  readonly found: string;
}

interface Comparison {
  readonly table: string;
  /** Gives rows of a key and a value, by ascending key. */
  readonly sql: string;
  /** Rows that only the state beside the archive has are no difference. */
  readonly mayHaveMore?: boolean;
}

const IN_FORCE = "sha1 || ' ' || size || ' ' || mtime || ' ' || offset";

const COMPARISONS: readonly Comparison[] = [
  {
    table: "imap",
    sql: `SELECT name || ' ' || coalesce(uniqueid, '') AS key, deleted AS value
      FROM imap JOIN folders USING (folderid) ORDER BY key`,
  },
  { table: "meta", sql: `SELECT name AS key, ${IN_FORCE} AS value FROM meta ORDER BY key` },
  {
    table: "fmeta",
    sql: `SELECT uniqueid || ' ' || name AS key, ${IN_FORCE} AS value
      FROM fmeta JOIN folders USING (folderid) ORDER BY key`,
  },
  {
    table: "files",
    sql: "SELECT guid AS key, size || ' ' || offset AS value FROM files ORDER BY key",
  },
  {
    table: "indexed",
    sql: `SELECT uniqueid || printf(' %010d', uid) AS key, guid AS value
      FROM indexed JOIN folders USING (folderid) JOIN files USING (fileid) ORDER BY key`,
    mayHaveMore: true,
  },
];

/** Of Bobbin's tables, which a state of upstream has not. */
const OURS: readonly Comparison[] = [
  {
    table: "x_members",
    sql: `SELECT printf('%020d', coffset) AS key, offset || ' ' || size AS value
      FROM x_members ORDER BY key`,
  },
  {
    table: "x_entries",
    sql: `SELECT printf('%020d', offset) AS key, kind || ' ' || name || ' ' ||
        coalesce(uniqueid, '') || ' ' || coalesce(sha1, '') || ' ' || size || ' ' || mtime ||
        ' ' || at || ' ' || hex(coalesce(content, '')) AS value
      FROM x_entries LEFT JOIN folders USING (folderid) ORDER BY key`,
  },
  {
    table: "x_lacking",
    sql: `SELECT uniqueid || printf(' %010d', uid) AS key, guid AS value
      FROM x_lacking JOIN folders USING (folderid) ORDER BY key`,
  },
  {
    table: "x_runs",
    sql: `SELECT printf('%020d', offset) AS key, mark AS value
      FROM x_runs WHERE offset NOTNULL ORDER BY key`,
  },
];

interface KeyedRow {
  readonly key: string;
  readonly value: string | number | null;
}

/** The rows in which the state `found` differs from `expected`, table by table. */
export function* compareStates(
  found: Database,
  expected: Database,
): Generator<RowDifference, void> {
  const isOurs = OURS.every(({ table }) => hasTable(found, table)) && statusIn(found)?.saysAll;
  for (const { table, sql, mayHaveMore = false } of isOurs
    ? [...COMPARISONS, ...OURS]
    : COMPARISONS) {
    const there = found.query<KeyedRow, []>(sql).iterate();
    const right = expected.query<KeyedRow, []>(sql).iterate();
    let [left, other] = [there.next().value, right.next().value];
    while (left !== undefined || other !== undefined) {
      const isExtra = other === undefined || (left !== undefined && left.key < other.key);
      const isMissing = left === undefined || (other !== undefined && other.key < left.key);
      if (isExtra ? !mayHaveMore : isMissing || left?.value !== other?.value) {
        yield {
          ...{ table, key: (isExtra ? left : other)?.key ?? "" },
          expected: isExtra ? "" : textOf(other),
          found: isMissing ? "" : textOf(left),
        };
      }
      if (!isMissing) left = there.next().value;
      if (!isExtra) other = right.next().value;
    }
  }
}

function textOf(row: KeyedRow | undefined): string {
  return row === undefined ? "" : String(row.value);
}
