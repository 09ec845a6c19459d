/**
 * The database files themselves: damage that their own checksums and structure show (rows DB01, AN01,
 * SE01, SU01, CV01, by what the file is for). A format that Bobbin does not read is no damage.
 */
import { latin1 } from "../../core/bytes.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { DatabaseEntry } from "../../formats/cyrus/databases/database_contents.ts";
import type { MailboxesDb } from "../../formats/cyrus/mailboxes_db.ts";
import type { DatabaseReading } from "../../places/cyrus/server/database_file.ts";
import type { Finding, Severity } from "../finding.ts";
import { type FindingFacts, finding } from "../finding_codes.ts";
import { describeUnreadable } from "../unreadable.ts";

export interface DatabaseCheck {
  readonly findings: readonly Finding[];
  /** What can be trusted; undefined where the file was not read. */
  readonly entries: readonly DatabaseEntry[] | undefined;
  /** True when nothing is missing from `entries`. */
  readonly complete: boolean;
}

export interface DatabaseCheckOptions {
  /** The row of the catalogue that damage of this file belongs to. */
  readonly code: string;
  /** What the file is called in a sentence. */
  readonly title: string;
  /** Whether the file may be missing. */
  readonly optional: boolean;
  /** Of damage, where the row is mostly about something lighter. */
  readonly severity?: Severity;
}

/** Turns what was read of a database file into findings. */
export function checkDatabase(
  reading: DatabaseReading,
  { code, title, optional, severity }: DatabaseCheckOptions,
): DatabaseCheck {
  const { path } = reading;
  const add = (facts: FindingFacts) =>
    finding(code, { path, ...(severity === undefined ? {} : { severity }), ...facts });
  if (reading.state !== "read") {
    const missing = reading.state === "missing" && optional;
    const text = `${title} ${describeUnreadable(reading)}`;
    return {
      findings: missing ? [] : [add({ text })],
      entries: missing ? [] : undefined,
      complete: missing,
    };
  }
  const { database } = reading;
  if (database.kind === "unsupported") {
    const text = `${title} has the format ${database.format}, which is not supported: not checked`;
    const info = add({ text, severity: "info", found: database.format });
    return { findings: [info], entries: undefined, complete: false };
  }
  const { entries, problems } = database;
  const shown = problems.slice(0, DEFAULT_LIMITS.findingsPerCode).map((problem) => {
    const { key, offset, what, expected, found } = problem;
    const text = `${title} damaged at byte ${offset}: ${what}`;
    const of = key === undefined ? {} : { field: shownKey(key) };
    return add({ text, expected, found, ...of, ...(reading.stable ? {} : UNSTABLE) });
  });
  return { findings: shown, entries, complete: problems.length === 0 };
}

/** It changed at every look; what was seen may have been a write under way. */
const UNSTABLE: FindingFacts = { severity: "info" };

/** Records of mailboxes.db that cannot be read (DB01). */
export function checkUnreadRecords(mailboxes: MailboxesDb, path: string): Finding[] {
  return mailboxes.problems.slice(0, DEFAULT_LIMITS.findingsPerCode).map(({ key, expected }) => {
    const text = "record of mailboxes.db cannot be read";
    return finding("DB01", { text, path, field: shownKey(key), expected, found: "something else" });
  });
}

/** A key as one line of text: separators as Cyrus' tools show them. */
function shownKey(key: Uint8Array | string): string {
  const text = typeof key === "string" ? key : latin1(key);
  return text.replace(/[\x00-\x1f]/g, (char) => (char === "\x1f" ? "." : "|"));
}
