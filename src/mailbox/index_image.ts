/**
 * The cyrus.index of one mailbox: its header, its records by number, UID and modseq, and the
 * changes of one transaction. What changed comes out as steps on the file. Of a large index only
 * the parts that are asked for are read, and the number of records is never trusted: it is compared
 * with the length of the file first (spool-format 1 and 2).
 */
import { assert } from "../core/assert.ts";
import { concat, viewOf } from "../core/bytes.ts";
import { AppError, FormatError } from "../core/errors.ts";
import {
  bytesAt,
  type FilePart,
  type FileSource,
  partReader,
  sizeOf,
} from "../core/file_source.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import {
  type CrcPair,
  type IndexHeader,
  indexHeaderCrcs,
  indexTableOf,
  parseIndexHeader,
  printIndexHeader,
} from "../formats/cyrus/index/index_header.ts";
import {
  type IndexRecord,
  parseIndexRecord,
  printIndexRecord,
} from "../formats/cyrus/index/index_record.ts";
import { INDEX_HEADER_BYTES, type IndexTable } from "../formats/cyrus/index/index_table.ts";
import type { FileFit, FileStep } from "./file_step.ts";
import { badRecordCrcs, type RecordSpan, recordSpan } from "./index_records.ts";

/** Bytes of one step at most: it becomes a row of the journal, which is one allocation. */
const RUN_BYTES = 4 * 1024 * 1024;

/** Records of one part of a file that is read in parts. */
const PART_RECORDS = 256;

/**
 * Records of a piece, when all are read in turn: about a megabyte, more than most mailboxes have.
 */
const PIECE_RECORDS = 8192;

/** Header fields that are sums over the records, or say how many there are. */
type DerivedField =
  | ("numRecords" | "exists" | "answered" | "flagged" | "deleted" | "unseen")
  | ("quotaMailboxUsed" | "quotaDeletedUsed" | "quotaExpungedUsed" | "quotaAnnotUsed")
  | ("syncCrc" | "syncCrcAnnot" | "headerCrc");

/** What a caller may set in the header. */
export type HeaderChange = Partial<Omit<IndexHeader, DerivedField>>;

/**
 * Some records as they lie in the file, whole ones, one behind the other from byte 0 of `bytes` on.
 */
export interface RecordPiece {
  /** Number of the first of them, from 0. */
  readonly first: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Byte of the file where they begin. */
  readonly fileOffset: number;
}

export class IndexImage implements RecordSpan {
  readonly table: IndexTable;
  /** The header as it lies in the file. */
  readonly headerBytes: Uint8Array;
  readonly recordCount: number;
  readonly missingRecords: number;
  readonly tailBytes: number;
  readonly #path: string;
  readonly #source: FileSource;
  readonly #part: (number: number) => FilePart;
  readonly #before: IndexHeader;
  readonly #changed = new Map<number, IndexRecord>();
  /** Appended records as they are to lie in the file, `PART_RECORDS` in each part. */
  readonly #appended: FilePart[] = [];
  #count: number;
  #header: IndexHeader;
  /** Bytes in memory whose records were all found good need no second look. */
  #isProven = false;

  private constructor(source: FileSource, path: string, limits: Limits) {
    this.#path = path;
    this.#source = source;
    const head = bytesAt(source, { offset: 0, length: INDEX_HEADER_BYTES });
    const table = indexTableOf(head);
    this.table = table;
    this.headerBytes = head.subarray(0, table.headerSize);
    this.#before = parseIndexHeader(head);
    this.#header = this.#before;
    const span = recordSpan(this.#before, sizeOf(source));
    if (span.recordCount > limits.indexRecords) {
      throw new FormatError(table.headerSize, `at most ${limits.indexRecords} index records`);
    }
    this.recordCount = span.recordCount;
    this.#count = span.recordCount;
    this.missingRecords = span.missingRecords;
    this.tailBytes = span.tailBytes;
    const bytes = PART_RECORDS * table.recordSize;
    this.#part = partReader(source, { first: table.headerSize, bytes });
  }

  /**
   * An index in whatever state; `path` names it in messages. A FormatError says that this is no
   * index of a version that Bobbin knows, or one of more records than the limit.
   */
  static open(source: FileSource, path: string, limits: Limits = DEFAULT_LIMITS): IndexImage {
    return new IndexImage(source, path, limits);
  }

  /** An index whose header is right and whose records are all there. Damage is an AppError. */
  static openSound(source: FileSource, path: string): IndexImage {
    let image: IndexImage;
    try {
      image = IndexImage.open(source, path);
    } catch (error) {
      throw error instanceof FormatError ? damaged(path, error.message) : error;
    }
    const { storedCrcs: crcs, table, missingRecords } = image;
    if (crcs === undefined) throw damaged(path, `version ${table.version} has no checksums`);
    if (crcs.stored !== crcs.computed) throw damaged(path, "header CRC mismatch");
    if (missingRecords > 0) {
      const needed = image.offsetOf(image.header.numRecords);
      throw damaged(path, `${sizeOf(source)} bytes, ${needed} expected`);
    }
    return image;
  }

  /** The header as it is to be, sums included. */
  get header(): IndexHeader {
    const numRecords = this.#before.numRecords + this.#count - this.recordCount;
    if (numRecords !== this.#header.numRecords) this.#header = { ...this.#header, numRecords };
    return this.#header;
  }

  /** The checksum of the header as it lies in the file. */
  get storedCrcs(): CrcPair | undefined {
    return indexHeaderCrcs(this.headerBytes, this.table);
  }

  /** HEADER_CRC of the file as it is, and as it is to be. */
  get headerCrcs(): { readonly before: number; readonly after: number } {
    const after = indexHeaderCrcs(printIndexHeader(this.header), this.table)?.computed ?? 0;
    return { before: this.#before.headerCrc, after };
  }

  /** Records, new ones included. */
  get count(): number {
    return this.#count;
  }

  // ==========================================================================================
  // Reading

  /** The UID of record `number`, counted from 0, without a look at its checksum. */
  uidAt(number: number): number {
    const { view, start } = this.#partOf(number);
    return view.getUint32(this.offsetOf(number) - start + this.table.recordAt.uid);
  }

  /** The byte of the file at which record `number` starts. */
  offsetOf(number: number): number {
    return this.table.headerSize + number * this.table.recordSize;
  }

  #partOf(number: number): FilePart {
    if (number < this.recordCount) return this.#part(Math.floor(number / PART_RECORDS));
    const part = this.#appended[Math.floor((number - this.recordCount) / PART_RECORDS)];
    assert(part !== undefined && number < this.#count, `record ${number} of ${this.#count}`);
    return part;
  }

  /** The number of the record with `uid`, or undefined. UIDs ascend. */
  find(uid: number): number | undefined {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.uidAt(middle) < uid) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.uidAt(low) === uid ? low : undefined;
  }

  /** Record `number` as it is to be. One whose checksum is wrong is never served. */
  record(number: number): IndexRecord {
    const changed = this.#changed.get(number);
    if (changed !== undefined) return changed;
    const { table } = this;
    const { bytes, view, start } = this.#partOf(number);
    const at = this.offsetOf(number) - start;
    const isProven = this.#isProven || number >= this.recordCount;
    if (!isProven && badRecordCrcs(bytes, { table, at, count: 1 }).length > 0) {
      throw this.#badRecord(number);
    }
    return parseIndexRecord(view, at, table);
  }

  #badRecord(number: number): AppError {
    return damaged(this.#path, `CRC mismatch in the record of UID ${this.uidAt(number)}`);
  }

  /** Every record as it is to be, by UID; ends with an error at one whose checksum is wrong. */
  *records(): Generator<IndexRecord, void> {
    const { table } = this;
    for (const { bytes, view, first, count } of this.pieces()) {
      const range = { table, at: 0, count };
      const bad = this.#isProven ? undefined : badRecordCrcs(bytes, range)[0];
      for (let at = 0; at < (bad ?? count); at++) {
        const changed = this.#changed.size > 0 ? this.#changed.get(first + at) : undefined;
        yield changed ?? parseIndexRecord(view, at * table.recordSize, table);
      }
      if (bad !== undefined) throw this.#badRecord(first + bad);
    }
    for (let number = this.recordCount; number < this.#count; number++) yield this.record(number);
  }

  /**
   * The records as they lie in the file, without the changes, some thousands at a time. A piece is
   * valid until the next is asked for; the last may be short in a file that was cut meanwhile.
   */
  *pieces(): Generator<RecordPiece, void> {
    const { recordSize } = this.table;
    const all = this.recordCount;
    const most = this.#source instanceof Uint8Array ? all : Math.min(PIECE_RECORDS, all);
    const into = this.#source instanceof Uint8Array ? undefined : new Uint8Array(most * recordSize);
    for (let first = 0; first < all; first += most) {
      const wanted = Math.min(most, all - first);
      const fileOffset = this.offsetOf(first);
      const part = { offset: fileOffset, length: wanted * recordSize };
      const found = bytesAt(this.#source, into === undefined ? part : { ...part, into });
      const count = Math.floor(found.length / recordSize);
      const bytes = found.subarray(0, count * recordSize);
      yield { first, count, bytes, view: viewOf(bytes), fileOffset };
      if (count < wanted) return;
    }
  }

  /** The number of the first record whose checksum is wrong; undefined where none is. */
  firstBadRecord(): number | undefined {
    for (const { bytes, first, count } of this.pieces()) {
      const [bad] = badRecordCrcs(bytes, { table: this.table, at: 0, count });
      if (bad !== undefined) return first + bad;
    }
    this.#isProven = this.#source instanceof Uint8Array;
    return undefined;
  }

  // ==========================================================================================
  // Changing

  /** Puts `record` in the place of record `number`, which has the same UID. */
  change(number: number, record: IndexRecord): void {
    assert(this.uidAt(number) === record.uid, "a record keeps its UID");
    if (number < this.recordCount) this.#changed.set(number, record);
    else this.#printAppended(record, number);
  }

  /** Appends `record`, whose UID must be above all others. */
  append(record: IndexRecord): void {
    const last = this.count === 0 ? 0 : this.uidAt(this.count - 1);
    assert(record.uid > last, `UID ${record.uid} after ${last}`);
    if ((this.#count - this.recordCount) % PART_RECORDS === 0) {
      const bytes = new Uint8Array(PART_RECORDS * this.table.recordSize);
      this.#appended.push({ bytes, view: viewOf(bytes), start: this.offsetOf(this.#count) });
    }
    this.#count += 1;
    this.#printAppended(record, this.#count - 1);
  }

  #printAppended(record: IndexRecord, number: number): void {
    const { bytes, start } = this.#partOf(number);
    printIndexRecord(record, this.table, bytes, this.offsetOf(number) - start);
  }

  /** Sets header fields that are no sums. */
  setHeader(change: HeaderChange): void {
    this.#header = { ...this.#header, ...change };
  }

  /** Sets header fields that are sums over the records; whoever changes records sees to them. */
  setSums(sums: Partial<Pick<IndexHeader, DerivedField>>): void {
    this.#header = { ...this.#header, ...sums };
  }

  /**
   * The changes as steps on the file at `path`: records first, the header last, as Cyrus writes.
   */
  steps(path: string): FileStep[] {
    const header = printIndexHeader(this.header);
    const isNew = Buffer.compare(header, this.headerBytes) !== 0;
    if (!isNew && this.#changed.size === 0) return [];
    const fit: FileFit = {
      generation: this.#before.generationNo,
      before: this.#before.numRecords,
      after: this.header.numRecords,
    };
    const steps: FileStep[] = [];
    for (const run of this.#runs()) steps.push({ kind: "write", path, ...run, fit });
    steps.push({ kind: "write", path, offset: 0, bytes: header, fit });
    return steps;
  }

  /** The whole file. Ends with an error at a record whose checksum is wrong. */
  print(): Uint8Array {
    const bad = this.#isProven ? undefined : this.firstBadRecord();
    if (bad !== undefined) throw this.#badRecord(bad);
    const file = new Uint8Array(this.offsetOf(this.#count));
    for (const { bytes, fileOffset } of this.pieces()) file.set(bytes, fileOffset);
    for (const { bytes, offset } of this.#runs()) file.set(bytes, offset);
    file.set(printIndexHeader(this.header));
    return file;
  }

  /** Changed and appended records in runs that lie side by side in the file. */
  *#runs(): Generator<{ readonly offset: number; readonly bytes: Uint8Array }> {
    let [parts, offset, length]: [Uint8Array[], number, number] = [[], 0, 0];
    for (const span of this.#spans()) {
      if (span.offset !== offset + length || length + span.bytes.length > RUN_BYTES) {
        if (length > 0) yield { offset, bytes: concat(parts) };
        [parts, offset, length] = [[], span.offset, 0];
      }
      parts.push(span.bytes);
      length += span.bytes.length;
    }
    if (length > 0) yield { offset, bytes: concat(parts) };
  }

  *#spans(): Generator<{ readonly offset: number; readonly bytes: Uint8Array }> {
    for (const [number, record] of [...this.#changed].sort(([left], [right]) => left - right)) {
      yield { offset: this.offsetOf(number), bytes: printIndexRecord(record, this.table) };
    }
    const end = this.offsetOf(this.#count);
    for (const { bytes, start } of this.#appended) {
      yield { offset: start, bytes: bytes.subarray(0, end - start) };
    }
  }
}

/** Damage in a file of a mailbox that is to be served or changed. */
export function damaged(path: string, what: string): AppError {
  return new AppError("bad_data", `Cannot use ${path}: ${what}`, {
    context: { path },
    hint: "Run `bobbin fsck` on the store.",
  });
}
