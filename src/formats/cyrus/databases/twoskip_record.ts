/**
 * The layout of a twoskip file: its header and single records (spool-format 7.3, Cyrus
 * lib/cyrusdb_twoskip.c). All numbers are big-endian.
 *
 *   header, 64 bytes:  magic 20, version 4, generation 8, num_records 8, repack_size 8,
 *                      current_size 8, flags 4 (bit 0 = dirty), CRC of the 60 bytes before
 *   record, 8-aligned: type 1, level 1, keylen 2, vallen 4, [long keylen 8], [long vallen 8],
 *                      pointers 8 × (level + 1), head CRC 4, tail CRC 4, key, value, zeros to 8
 *
 * Pointers 0 and 1 both lead along level 0; the one written last lies higher, so that a transaction
 * that was broken off leaves the older one to follow.
 */
import { hex32, latin1 } from "../../../core/bytes.ts";
import { crc32Range } from "../../../hash/crc32.ts";
import type { DatabaseProblem } from "./database_contents.ts";

export const TWOSKIP_MAGIC = "\xa1\x02\x8b\x0dtwoskip file\0\0\0\0";
export const HEADER_SIZE = 64;
export const DUMMY_OFFSET = 64;
export const MAX_LEVEL = 31;
/** The dummy at 64 and its 32 pointers end here; the first real record follows. */
export const FIRST_OFFSET = DUMMY_OFFSET + 8 + 8 * (MAX_LEVEL + 1) + 8;
/** Eight bytes that fill the file up so that no record head crosses a disk block. */
export const BLANK = " BLANK\x07\xa0";

export const TYPE_DUMMY: number = 0x3d;
export const TYPE_LIVE: number = 0x2b;
export const TYPE_DELETE: number = 0x2d;
export const TYPE_COMMIT: number = 0x24;

const LONG_KEY = 0xffff;
const LONG_VALUE = 0xffff_ffff;
const BLANK_HIGH = 0x20424c41;
const BLANK_LOW = 0x4e4b07a0;

/** The bytes of a file with a view over them. */
export interface TwoskipFile {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** What lies at or behind this offset was never committed, or is not there. */
  readonly end: number;
}

export interface TwoskipHeader {
  readonly version: number;
  /** Grows with every checkpoint. */
  readonly generation: bigint;
  readonly numRecords: number;
  /** Size of the file after its last checkpoint. */
  readonly repackSize: number;
  /** Size of the file after its last commit. */
  readonly currentSize: number;
  readonly dirty: boolean;
}

/** One record's head, filled in place by `readRecord`: a large file has a million of them. */
export interface TwoskipRecord {
  offset: number;
  type: number;
  level: number;
  /** Where its first pointer lies. */
  pointersOffset: number;
  keyOffset: number;
  keyLength: number;
  valueLength: number;
  /** Bytes of the whole record with its padding. */
  size: number;
}

/** True for a file that begins as a twoskip file does and has room for its header. */
export function hasTwoskipHeader(bytes: Uint8Array): boolean {
  const start = latin1(bytes.subarray(0, TWOSKIP_MAGIC.length));
  return bytes.length >= HEADER_SIZE && start === TWOSKIP_MAGIC;
}

/** A record of no type, to be read into. */
export function emptyRecord(): TwoskipRecord {
  return {
    offset: 0,
    type: 0,
    level: 0,
    pointersOffset: 0,
    keyOffset: 0,
    keyLength: 0,
    valueLength: 0,
    size: 0,
  };
}

/** An unsigned 64-bit number; one above 2^53 loses its low bits, and is out of any file's range. */
export function uint64At(view: DataView, offset: number): number {
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}

/**
 * The header of a file of at least 64 bytes that begins with the magic, and whether its CRC fits.
 */
export function readHeader(file: TwoskipFile): {
  header: TwoskipHeader;
  problem: DatabaseProblem | undefined;
} {
  const { bytes, view } = file;
  const header: TwoskipHeader = {
    version: view.getUint32(20),
    generation: view.getBigUint64(24),
    numRecords: uint64At(view, 32),
    repackSize: uint64At(view, 40),
    currentSize: uint64At(view, 48),
    dirty: (view.getUint32(56) & 1) !== 0,
  };
  const stored = view.getUint32(60);
  const computed = crc32Range(bytes, 0, 60);
  const problem =
    stored === computed ? undefined : crcProblem(60, "header CRC", { computed, stored });
  return { header, problem };
}

/** True where eight bytes of filler stand. */
export function isBlank(file: TwoskipFile, offset: number): boolean {
  return (
    file.view.getUint32(offset) === BLANK_HIGH && file.view.getUint32(offset + 4) === BLANK_LOW
  );
}

/**
 * Reads the head of the record at `offset` into `record` and checks its CRC; the record must end
 * before the end. Returns what is wrong with it. The key and value are checked by `checkTail`.
 */
export function readRecord(
  file: TwoskipFile,
  offset: number,
  record: TwoskipRecord,
): DatabaseProblem | undefined {
  const { view, end } = file;
  if (offset < DUMMY_OFFSET || offset % 8 !== 0 || offset + 24 > end) {
    const expected = `a multiple of 8 from ${DUMMY_OFFSET} to ${end - 24}`;
    return { offset, what: "record offset", expected, found: `${offset}` };
  }
  record.offset = offset;
  record.type = view.getUint8(offset);
  record.level = view.getUint8(offset + 1);
  if (record.level > MAX_LEVEL) {
    const expected = `at most ${MAX_LEVEL}`;
    return { offset: offset + 1, what: "record level", expected, found: `${record.level}` };
  }
  record.keyLength = view.getUint16(offset + 2);
  record.valueLength = view.getUint32(offset + 4);
  let at = offset + 8;
  if (record.keyLength === LONG_KEY) {
    record.keyLength = uint64At(view, at);
    at += 8;
  }
  if (record.valueLength === LONG_VALUE) {
    if (at + 8 > end) return tooLong(file, offset, at + 8 - offset);
    record.valueLength = uint64At(view, at);
    at += 8;
  }
  record.pointersOffset = at;
  const crcOffset = at + 8 * (record.level + 1);
  record.keyOffset = crcOffset + 8;
  const tailLength = Math.ceil((record.keyLength + record.valueLength) / 8) * 8;
  record.size = record.keyOffset + tailLength - offset;
  if (offset + record.size > end) return tooLong(file, offset, record.size);
  const stored = view.getUint32(crcOffset);
  const computed = crc32Range(file.bytes, offset, crcOffset);
  if (stored === computed) return undefined;
  return crcProblem(crcOffset, "record head CRC", { computed, stored });
}

/** Checks the CRC over key, value and padding of a record whose head is sound. */
export function checkTail(file: TwoskipFile, record: TwoskipRecord): DatabaseProblem | undefined {
  const end = record.offset + record.size;
  const stored = file.view.getUint32(record.keyOffset - 4);
  const computed = crc32Range(file.bytes, record.keyOffset, end);
  if (stored === computed) return undefined;
  const problem = crcProblem(record.keyOffset - 4, "CRC of key and value", { computed, stored });
  return { ...problem, key: keyBytes(file, record) };
}

/** The key of a record: a view of the file. */
export function keyBytes(file: TwoskipFile, record: TwoskipRecord): Uint8Array {
  return file.bytes.subarray(record.keyOffset, record.keyOffset + record.keyLength);
}

/** The value of a record: a view of the file. */
export function valueBytes(file: TwoskipFile, record: TwoskipRecord): Uint8Array {
  const start = record.keyOffset + record.keyLength;
  return file.bytes.subarray(start, start + record.valueLength);
}

/**
 * Where level 0 goes on behind a record, 0 at the end of the list: the higher of the two pointers
 * that lie below `end`, for what lies behind it was never committed.
 */
export function nextOf(file: TwoskipFile, record: TwoskipRecord): number {
  const { view, end } = file;
  const first = uint64At(view, record.pointersOffset);
  // A delete mark has one pointer, to the record behind the one it removes.
  if (record.level === 0) return first;
  const second = uint64At(view, record.pointersOffset + 8);
  if (first >= end) return second >= end ? 0 : second;
  if (second >= end) return first;
  return Math.max(first, second);
}

function tooLong(file: TwoskipFile, offset: number, size: number): DatabaseProblem {
  const expected = `at most ${file.end - offset} bytes`;
  return { offset, what: "record length", expected, found: `${size}` };
}

function crcProblem(
  offset: number,
  what: string,
  crcs: { readonly computed: number; readonly stored: number },
): DatabaseProblem {
  return { offset, what, expected: hex32(crcs.computed), found: hex32(crcs.stored) };
}
