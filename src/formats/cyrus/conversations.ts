/**
 * The one thing replication asks of a user's conversations database: how far conversations have
 * changed in each mailbox (spool-format 6.7, Cyrus imap/conversations.c).
 *
 *   key: `F` and the uniqueid of the mailbox, until 3.4 its internal name
 *   value: version, blank, `(modseq exists unseen …)`
 */
import { latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { DatabaseEntry } from "./databases/database_contents.ts";

const FOLDER_KEY = "F";
const FOLDER_VALUE = /^\d{1,10} \((\d{1,20})(?: [^()]*)?\)/;

/**
 * The modseq (XCONVMODSEQ) of each mailbox, by uniqueid or internal name. Other records are passed
 * over. Throws FormatError for a record of a mailbox in another form.
 */
export function conversationModseqs(entries: readonly DatabaseEntry[]): Map<string, bigint> {
  const modseqs = new Map<string, bigint>();
  for (const { key, value } of entries) {
    const name = latin1(key);
    if (!name.startsWith(FOLDER_KEY)) continue;
    const match = FOLDER_VALUE.exec(latin1(value));
    if (match === null) throw new FormatError(0, "a version and numbers in parentheses");
    modseqs.set(name.slice(FOLDER_KEY.length), BigInt(match[1] ?? 0));
  }
  return modseqs;
}
