/**
 * Seen state of one user in mailboxes of others, or of all in a mailbox of an index version below
 * 12: `<user>.seen` or `seen.db`, one record a mailbox (spool-format 6.7, Cyrus imap/seen_db.c).
 *
 *   key: uniqueid of the mailbox      value: `1 lastread lastuid lastchange seenuids`
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { DatabaseEntry } from "./databases/database_contents.ts";

/** What one user has seen in one mailbox. */
export interface SeenEntry {
  readonly uniqueid: string;
  /** Seconds: when the mailbox was last selected. */
  readonly lastread: number;
  /** The highest UID that was no longer recent then. */
  readonly lastuid: number;
  /** Seconds: when `seenuids` last changed. */
  readonly lastchange: number;
  /** A sequence set of UIDs, as `1:4,7`; may be empty. */
  readonly seenuids: string;
}

const VALUE = /^1 (-?\d{1,15}) (\d{1,10}) (-?\d{1,15})(?: ([0-9:,*]*))?$/;

/** Reads one record. Throws FormatError on any other form; what the UIDs say is not looked at. */
export function parseSeen({ key, value }: DatabaseEntry): SeenEntry {
  const match = VALUE.exec(latin1(value));
  if (match === null) throw new FormatError(0, "`1 lastread lastuid lastchange seenuids`");
  const [, lastread, lastuid, lastchange, seenuids = ""] = match;
  return {
    uniqueid: latin1(key),
    lastread: Number(lastread),
    lastuid: Number(lastuid),
    lastchange: Number(lastchange),
    seenuids,
  };
}

/** The record as Cyrus writes it. */
export function seenEntry(seen: SeenEntry): DatabaseEntry {
  const { uniqueid, lastread, lastuid, lastchange, seenuids } = seen;
  const value = fromLatin1(`1 ${lastread} ${lastuid} ${lastchange} ${seenuids}`);
  return { key: fromLatin1(uniqueid), value };
}
