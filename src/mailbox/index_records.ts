/** Many records of a cyrus.index at once: how many there are, and which of them are damaged. */
import { assert } from "../core/assert.ts";
import { viewOf } from "../core/bytes.ts";
import type { IndexHeader } from "../formats/cyrus/index/index_header.ts";
import type { IndexTable } from "../formats/cyrus/index/index_table.ts";
import { crc32Range, crc32Words } from "../hash/crc32.ts";

/** What of the records that a header counts is there. */
export interface RecordSpan {
  /** Whole records that the header counts and the file holds. */
  readonly recordCount: number;
  /** Records that the header counts and the file does not hold whole. */
  readonly missingRecords: number;
  /** Bytes behind the last record counted: legal, an append that was not committed. */
  readonly tailBytes: number;
}

/** The records of an index whose file has `fileBytes` bytes. */
export function recordSpan(
  header: Pick<IndexHeader, "startOffset" | "recordSize" | "numRecords">,
  fileBytes: number,
): RecordSpan {
  const room = Math.max(0, fileBytes - header.startOffset);
  const recordCount = Math.min(header.numRecords, Math.floor(room / header.recordSize));
  const missingRecords = header.numRecords - recordCount;
  const tailBytes = missingRecords > 0 ? 0 : room - recordCount * header.recordSize;
  return { recordCount, missingRecords, tailBytes };
}

/** Records that lie one behind the other from byte `at` on. */
export interface RecordRange {
  readonly table: IndexTable;
  readonly at: number;
  readonly count: number;
}

/**
 * The numbers, counted from 0, of the records of `range` whose checksum is not that of their bytes.
 * `bytes` must hold all of the range. Empty for versions below 12, which have no checksums.
 */
export function badRecordCrcs(bytes: Uint8Array, range: RecordRange): number[] {
  const { table, at, count } = range;
  const { recordSize } = table;
  const crcAt = table.recordAt.recordCrc;
  assert(at + count * recordSize <= bytes.length, "the range of records lies in the bytes");
  if (crcAt < 0) return [];
  const view = viewOf(bytes);
  // Records of the versions with checksums are whole words: words are read faster than bytes.
  const aligned = (bytes.byteOffset + at) % 4 === 0;
  const words = aligned
    ? new Int32Array(bytes.buffer, bytes.byteOffset + at, (count * recordSize) / 4)
    : undefined;
  const bad: number[] = [];
  for (let index = 0; index < count; index++) {
    const start = index * recordSize;
    const computed =
      words === undefined
        ? crc32Range(bytes, at + start, at + start + crcAt)
        : crc32Words(words, start / 4, (start + crcAt) / 4);
    if (computed !== view.getUint32(at + start + crcAt)) bad.push(index);
  }
  return bad;
}
