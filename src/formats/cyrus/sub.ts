/**
 * Subscriptions of one user: `<user>.sub` or `sub.db` (spool-format 6.7, Cyrus imap/mboxlist.c).
 *
 *   until 3.4:   key: internal name
 *   since 3.6:   key: `N` and the name as in mailboxes.db, the user's own INBOX and what lies below
 *                it beginning with `INBOX`; and the key `\x1FVER\x1F` with the version, 2 or 3
 *
 * Values are empty.
 */
import { latin1 } from "../../core/bytes.ts";
import type { DatabaseEntry } from "./databases/database_contents.ts";
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
export const VERSION_KEY = "\x1fVER\x1f";

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
