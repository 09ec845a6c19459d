/**
 * A mailbox's files in memory while a transaction is planned: records are looked up, changed and
 * appended here, and come out as redo steps. All sums of the index header are kept by taking the old
 * record out and putting the new one in, so a change costs the same in a mailbox of any size.
 */
import { assert } from "../core/assert.ts";
import { concat } from "../core/bytes.ts";
import { AppError, FormatError } from "../core/errors.ts";
import {
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
  recordCrcs,
} from "../formats/cyrus/index/index_record.ts";
import type { IndexTable } from "../formats/cyrus/index/index_table.ts";
import type { IndexFit, RedoStep } from "../places/store/commit/journal.ts";
import { headOf, type IndexPart, type IndexSource, partReader, sizeOf } from "./index_source.ts";

/** Bytes of one redo row at most: SQLite takes more, but a row is one allocation. */
const RUN_BYTES = 4 * 1024 * 1024;

/** Header fields that are sums over the records, or say how many there are. */
type DerivedField =
  | "numRecords"
  | "exists"
  | "answered"
  | "flagged"
  | "deleted"
  | "unseen"
  | "quotaMailboxUsed"
  | "quotaDeletedUsed"
  | "quotaExpungedUsed"
  | "quotaAnnotUsed"
  | "syncCrc"
  | "syncCrcAnnot"
  | "headerCrc";

/** What a caller may set in the header. */
export type HeaderChange = Partial<Omit<IndexHeader, DerivedField>>;

/** The index of one mailbox, with the changes of one transaction. */
export class IndexImage {
  readonly table: IndexTable;
  readonly #path: string;
  readonly #head: Uint8Array;
  readonly #part: (number: number) => IndexPart;
  readonly #before: IndexHeader;
  readonly #changed = new Map<number, IndexRecord>();
  readonly #appended: IndexRecord[] = [];
  #header: IndexHeader;

  /** `path` names the file in messages; damage in the header is refused. */
  constructor(source: IndexSource, path: string) {
    this.#path = path;
    const head = headOf(source);
    this.#head = head;
    try {
      this.table = indexTableOf(head);
      this.#before = parseIndexHeader(head);
    } catch (error) {
      throw error instanceof FormatError ? this.#damaged(error.message) : error;
    }
    const crcs = indexHeaderCrcs(head, this.table);
    if (crcs === undefined) throw this.#damaged(`version ${this.table.version} has no checksums`);
    if (crcs.stored !== crcs.computed) throw this.#damaged("header CRC mismatch");
    const needed = this.table.headerSize + this.#before.numRecords * this.table.recordSize;
    const size = sizeOf(source);
    if (size < needed) throw this.#damaged(`${size} bytes, ${needed} expected`);
    this.#part = partReader(source, this.table);
    this.#header = this.#before;
  }

  #damaged(what: string): AppError {
    return new AppError("bad_data", `Cannot use ${this.#path}: ${what}`, {
      context: { path: this.#path },
      hint: "Run `bobbin fsck` on the store.",
    });
  }

  /** The header as it is to be, sums included. */
  get header(): IndexHeader {
    return this.#header;
  }

  /** HEADER_CRC of the file as it is, and as it is to be. */
  get headerCrcs(): { readonly before: number; readonly after: number } {
    const after = indexHeaderCrcs(printIndexHeader(this.#header), this.table)?.computed ?? 0;
    return { before: this.#before.headerCrc, after };
  }

  /** Records, new ones included. */
  get count(): number {
    return this.#header.numRecords;
  }

  /** The UID of record `number`, counted from 0. */
  #uidAt(number: number): number {
    const stored = this.#before.numRecords;
    if (number >= stored) return this.#appended[number - stored]?.uid ?? 0;
    const { view, start } = this.#part(number);
    return view.getUint32(this.#offsetOf(number) - start + this.table.recordAt.uid);
  }

  #offsetOf(number: number): number {
    return this.table.headerSize + number * this.table.recordSize;
  }

  /** The number of the record with `uid`, or undefined. UIDs ascend. */
  find(uid: number): number | undefined {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#uidAt(middle) < uid) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.#uidAt(low) === uid ? low : undefined;
  }

  /** Record `number` as it is to be. One whose checksum is wrong is never served. */
  record(number: number): IndexRecord {
    const changed = this.#changed.get(number);
    if (changed !== undefined) return changed;
    const stored = this.#before.numRecords;
    if (number >= stored) {
      const appended = this.#appended[number - stored];
      assert(appended !== undefined, `record ${number} of ${this.count}`);
      return appended;
    }
    const { bytes, view, start } = this.#part(number);
    const offset = this.#offsetOf(number) - start;
    const crcs = recordCrcs(bytes, offset, this.table);
    if (crcs === undefined || crcs.stored !== crcs.computed) {
      throw this.#damaged(`CRC mismatch in the record of UID ${this.#uidAt(number)}`);
    }
    return parseIndexRecord(view, offset, this.table);
  }

  /** Every record as it is to be, by UID. */
  *records(): Generator<IndexRecord> {
    for (let number = 0; number < this.count; number++) yield this.record(number);
  }

  /** Puts `record` in the place of record `number`; `sums` moves the header's sums from old to new. */
  change(number: number, record: IndexRecord, sums: (header: IndexHeader) => IndexHeader): void {
    assert(this.#uidAt(number) === record.uid, "a record keeps its UID");
    const stored = this.#before.numRecords;
    if (number >= stored) this.#appended[number - stored] = record;
    else this.#changed.set(number, record);
    this.#header = sums(this.#header);
  }

  /** Appends `record`, whose UID must be above all others. */
  append(record: IndexRecord, sums: (header: IndexHeader) => IndexHeader): void {
    const last = this.count === 0 ? 0 : this.#uidAt(this.count - 1);
    assert(record.uid > last, `UID ${record.uid} after ${last}`);
    this.#appended.push(record);
    this.#header = { ...sums(this.#header), numRecords: this.#header.numRecords + 1 };
  }

  /** Sets header fields that are no sums. */
  setHeader(change: HeaderChange): void {
    this.#header = { ...this.#header, ...change };
  }

  /** Sets the sums, as a recount found them. */
  setSums(sums: Partial<Pick<IndexHeader, DerivedField>>): void {
    this.#header = { ...this.#header, ...sums };
  }

  /** The changes as steps on the file at `path`: records first, the header last, as Cyrus writes. */
  steps(path: string): RedoStep[] {
    const header = printIndexHeader(this.#header);
    const isNew = Buffer.compare(header, this.#head.subarray(0, header.length)) !== 0;
    if (!isNew && this.#changed.size === 0) return [];
    const fit: IndexFit = {
      generation: this.#before.generationNo,
      recordsBefore: this.#before.numRecords,
      recordsAfter: this.#header.numRecords,
    };
    const steps: RedoStep[] = [];
    for (const run of this.#runs()) {
      steps.push({
        kind: "write",
        path,
        offset: this.#offsetOf(run.first),
        bytes: this.#print(run.records),
        fit,
      });
    }
    steps.push({ kind: "write", path, offset: 0, bytes: header, fit });
    return steps;
  }

  /** The whole file, of a mailbox that is about to be made. */
  print(): Uint8Array {
    const records = [...this.records()];
    return concat([printIndexHeader(this.#header), this.#print(records)]);
  }

  /** Changed and appended records in runs that lie side by side in the file. */
  *#runs(): Generator<{ first: number; records: IndexRecord[] }> {
    const most = Math.max(1, Math.floor(RUN_BYTES / this.table.recordSize));
    const numbers = [...this.#changed.keys()].sort((left, right) => left - right);
    const stored = this.#before.numRecords;
    const all: [number, IndexRecord][] = numbers.map((number) => [number, this.record(number)]);
    for (const [at, record] of this.#appended.entries()) all.push([stored + at, record]);
    let run: { first: number; records: IndexRecord[] } | undefined;
    for (const [number, record] of all) {
      if (
        run !== undefined &&
        run.first + run.records.length === number &&
        run.records.length < most
      ) {
        run.records.push(record);
        continue;
      }
      if (run !== undefined) yield run;
      run = { first: number, records: [record] };
    }
    if (run !== undefined) yield run;
  }

  #print(records: readonly IndexRecord[]): Uint8Array {
    const bytes = new Uint8Array(records.length * this.table.recordSize);
    for (const [at, record] of records.entries()) {
      printIndexRecord(record, this.table, bytes, at * this.table.recordSize);
    }
    return bytes;
  }
}
