/**
 * The database files themselves: damage that their own checksums and structure show (rows DB01,
 * DB12, AN01, SE01, SU01, CV01, by what the file is for). A format that Bobbin does not read is no
 * damage.
 */
import { latin1 } from "../../core/bytes.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { DatabaseEntry } from "../../formats/cyrus/databases/database_contents.ts";
import type { MailboxesDb } from "../../formats/cyrus/mailboxes_db.ts";
import type { DatabaseReading } from "../../places/cyrus/server/database_file.ts";
import { type Finding, finding } from "../finding.ts";
import type { DatabaseFacts } from "../words/telling.ts";

export interface DatabaseCheck {
  readonly findings: readonly Finding[];
  /** What can be trusted; undefined where the file was not read. */
  readonly entries: readonly DatabaseEntry[] | undefined;
  /** True when nothing is missing from `entries`. */
  readonly complete: boolean;
}

export interface DatabaseCheckOptions {
  /** The row of the catalogue that damage of this file belongs to. */
  readonly code: "DB01" | "DB12" | "AN01" | "SE01" | "SU01" | "CV01" | "QU01";
  /** Whether the file may be missing. */
  readonly optional: boolean;
}

/** Turns what was read of a database file into findings. */
export function checkDatabase(
  reading: DatabaseReading,
  { code, optional }: DatabaseCheckOptions,
): DatabaseCheck {
  const { path } = reading;
  const about = (facts: DatabaseFacts) => finding(code, { path }, facts);
  if (reading.state === "missing" && optional) return { findings: [], entries: [], complete: true };
  if (reading.state !== "read") {
    const { path: _, ...fault } = reading;
    return { findings: [about({ what: "file", fault })], entries: undefined, complete: false };
  }
  const { database } = reading;
  if (database.kind === "unsupported") {
    const remark = about({ what: "format", format: database.format });
    return { findings: [remark], entries: undefined, complete: false };
  }
  const { entries, problems } = database;
  const shown = problems.slice(0, DEFAULT_LIMITS.findingsPerCode).map((problem) => {
    const { offset, what, expected, found } = problem;
    const key = problem.key === undefined ? undefined : shownKey(problem.key);
    const { stable } = reading;
    return about({ what: "damage", problem: what, offset, key, expected, found, stable });
  });
  return { findings: shown, entries, complete: problems.length === 0 };
}

/** Records of mailboxes.db that cannot be read (DB01). */
export function checkUnreadRecords(mailboxes: MailboxesDb, path: string): Finding[] {
  return mailboxes.problems.slice(0, DEFAULT_LIMITS.findingsPerCode).map(({ key, expected }) => {
    return finding("DB01", { path }, { what: "record", key: shownKey(key), expected });
  });
}

/** A key as one line of text: separators as Cyrus' tools show them. */
function shownKey(key: Uint8Array | string): string {
  const text = typeof key === "string" ? key : latin1(key);
  return text.replace(/[\x00-\x1f]/g, (char) => (char === "\x1f" ? "." : "|"));
}
