/**
 * A message's GUID: the SHA-1 of its file, since Cyrus 2.4. Shown as 40 lower-case hex digits.
 * Older mailboxes hold 12-byte UUIDs instead (spool-format 2.3).
 */

/** 40 lower-case hex digits; all zeros means "not known". */
export type Guid = string;

export const NULL_GUID: Guid = "0".repeat(40);

const GUID_PATTERN = /^[0-9a-f]{40}$/;

/** True for 40 lower-case hex digits: nothing else may name a file or go on the wire. */
export function isGuid(text: string): boolean {
  return GUID_PATTERN.test(text);
}

/**
 * True for the 12-byte UUIDs that Cyrus 2.3 gave its messages, kept in a 20-byte field with eight
 * zero bytes behind them: they say nothing about the content (spool-format 2.3).
 */
export function isLegacyUuid(guid: Guid): boolean {
  return guid !== NULL_GUID && guid.endsWith("0".repeat(16));
}
