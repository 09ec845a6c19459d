/**
 * The status texts of the protocol: the token and text that a refusal is sent with, and the meaning
 * of the tokens that servers send (sync-protocol.md 1.6). A space must follow a token, or Cyrus'
 * client does not recognise it.
 */
import type { RefusalReason } from "../../model/outcome.ts";

/** Token and text of each refusal, as current servers send them. */
export const REFUSAL_TEXTS: Readonly<Record<RefusalReason, string>> = {
  nonexistent: "IMAP_MAILBOX_NONEXISTENT No Such Mailbox",
  moved: "IMAP_MAILBOX_MOVED Mailbox exists with another name or uniqueid",
  checksum: "IMAP_SYNC_CHECKSUM Checksum Failure",
  changed: "IMAP_SYNC_CHANGED Changed since last sync",
  badParameters: "IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters",
  busy: "IMAP_MAILBOX_LOCKED Mailbox is locked",
  noSpace: "Disk is full",
  invalidUser: "IMAP_INVALID_USER No Such User",
  notSupported: "IMAP_MAILBOX_NOTSUPPORTED Operation is not supported on mailbox",
  badSieve: "IMAP_SYNC_BADSIEVE Sieve script compilation failure",
  permissionDenied: "IMAP_PERMISSION_DENIED Permission denied",
  damaged: "Stored data is damaged",
  failed: "Unknown error",
};

/** The meaning of each token, including those that only older servers send. */
const REASON_OF_TOKEN: Readonly<Record<string, RefusalReason>> = {
  IMAP_MAILBOX_NONEXISTENT: "nonexistent",
  IMAP_MAILBOX_MOVED: "moved",
  IMAP_SYNC_CHECKSUM: "checksum",
  IMAP_MAILBOX_CRC: "checksum",
  IMAP_SYNC_CHANGED: "changed",
  IMAP_PROTOCOL_BAD_PARAMETERS: "badParameters",
  IMAP_MAILBOX_LOCKED: "busy",
  IMAP_INVALID_USER: "invalidUser",
  IMAP_MAILBOX_NOTSUPPORTED: "notSupported",
  IMAP_SYNC_BADSIEVE: "badSieve",
  IMAP_PERMISSION_DENIED: "permissionDenied",
};

/** The reason in the text of a NO; `failed` for text that is not ours and has no known token. */
export function reasonOf(text: string): RefusalReason {
  // Only Bobbin says so.
  if (text === REFUSAL_TEXTS.damaged) return "damaged";
  const token = text.split(" ", 1)[0] ?? "";
  return Object.hasOwn(REASON_OF_TOKEN, token) ? (REASON_OF_TOKEN[token] ?? "failed") : "failed";
}
