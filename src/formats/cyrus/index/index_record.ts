/**
 * A record of cyrus.index, versions 6 to 20 (spool-format 2). Values are those of the file: what an
 * older version means by them (`effectiveModseq`) is not applied here, so that bytes round trip.
 */
import { assert, BugError } from "../../../core/assert.ts";
import { viewOf } from "../../../core/bytes.ts";
import { FormatError } from "../../../core/errors.ts";
import { crc32Range } from "../../../hash/crc32.ts";
import { type Guid, isGuid } from "../../../model/guid.ts";
import type { CrcPair, IndexHeader } from "./index_header.ts";
import {
  readSafeU64,
  readSubseconds,
  readWholeSeconds,
  writeNanoseconds,
  writeU32,
  writeU64,
} from "./index_numbers.ts";
import type { IndexTable } from "./index_table.ts";

/** Fields that a version lacks are 0. Times are unix seconds. */
export interface IndexRecord {
  readonly uid: number;
  readonly internaldate: number;
  /** Nanoseconds beside `internaldate`; 0 before version 20. */
  readonly internaldateNsec: number;
  /** The Date header, at midnight local time. */
  readonly sentdate: number;
  /** Bytes of the message file. */
  readonly size: number;
  /** Bytes of the message up to and including its blank line. */
  readonly headerSize: number;
  /**
   * Versions 6 to 10: equal to headerSize, or what a later Cyrus put there. Not to be relied on.
   */
  readonly contentOffset: number;
  /** The Date header. */
  readonly gmtime: number;
  /**
   * Byte of the record in cyrus.cache, 0 for none; of 48 bits, its upper 16 kept with cacheVersion.
   */
  readonly cacheOffset: number;
  /** When the record was changed last. */
  readonly lastUpdated: number;
  /** Bits of `SYSTEM_FLAG` and `INTERNAL_FLAG`. */
  readonly systemFlags: number;
  /** Bit `k & 31` of word `k >> 5` is the k-th user flag of cyrus.header. */
  readonly userFlags: readonly [number, number, number, number];
  readonly contentLines: number;
  /** When the message came into this mailbox. */
  readonly savedate: number;
  /** The low 16 bits of the field of that name. */
  readonly cacheVersion: number;
  /** The 12-byte UUID of versions 7 to 9 with zeros behind it. */
  readonly guid: Guid;
  readonly modseq: bigint;
  readonly cid: bigint;
  readonly createdmodseq: bigint;
  readonly basecid: bigint;
  /** CRC-32 of the cache record; 0 means not known. */
  readonly cacheCrc: number;
  /** As stored; `printIndexRecord` computes its own. */
  readonly recordCrc: number;
  /** Nanoseconds beside version 20's times. Cyrus writes none, so this is almost always missing. */
  readonly subseconds?: Readonly<Partial<Record<WideTime, number>>>;
}

type WideTime = "sentdate" | "gmtime" | "lastUpdated" | "savedate";
const WIDE_TIMES: readonly WideTime[] = ["sentdate", "gmtime", "lastUpdated", "savedate"];

const PLAIN_NUMBERS = [
  "uid",
  "headerSize",
  "contentOffset",
  "systemFlags",
  "contentLines",
  "cacheCrc",
] as const;
const PLAIN_BIGINTS = ["modseq", "cid", "createdmodseq", "basecid"] as const;

const OFFSET_WORD = 0x1_0000_0000;

/**
 * Reads the record at byte `offset` of `view`. A FormatError says that `view` ends too soon, or
 * that a message size of version 20 is above 2^53 - 1.
 */
export function parseIndexRecord(view: DataView, offset: number, table: IndexTable): IndexRecord {
  if (offset + table.recordSize > view.byteLength) {
    throw new FormatError(view.byteLength, `an index record of ${table.recordSize} bytes`);
  }
  const at = table.recordAt;
  const wide = table.wideRecord;
  const flagsAt = offset + at.userFlags;
  const cacheWord = view.getUint32(offset + at.cacheVersion);
  const internaldate = timeAt(view, offset + at.internaldate, wide);
  const record: IndexRecord = {
    uid: view.getUint32(offset + at.uid),
    internaldate,
    internaldateNsec: wide ? readSubseconds(view, offset + at.internaldate, internaldate) : 0,
    sentdate: timeAt(view, offset + at.sentdate, wide),
    size: wide ? wideSizeAt(view, offset + at.size) : view.getUint32(offset + at.size),
    headerSize: view.getUint32(offset + at.headerSize),
    contentOffset: at.contentOffset < 0 ? 0 : view.getUint32(offset + at.contentOffset),
    gmtime: at.gmtime < 0 ? 0 : timeAt(view, offset + at.gmtime, wide),
    cacheOffset: view.getUint32(offset + at.cacheOffset) + (cacheWord >>> 16) * OFFSET_WORD,
    lastUpdated: timeAt(view, offset + at.lastUpdated, wide),
    systemFlags: view.getUint32(offset + at.systemFlags),
    userFlags: [
      view.getUint32(flagsAt),
      view.getUint32(flagsAt + 4),
      view.getUint32(flagsAt + 8),
      view.getUint32(flagsAt + 12),
    ],
    contentLines: at.contentLines < 0 ? 0 : view.getUint32(offset + at.contentLines),
    savedate: at.savedate < 0 ? 0 : timeAt(view, offset + at.savedate, wide),
    cacheVersion: cacheWord & 0xffff,
    guid: guidAt(view, offset + at.guid, table.guidBytes),
    modseq: at.modseq < 0 ? 0n : view.getBigUint64(offset + at.modseq),
    cid: at.cid < 0 ? 0n : view.getBigUint64(offset + at.cid),
    createdmodseq: at.createdmodseq < 0 ? 0n : view.getBigUint64(offset + at.createdmodseq),
    basecid: at.basecid < 0 ? 0n : view.getBigUint64(offset + at.basecid),
    cacheCrc: at.cacheCrc < 0 ? 0 : view.getUint32(offset + at.cacheCrc),
    recordCrc: at.recordCrc < 0 ? 0 : view.getUint32(offset + at.recordCrc),
  };
  return wide ? withSubseconds(record, { view, offset, table }) : record;
}

function timeAt(view: DataView, at: number, wide: boolean): number {
  return wide ? readWholeSeconds(view, at) : view.getUint32(at);
}

function wideSizeAt(view: DataView, at: number): number {
  const size = readSafeU64(view, at);
  if (size === undefined) throw new FormatError(at, "a message size below 2^53");
  return size;
}

/** Hex digits are set here and made a string in one go: three times as fast as joining pairs. */
const guidScratch = Buffer.alloc(40);
const HEX_DIGITS = Buffer.from("0123456789abcdef", "latin1");

function guidAt(view: DataView, at: number, bytes: number): Guid {
  for (let index = 0; index < 20; index++) {
    const byte = index < bytes ? view.getUint8(at + index) : 0;
    guidScratch[2 * index] = HEX_DIGITS[byte >>> 4] as number;
    guidScratch[2 * index + 1] = HEX_DIGITS[byte & 15] as number;
  }
  return guidScratch.toString("latin1", 0, 40);
}

interface Place {
  readonly view: DataView;
  readonly offset: number;
  readonly table: IndexTable;
}

function withSubseconds(record: IndexRecord, place: Place): IndexRecord {
  let subseconds: IndexRecord["subseconds"];
  for (const field of WIDE_TIMES) {
    const at = place.offset + place.table.recordAt[field];
    const rest = readSubseconds(place.view, at, record[field]);
    if (rest !== 0) subseconds = { ...subseconds, [field]: rest };
  }
  return subseconds === undefined ? record : { ...record, subseconds };
}

/**
 * Writes a record with a fresh checksum at `at` of `into`, or into new memory, and returns the
 * bytes written to. Fields that the version lacks are left out; a number that does not fit its
 * field is a bug of the caller.
 */
export function printIndexRecord(
  record: IndexRecord,
  table: IndexTable,
  into: Uint8Array = new Uint8Array(table.recordSize),
  at = 0,
): Uint8Array {
  assert(at >= 0 && at + table.recordSize <= into.length, "no room for an index record");
  const view = viewOf(into);
  const offsets = table.recordAt;
  const high = Math.floor(record.cacheOffset / OFFSET_WORD);
  assert(high <= 0xffff && record.cacheVersion <= 0xffff, "cache offset and version fit 64 bits");
  writeTimes(record, table, view, at);
  if (table.wideRecord) writeU64(view, at + offsets.size, BigInt(record.size));
  else writeU32(view, at + offsets.size, record.size);
  writeU32(view, at + offsets.cacheOffset, record.cacheOffset % OFFSET_WORD);
  writeU32(view, at + offsets.cacheVersion, high * 0x10000 + record.cacheVersion);
  for (const field of PLAIN_NUMBERS) {
    if (offsets[field] >= 0) writeU32(view, at + offsets[field], record[field]);
  }
  for (const field of PLAIN_BIGINTS) {
    if (offsets[field] >= 0) writeU64(view, at + offsets[field], record[field]);
  }
  for (const [index, word] of record.userFlags.entries()) {
    writeU32(view, at + offsets.userFlags + 4 * index, word);
  }
  writeGuid(view, at + offsets.guid, record.guid, table.guidBytes);
  if (offsets.recordCrc >= 0) {
    writeU32(view, at + offsets.recordCrc, crc32Range(into, at, at + offsets.recordCrc));
  }
  return into;
}

function writeTimes(record: IndexRecord, table: IndexTable, view: DataView, at: number): void {
  for (const field of ["internaldate", ...WIDE_TIMES] as const) {
    const offset = at + table.recordAt[field];
    if (table.recordAt[field] < 0) continue;
    if (table.wideRecord) {
      const subseconds =
        field === "internaldate" ? record.internaldateNsec : (record.subseconds?.[field] ?? 0);
      writeNanoseconds(view, offset, { seconds: record[field], subseconds });
    } else {
      writeU32(view, offset, record[field]);
    }
  }
}

function writeGuid(view: DataView, at: number, guid: Guid, bytes: number): void {
  const fits = bytes === 20 || /^0*$/.test(guid.slice(2 * bytes));
  if (!isGuid(guid) || !fits) throw new BugError(`${guid} is no GUID of ${bytes} bytes`);
  for (let index = 0; index < bytes; index++) {
    const pair = digitAt(guid, 2 * index) * 16 + digitAt(guid, 2 * index + 1);
    view.setUint8(at + index, pair);
  }
}

/** `0` to `9` are 0x30 to 0x39, `a` to `f` 0x61 to 0x66. */
function digitAt(hex: string, at: number): number {
  const code = hex.charCodeAt(at);
  return (code & 15) + (code >>> 6) * 9;
}

/**
 * The checksum at the end of the record at byte `offset` of `bytes`. Undefined for versions below
 * 12, which have none. For whole files `badRecordCrcs` is faster.
 */
export function recordCrcs(
  bytes: Uint8Array,
  offset: number,
  table: IndexTable,
): CrcPair | undefined {
  const crcAt = table.recordAt.recordCrc;
  if (crcAt < 0) return undefined;
  const stored = viewOf(bytes).getUint32(offset + crcAt);
  return { stored, computed: crc32Range(bytes, offset, offset + crcAt) };
}

/**
 * The modseq that a record means. Cyrus 2.5 to 3.0 wrote those of version 8 and 9 as 32 bits into
 * the upper half of the field when they downgraded a mailbox (spool-format 2.1 note 5).
 */
export function effectiveModseq(
  record: Pick<IndexRecord, "modseq">,
  header: Pick<IndexHeader, "minorVersion" | "highestmodseq">,
): bigint {
  const { modseq } = record;
  if (header.minorVersion !== 8 && header.minorVersion !== 9) return modseq;
  const high = modseq >> 32n;
  const misplaced = (modseq & 0xffff_ffffn) === 0n && high !== 0n && high <= header.highestmodseq;
  return misplaced ? high : modseq;
}
