/**
 * A cyrus.index read in pieces: the header at once, the records some thousands at a time through one
 * buffer, so that an index of a million records takes no more memory than one of ten thousand.
 */
import { closeSync, type Stats } from "node:fs";
import { viewOf } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { openRegular, readAt, type Unopened } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { type IndexHeader, parseIndexHeader } from "../../formats/cyrus/index/index_header.ts";
import { type IndexRecord, parseIndexRecord } from "../../formats/cyrus/index/index_record.ts";
import { INDEX_TABLES, type IndexTable, tableOf } from "../../formats/cyrus/index/index_table.ts";
import { type RecordSpan, recordSpan } from "../../mailbox/index_file.ts";

/** An index that is open, or why there is none. */
export type IndexOpening =
  | { readonly state: "open"; readonly reader: IndexReader }
  | Unopened
  /** Not an index that Bobbin knows: what should have stood there. */
  | { readonly state: "malformed"; readonly expected: string; readonly stat: Stats };

/** Some records as they lie in the file, whole ones only. Valid until the next piece is read. */
export interface RecordPiece {
  /** Number of the first of them, from 0. */
  readonly first: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Byte of the file where they begin. */
  readonly fileOffset: number;
}

/** Records read at a time: about a megabyte, and far more than most mailboxes have. */
const PIECE_RECORDS = 8192;
const LARGEST_HEADER = Math.max(...INDEX_TABLES.map(({ headerSize }) => headerSize));

/** An open index. Its lifetime is that of the file descriptor: close it. */
export class IndexReader implements RecordSpan {
  readonly stat: Stats;
  readonly header: IndexHeader;
  readonly table: IndexTable;
  /** The header as it lies in the file. */
  readonly headerBytes: Uint8Array;
  readonly recordCount: number;
  readonly missingRecords: number;
  readonly tailBytes: number;
  readonly #fd: number;

  private constructor(fd: number, stat: Stats) {
    const start = new Uint8Array(Math.min(LARGEST_HEADER, stat.size));
    const bytes = start.subarray(0, readAt(fd, start, 0));
    this.#fd = fd;
    this.stat = stat;
    this.header = parseIndexHeader(bytes);
    const { minorVersion, recordSize } = this.header;
    const table = tableOf(minorVersion, recordSize);
    if (table === undefined) throw new FormatError(0, "a known index version");
    this.table = table;
    this.headerBytes = bytes.subarray(0, table.headerSize);
    const span = recordSpan(this.header, stat.size);
    if (span.recordCount > DEFAULT_LIMITS.indexRecords) {
      throw new FormatError(table.headerSize, `at most ${DEFAULT_LIMITS.indexRecords} records`);
    }
    this.recordCount = span.recordCount;
    this.missingRecords = span.missingRecords;
    this.tailBytes = span.tailBytes;
  }

  /** Opens the index at `path` and reads its header. */
  static open(path: string): IndexOpening {
    const opened = openRegular(path);
    if (opened.state !== "open") return opened;
    const { fd, stat } = opened;
    try {
      return { state: "open", reader: new IndexReader(fd, stat) };
    } catch (error) {
      closeSync(fd);
      if (!(error instanceof FormatError)) throw error;
      return { state: "malformed", expected: error.expected, stat };
    }
  }

  /** All records that the header counts and the file held when it was opened, piece by piece. */
  *pieces(): Generator<RecordPiece, void> {
    const { recordSize, headerSize } = this.table;
    const buffer = new Uint8Array(Math.min(PIECE_RECORDS, this.recordCount) * recordSize);
    for (let first = 0; first < this.recordCount; first += PIECE_RECORDS) {
      const wanted = Math.min(PIECE_RECORDS, this.recordCount - first);
      const fileOffset = headerSize + first * recordSize;
      const read = readAt(this.#fd, buffer.subarray(0, wanted * recordSize), fileOffset);
      const count = Math.floor(read / recordSize);
      const bytes = buffer.subarray(0, count * recordSize);
      yield { first, count, bytes, view: viewOf(bytes), fileOffset };
      if (count < wanted) return; // cut short since it was opened
    }
  }

  /** The records in file order; throws FormatError as `parseIndexRecord`. */
  *records(): Generator<IndexRecord, void> {
    for (const { view, count } of this.pieces()) {
      for (let at = 0; at < count; at++) {
        yield parseIndexRecord(view, at * this.table.recordSize, this.table);
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
