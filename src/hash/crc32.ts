/**
 * CRC-32 as zlib computes it (polynomial 0xEDB88320 reflected, start and end inverted): the
 * checksum of cyrus.index headers and records, of cache records and of cyrus.header (spool-format
 * 0).
 *
 * A native call costs about 100 ns with the view it needs, as much as the checksum of a whole index
 * record. So there are two ways here: native code for buffers, and slice-by-8 tables for the many
 * short ranges of one buffer, which make no object per range.
 */

/**
 * The CRC-32 of `bytes`, as an unsigned 32-bit number. `seed` is the CRC-32 of what came before.
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return Bun.hash.crc32(bytes, seed);
}

/** From this length on the native call beats the tables. */
const NATIVE_FROM_BYTES = 256;

/**
 * Entry `k * 256 + b` is the CRC of byte `b` followed by `k` zero bytes: eight tables let eight
 * bytes be folded in at once.
 */
const TABLES = buildTables();

function buildTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const shorter = tables[at - 256] ?? 0;
    tables[at] = (shorter >>> 8) ^ (tables[shorter & 0xff] ?? 0);
  }
  return tables;
}

/** The CRC-32 of `bytes[start, end)`, without a view for it. The range must lie inside `bytes`. */
export function crc32Range(bytes: Uint8Array, start: number, end: number): number {
  if (end - start >= NATIVE_FROM_BYTES) return crc32(bytes.subarray(start, end));
  const t = TABLES;
  let crc = -1;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc =
      (t[0x700 + ((crc ^ (bytes[at] as number)) & 0xff)] as number) ^
      (t[0x600 + (((crc >>> 8) ^ (bytes[at + 1] as number)) & 0xff)] as number) ^
      (t[0x500 + (((crc >>> 16) ^ (bytes[at + 2] as number)) & 0xff)] as number) ^
      (t[0x400 + ((crc >>> 24) ^ (bytes[at + 3] as number))] as number) ^
      (t[0x300 + (bytes[at + 4] as number)] as number) ^
      (t[0x200 + (bytes[at + 5] as number)] as number) ^
      (t[0x100 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

/**
 * The CRC-32 of `words[start, end)`: offsets count 4-byte words. The fastest way over the records
 * of an index, which are 4-aligned in every version that has checksums. Words are read in the order
 * of the host, which is little-endian on everything Bun runs on.
 */
export function crc32Words(words: Int32Array, start: number, end: number): number {
  const t = TABLES;
  let crc = -1;
  let at = start;
  for (; at + 2 <= end; at += 2) {
    const low = crc ^ (words[at] as number);
    const high = words[at + 1] as number;
    crc =
      (t[0x700 + (low & 0xff)] as number) ^
      (t[0x600 + ((low >>> 8) & 0xff)] as number) ^
      (t[0x500 + ((low >>> 16) & 0xff)] as number) ^
      (t[0x400 + (low >>> 24)] as number) ^
      (t[0x300 + (high & 0xff)] as number) ^
      (t[0x200 + ((high >>> 8) & 0xff)] as number) ^
      (t[0x100 + ((high >>> 16) & 0xff)] as number) ^
      (t[high >>> 24] as number);
  }
  if (at < end) {
    const low = crc ^ (words[at] as number);
    crc =
      (t[0x300 + (low & 0xff)] as number) ^
      (t[0x200 + ((low >>> 8) & 0xff)] as number) ^
      (t[0x100 + ((low >>> 16) & 0xff)] as number) ^
      (t[low >>> 24] as number);
  }
  return ~crc >>> 0;
}
