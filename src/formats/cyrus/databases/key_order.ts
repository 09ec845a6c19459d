/**
 * The two orders Cyrus keeps its keys in. Which one a database has depends on the release and on
 * `improved_mboxlist_sort`, so readers accept either (spool-format 7.1).
 */

export type KeyOrder = (left: Uint8Array, right: Uint8Array) => number;

/** The order of keys by their bytes, unsigned. */
export const rawOrder: KeyOrder = (left, right) => Buffer.compare(left, right);

/** Rank of each byte in mailbox order: ends of lines and fields first, then the separator. */
const MAILBOX_RANK = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0x09 || byte === 0x0a) return 1;
  if (byte === 0x2e) return 2;
  if (byte >= 0x01 && byte <= 0x08) return byte + 2;
  return byte;
});

/** Mailbox order: "." sorts before every other byte, so that children follow their parent. */
export const mailboxOrder: KeyOrder = (left, right) => {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const difference = (MAILBOX_RANK[left[at] ?? 0] ?? 0) - (MAILBOX_RANK[right[at] ?? 0] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
};
