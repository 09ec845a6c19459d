/**
 * The GUID of a message: since Cyrus 2.4 the SHA-1 of its file, shown as 40 lower-case hex digits.
 * Older mailboxes hold 12-byte UUIDs in its place (spool-format 2.3).
 */

/** 40 lower-case hex digits; all zeros means "not known". */
export type Guid = string;

export const NULL_GUID: Guid = "0".repeat(40);

const GUID_PATTERN = /^[0-9a-f]{40}$/;

/** True for 40 lower-case hex digits. Nothing else may become a file name or be sent to a peer. */
export function isGuid(text: string): boolean {
  return GUID_PATTERN.test(text);
}

/** True where the GUID is the SHA-1 of its message: neither unknown nor a UUID. */
export function isSha1(guid: Guid): boolean {
  return guid !== NULL_GUID && !isLegacyUuid(guid);
}

/**
 * True for a 12-byte UUID that Cyrus 2.3 gave a message, which is kept in a 20-byte field with
 * eight zero bytes behind it. It says nothing about the content, but for `md5PrefixOf`.
 */
export function isLegacyUuid(guid: Guid): boolean {
  return guid !== NULL_GUID && guid.endsWith("0".repeat(16));
}

/** Bytes of the MD5 that a UUID has room for. */
const MD5_PREFIX_BYTES = 11;

/**
 * What a UUID of the first backup system, known by its first byte 02, says of its message: hex
 * digits with which the MD5 begins. Undefined for any other GUID.
 */
export function md5PrefixOf(guid: Guid): string | undefined {
  if (!isLegacyUuid(guid) || !guid.startsWith("02")) return undefined;
  return guid.slice(2, 2 + 2 * MD5_PREFIX_BYTES);
}
