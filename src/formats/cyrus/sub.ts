/**
 * Subscriptions of one user: `<user>.sub` or `sub.db` (spool-format 6.7, Cyrus imap/mboxlist.c).
 *
 *   until 3.4:   key: internal name
 *   since 3.6:   key: `N` and the name as in mailboxes.db, the user's own INBOX and what lies below
 *                it beginning with `INBOX`; and the key `\x1FVER\x1F` with the version, 2 or 3
 *
 * Values are empty.
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";
import type { DatabaseEntry } from "./databases/database_contents.ts";
import { writeFlat } from "./databases/flat.ts";
import { dbNameOfInternal, internalOfDbName } from "./mailbox_dbname.ts";

export interface Subscriptions {
  /** 0 = the form until 3.4. */
  readonly version: number;
  /** Internal names, one character a byte. */
  readonly names: readonly string[];
  /** Keys of the database that are no names of mailboxes. */
  readonly unknown: readonly string[];
}

export interface SubscriptionOptions {
  /** Internal name of the user's INBOX. */
  readonly inbox: string;
}

/** The key of the version, which the form until 3.4 lacks. */
const VERSION_KEY = "\x1fVER\x1f";

/** Reads all records of a subscription database. */
export function parseSubscriptions(
  entries: readonly DatabaseEntry[],
  options: SubscriptionOptions,
): Subscriptions {
  const keys = entries.map((entry) => latin1(entry.key));
  const versionEntry = entries[keys.indexOf(VERSION_KEY)];
  if (versionEntry === undefined) return { version: 0, names: keys, unknown: [] };
  const names: string[] = [];
  const unknown: string[] = [];
  const inbox = dbNameOfInternal(options.inbox);
  for (const key of keys) {
    if (key === VERSION_KEY) continue;
    if (!key.startsWith("N")) unknown.push(key);
    else names.push(internalOfDbName(key.slice(1).replace(/^INBOX(?=\x1f|$)/, () => inbox)));
  }
  const version = Number(latin1(versionEntry.value));
  return { version: Number.isInteger(version) ? version : -1, names, unknown };
}

/** The records that hold `subscriptions` in their version. */
export function printSubscriptions(
  { version, names }: Pick<Subscriptions, "version" | "names">,
  options: SubscriptionOptions,
): DatabaseEntry[] {
  const entry = (key: string, value = "") => ({ key: fromLatin1(key), value: fromLatin1(value) });
  if (version === 0) return names.map((name) => entry(name));
  const inbox = dbNameOfInternal(options.inbox);
  const keys = names.map((name) => {
    const dbName = dbNameOfInternal(name);
    const own = dbName === inbox || dbName.startsWith(`${inbox}\x1f`);
    return `N${own ? `INBOX${dbName.slice(inbox.length)}` : dbName}`;
  });
  return [entry(VERSION_KEY, String(version)), ...keys.sort().map((key) => entry(key))];
}

/** The version of the form that Cyrus has written since 3.12, which older ones take as well. */
const NEWEST_VERSION = 3;

/** The whole file, as a flat database. */
export function writeSubscriptions(
  names: readonly string[],
  options: SubscriptionOptions,
): Uint8Array {
  return writeFlat(printSubscriptions({ version: NEWEST_VERSION, names }, options));
}
