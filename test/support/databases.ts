/** Small twoskip files for tests, written by hand or broken on purpose. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromLatin1, latin1, utf8, viewOf } from "../../src/core/bytes.ts";
import type {
  DatabaseContents,
  DatabaseEntry,
} from "../../src/formats/cyrus/databases/database_contents.ts";
import {
  emptyRecord,
  readRecord,
  type TwoskipRecord,
} from "../../src/formats/cyrus/databases/twoskip_record.ts";
import { crc32 } from "../../src/hash/crc32.ts";

/** Entries from an object of texts. */
export function entriesOf(texts: Readonly<Record<string, string>>): DatabaseEntry[] {
  return Object.entries(texts).map(([key, value]) => ({ key: utf8(key), value: utf8(value) }));
}

/** Keys and values of a database, one character a byte. */
export function textsOf(contents: Pick<DatabaseContents, "entries">): Record<string, string> {
  return Object.fromEntries(contents.entries.map(({ key, value }) => [latin1(key), latin1(value)]));
}

/** The record at `offset` of a sound twoskip file. */
export function recordAt(bytes: Uint8Array, offset: number): TwoskipRecord {
  const record = emptyRecord();
  const fault = readRecord({ bytes, view: viewOf(bytes), end: bytes.length }, offset, record);
  if (fault !== undefined) throw new Error(`no record at ${offset}: ${fault.what}`);
  return record;
}

/** The offset of the record whose key is `key`. */
export function offsetOfKey(bytes: Uint8Array, key: string): number {
  const at = latin1(bytes).indexOf(key);
  for (let offset = at; offset >= 64; offset -= 1) {
    if (offset % 8 !== 0) continue;
    const record = emptyRecord();
    const file = { bytes, view: viewOf(bytes), end: bytes.length };
    if (readRecord(file, offset, record) === undefined && record.keyOffset === at) return offset;
  }
  throw new Error(`no record with key ${key}`);
}

/** Writes pointer `index` of the record at `offset`, and its head CRC anew. */
export function setPointer(
  bytes: Uint8Array,
  offset: number,
  pointer: { readonly index: number; readonly to: number },
): void {
  const record = recordAt(bytes, offset);
  const view = viewOf(bytes);
  view.setBigUint64(record.pointersOffset + 8 * pointer.index, BigInt(pointer.to));
  const crcOffset = record.keyOffset - 8;
  view.setUint32(crcOffset, crc32(bytes.subarray(offset, crcOffset)));
}

/** Sets fields of the header of a twoskip file, and its CRC anew. */
export function setHeader(
  bytes: Uint8Array,
  fields: { readonly currentSize?: number; readonly flags?: number; readonly numRecords?: number },
): void {
  const view = viewOf(bytes);
  if (fields.numRecords !== undefined) view.setBigUint64(32, BigInt(fields.numRecords));
  if (fields.currentSize !== undefined) view.setBigUint64(48, BigInt(fields.currentSize));
  if (fields.flags !== undefined) view.setUint32(56, fields.flags);
  view.setUint32(60, crc32(bytes.subarray(0, 60)));
}

/** `bytes` with one bit of the byte at `offset` turned over. */
export function flipped(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[offset] = (copy[offset] ?? 0) ^ 1;
  return copy;
}

/** Paths below `root` of all files that begin with `magic`, one character a byte. */
export function filesWithMagic(root: string, magic: string): string[] {
  const start = fromLatin1(magic);
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => Buffer.compare(readFileSync(path).subarray(0, start.length), start) === 0)
    .sort();
}
