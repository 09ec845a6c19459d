/**
 * A whole cyrus.index: its header, and as many of the records that the header counts as the file holds
 * (spool-format 1.1). The count is never trusted: it is compared with the length of the file first.
 */
import { assert } from "../core/assert.ts";
import { viewOf } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import {
  type IndexHeader,
  indexTableOf,
  parseIndexHeader,
} from "../formats/cyrus/index/index_header.ts";
import { type IndexRecord, parseIndexRecord } from "../formats/cyrus/index/index_record.ts";
import type { IndexTable } from "../formats/cyrus/index/index_table.ts";
import { crc32Range, crc32Words } from "../hash/crc32.ts";

/** An index in memory. Nothing of it is copied. */
export interface IndexFile extends RecordSpan {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly table: IndexTable;
  readonly header: IndexHeader;
}

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

/** Opens an index read whole. Errors as `parseIndexHeader`, and for more records than the limit. */
export function openIndexFile(bytes: Uint8Array, limits: Limits = DEFAULT_LIMITS): IndexFile {
  const table = indexTableOf(bytes);
  const header = parseIndexHeader(bytes);
  const span = recordSpan(header, bytes.length);
  if (span.recordCount > limits.indexRecords) {
    throw new FormatError(table.headerSize, `at most ${limits.indexRecords} index records`);
  }
  return { bytes, view: viewOf(bytes), table, header, ...span };
}

/** The byte at which the record number `index`, counted from 0, starts. */
export function recordOffset(file: IndexFile, index: number): number {
  return file.table.headerSize + index * file.table.recordSize;
}

/** The records in file order, one after the other; errors as `parseIndexRecord`. */
export function* recordsOf(file: IndexFile): Generator<IndexRecord, void> {
  for (let index = 0; index < file.recordCount; index++) {
    yield parseIndexRecord(file.view, recordOffset(file, index), file.table);
  }
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
