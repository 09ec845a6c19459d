/**
 * Writing a whole twoskip file, as Cyrus' checkpoint would leave it (spool-format 7.3): all entries
 * in order in one transaction, ended by a commit record, the header clean. The same entries always
 * give the same bytes: levels are not drawn by lot but follow from the place of the record.
 */
import { assert } from "../../../core/assert.ts";
import { fromLatin1, viewOf } from "../../../core/bytes.ts";
import { crc32 } from "../../../hash/crc32.ts";
import type { DatabaseEntry } from "./database_contents.ts";
import { type KeyOrder, rawOrder } from "./key_order.ts";
import * as layout from "./twoskip_record.ts";

/** A record's head is rewritten in place, so it should lie within one block of the disk. */
const BLOCK = 512;

export interface WriteTwoskipOptions {
  /** One more than that of the file it replaces, so that others know their offsets are void. */
  readonly generation?: bigint;
  /** The order the reading Cyrus expects; raw bytes if not given. */
  readonly order?: KeyOrder;
}

/** The bytes of a twoskip file that holds exactly `entries`, in any order given, each key once. */
export function writeTwoskip(
  entries: readonly DatabaseEntry[],
  options: WriteTwoskipOptions = {},
): Uint8Array {
  const order = options.order ?? rawOrder;
  const sorted = [...entries].sort((left, right) => order(left.key, right.key));
  const places = placeRecords(sorted, order);
  const last = places.at(-1);
  const commitOffset = paddedOffset(last === undefined ? layout.FIRST_OFFSET : last.end, 24);
  const size = last === undefined ? layout.FIRST_OFFSET : commitOffset + 24;
  const bytes = new Uint8Array(size);
  fillWithBlanks(bytes.subarray(layout.FIRST_OFFSET));
  writeRecords(bytes, places);
  if (last !== undefined) {
    const commit = { type: layout.TYPE_COMMIT, pointers: [layout.FIRST_OFFSET] };
    writeRecord(bytes, commitOffset, commit);
  }
  const generation = options.generation ?? 1n;
  const sizes = { numRecords: sorted.length, repackSize: size, currentSize: size };
  bytes.set(printHeader({ version: 1, generation, ...sizes, dirty: false }));
  return bytes;
}

interface Place {
  readonly entry: DatabaseEntry;
  readonly level: number;
  readonly offset: number;
  readonly end: number;
}

function placeRecords(sorted: readonly DatabaseEntry[], order: KeyOrder): Place[] {
  const places: Place[] = [];
  let end = layout.FIRST_OFFSET;
  for (const [at, entry] of sorted.entries()) {
    const previous = places.at(-1)?.entry;
    assert(entry.key.length > 0, "a twoskip key is not empty");
    assert(previous === undefined || order(previous.key, entry.key) < 0, "each key comes once");
    const level = levelOf(at);
    const headSize = headSizeOf(entry, level);
    const offset = paddedOffset(end, headSize);
    end = offset + headSize + roundUp(entry.key.length + entry.value.length);
    places.push({ entry, level, offset, end });
  }
  return places;
}

/** Level 1 for every second number, 2 for every fourth …: what a fair coin gives on average. */
export function levelOf(place: number): number {
  const trailingZeros = 31 - Math.clz32((place + 1) & -(place + 1));
  return Math.min(1 + trailingZeros, layout.MAX_LEVEL);
}

/** Bytes of the head of a record: all before its key. */
export function headSizeOf(entry: DatabaseEntry, level: number): number {
  const long = (entry.key.length >= 0xffff ? 8 : 0) + (entry.value.length >= 0xffff_ffff ? 8 : 0);
  return 8 + long + 8 * (level + 1) + 8;
}

/** Where a record goes so that, but for its first and last 8 bytes, its head crosses no block. */
export function paddedOffset(end: number, headSize: number): number {
  if (headSize > BLOCK - 8) return end;
  let offset = end;
  while ((offset + 8) % BLOCK > (offset - 8 + headSize) % BLOCK) offset += 8;
  return offset;
}

/** Keys and values are filled up to eight bytes. */
export function roundUp(length: number): number {
  return Math.ceil(length / 8) * 8;
}

/** Fills `bytes`, a multiple of eight, with what stands between records. */
export function fillWithBlanks(bytes: Uint8Array): void {
  const blank = fromLatin1(layout.BLANK);
  for (let at = 0; at < bytes.length; at += 8) bytes.set(blank, at);
}

/** Writes from the last record to the first, since each points to what comes behind it. */
function writeRecords(bytes: Uint8Array, places: readonly Place[]): void {
  // ahead[level] is the next record that has that level; pointer index 0 stays 0, as Cyrus has it.
  const ahead = new Array<number>(layout.MAX_LEVEL + 1).fill(0);
  for (const place of places.toReversed()) {
    const pointers = [0, ...ahead.slice(1, place.level + 1)];
    writeRecord(bytes, place.offset, { type: layout.TYPE_LIVE, pointers, entry: place.entry });
    ahead.fill(place.offset, 1, place.level + 1);
  }
  const pointers = [0, ...ahead.slice(1)];
  writeRecord(bytes, layout.DUMMY_OFFSET, { type: layout.TYPE_DUMMY, pointers });
}

/** A record that is to be written; its level follows from its pointers. */
export interface NewRecord {
  readonly type: number;
  readonly pointers: readonly number[];
  readonly entry?: DatabaseEntry;
}

/** Writes `record` at byte `offset` of `bytes`. */
export function writeRecord(bytes: Uint8Array, offset: number, record: NewRecord): void {
  const view = viewOf(bytes);
  const key = record.entry?.key ?? new Uint8Array();
  const value = record.entry?.value ?? new Uint8Array();
  view.setUint8(offset, record.type);
  view.setUint8(offset + 1, record.pointers.length - 1);
  view.setUint16(offset + 2, Math.min(key.length, 0xffff));
  view.setUint32(offset + 4, Math.min(value.length, 0xffff_ffff));
  let at = offset + 8;
  const put = (number: number) => {
    view.setBigUint64(at, BigInt(number));
    at += 8;
  };
  if (key.length >= 0xffff) put(key.length);
  if (value.length >= 0xffff_ffff) put(value.length);
  for (const pointer of record.pointers) put(pointer);
  const tail = bytes.subarray(at + 8, at + 8 + roundUp(key.length + value.length));
  tail.fill(0);
  tail.set(key);
  tail.set(value, key.length);
  view.setUint32(at, crc32(bytes.subarray(offset, at)));
  view.setUint32(at + 4, crc32(tail));
}

/** The 64 bytes at the start of a file. */
export function printHeader(header: layout.TwoskipHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layout.HEADER_SIZE);
  const view = viewOf(bytes);
  bytes.set(fromLatin1(layout.TWOSKIP_MAGIC));
  view.setUint32(20, header.version);
  view.setBigUint64(24, header.generation);
  view.setBigUint64(32, BigInt(header.numRecords));
  view.setBigUint64(40, BigInt(header.repackSize));
  view.setBigUint64(48, BigInt(header.currentSize));
  view.setUint32(56, header.dirty ? 1 : 0);
  view.setUint32(60, crc32(bytes.subarray(0, 60)));
  return bytes;
}
