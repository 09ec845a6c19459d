/**
 * The layouts of cyrus.index, versions 6 to 10 and 12 to 20, as data: where each field of the
 * header and of a record lies in each version (spool-format 1.2 and 2.1). Version 11 was never
 * public, and nobody reads 5 and older. A new version is one more row of `INDEX_TABLES`.
 *
 * Integers are big-endian and unsigned. The 8-byte fields of versions 8 to 18 are not 8-aligned.
 */
import { assert } from "../../../core/assert.ts";

/**
 * What the bytes of a field mean. A `time` of 4 bytes counts seconds since 1970, one of 8 bytes
 * nanoseconds; `flags` are four 32-bit words; a `guid` has 20 bytes, or 12 in versions 7 to 9.
 */
export type SlotKind = "u32" | "u64" | "time" | "flags" | "guid";

/** The place of one field, counted from the start of the header or record. */
export interface Slot {
  readonly offset: number;
  readonly size: number;
  readonly kind: SlotKind;
}

const u32 = (offset: number): Slot => ({ offset, size: 4, kind: "u32" });
const u64 = (offset: number): Slot => ({ offset, size: 8, kind: "u64" });
const seconds = (offset: number): Slot => ({ offset, size: 4, kind: "time" });
const nanoseconds = (offset: number): Slot => ({ offset, size: 8, kind: "time" });
const flagWords = (offset: number): Slot => ({ offset, size: 16, kind: "flags" });
const uuid = (offset: number): Slot => ({ offset, size: 12, kind: "guid" });
const guid = (offset: number): Slot => ({ offset, size: 20, kind: "guid" });

const HEADER_6 = {
  generationNo: u32(0),
  format: u32(4),
  minorVersion: u32(8),
  startOffset: u32(12),
  recordSize: u32(16),
  numRecords: u32(20),
  lastAppenddate: seconds(24),
  lastUid: u32(28),
  quotaMailboxUsed: u64(32),
  pop3LastLogin: seconds(40),
  uidvalidity: u32(44),
  deleted: u32(48),
  answered: u32(52),
  flagged: u32(56),
  options: u32(60),
  leakedCache: u32(64),
};
const HEADER_8 = { ...HEADER_6, highestmodseq: u64(68) };
const HEADER_12 = {
  ...HEADER_8,
  deletedmodseq: u64(76),
  exists: u32(84),
  firstExpunged: seconds(88),
  lastRepackTime: seconds(92),
  headerFileCrc: u32(96),
  syncCrc: u32(100),
  recentuid: u32(104),
  recenttime: seconds(108),
  headerCrc: u32(124),
};
const HEADER_13 = {
  ...HEADER_12,
  pop3ShowAfter: seconds(112),
  quotaAnnotUsed: u32(116),
  syncCrcAnnot: u32(120),
};
const HEADER_14 = { ...HEADER_13, unseen: u32(124), headerCrc: u32(156) };
const HEADER_16 = { ...HEADER_14, createdmodseq: u64(128) };
const HEADER_17 = { ...HEADER_16, changesEpoch: seconds(136) };
const HEADER_18 = {
  ...HEADER_17,
  quotaDeletedUsed: u64(140),
  quotaExpungedUsed: u64(148),
};
const HEADER_19 = {
  ...HEADER_18,
  exists: u32(60),
  options: u32(64),
  leakedCache: u32(68),
  highestmodseq: u64(72),
  deletedmodseq: u64(80),
  quotaDeletedUsed: u64(136),
  quotaExpungedUsed: u64(144),
  changesEpoch: seconds(152),
};
const HEADER_20 = {
  ...HEADER_19,
  lastAppenddate: nanoseconds(24),
  pop3LastLogin: nanoseconds(40),
  lastUid: u32(88),
  uidvalidity: u32(92),
  recenttime: nanoseconds(104),
  pop3ShowAfter: nanoseconds(112),
  quotaAnnotUsed: u64(152),
  changesEpoch: nanoseconds(160),
  firstExpunged: nanoseconds(168),
  lastRepackTime: nanoseconds(176),
  recentuid: u32(184),
  headerCrc: u32(188),
};

const RECORD_6 = {
  uid: u32(0),
  internaldate: seconds(4),
  sentdate: seconds(8),
  size: u32(12),
  headerSize: u32(16),
  contentOffset: u32(20),
  cacheOffset: u32(24),
  lastUpdated: seconds(28),
  systemFlags: u32(32),
  userFlags: flagWords(36),
  contentLines: u32(52),
  cacheVersion: u32(56),
};
const RECORD_7 = { ...RECORD_6, guid: uuid(60) };
const RECORD_8 = { ...RECORD_7, modseq: u64(72) };
const RECORD_10 = { ...RECORD_8, guid: guid(60), modseq: u64(80) };
const { contentOffset: _offset, ...WITHOUT_OFFSET } = RECORD_10;
const RECORD_12 = {
  ...WITHOUT_OFFSET,
  gmtime: seconds(20),
  cacheCrc: u32(88),
  recordCrc: u32(92),
};
const RECORD_13 = {
  ...RECORD_12,
  cid: u64(88),
  cacheCrc: u32(96),
  recordCrc: u32(100),
};
const { contentLines: _lines, ...WITHOUT_LINES } = RECORD_13;
const RECORD_15 = { ...WITHOUT_LINES, savedate: seconds(52) };
const RECORD_16 = {
  ...RECORD_15,
  createdmodseq: u64(96),
  cacheCrc: u32(104),
  recordCrc: u32(108),
};
const RECORD_20 = {
  ...RECORD_16,
  cacheOffset: u32(4),
  internaldate: nanoseconds(8),
  sentdate: nanoseconds(16),
  size: u64(24),
  headerSize: u32(32),
  systemFlags: u32(36),
  userFlags: flagWords(40),
  gmtime: nanoseconds(104),
  lastUpdated: nanoseconds(112),
  savedate: nanoseconds(120),
  basecid: u64(128),
  cacheCrc: u32(136),
  recordCrc: u32(140),
};

/** The fields of the header. None was ever given up. */
export type HeaderField = keyof typeof HEADER_20;
export type HeaderSlots = Readonly<Partial<Record<HeaderField, Slot>>>;
export const HEADER_FIELDS = Object.keys(HEADER_20) as HeaderField[];

/** The fields of a record, of all versions together. */
export type RecordField = keyof typeof RECORD_10 | keyof typeof RECORD_20;
export type RecordSlots = Readonly<Partial<Record<RecordField, Slot>>>;
export const RECORD_FIELDS = Object.keys({ ...RECORD_10, ...RECORD_20 }) as RecordField[];

/** One version: sizes in bytes, and where its fields are. What a version lacks has no slot. */
export interface IndexTable {
  readonly version: number;
  readonly headerSize: number;
  readonly recordSize: number;
  readonly header: HeaderSlots;
  readonly record: RecordSlots;
  /** Offsets of the record's fields, -1 for absent ones: for the parser of a million records. */
  readonly recordAt: Readonly<Record<RecordField, number>>;
  /** Records hold times of 8 bytes in nanoseconds, and sizes of 8 bytes. */
  readonly wideRecord: boolean;
  /** Bytes of a record's GUID field: 20, 12 for the UUIDs of versions 7 to 9, else 0. */
  readonly guidBytes: number;
}

function table(
  version: number,
  [headerSize, header]: readonly [number, HeaderSlots],
  [recordSize, record]: readonly [number, RecordSlots],
): IndexTable {
  const recordAt = Object.fromEntries(
    RECORD_FIELDS.map((field) => [field, record[field]?.offset ?? -1]),
  ) as Record<RecordField, number>; // every field of the list, by construction
  const wideRecord = record.internaldate?.size === 8;
  const guidBytes = record.guid?.size ?? 0;
  return { version, headerSize, recordSize, header, record, recordAt, wideRecord, guidBytes };
}

/** Every layout there is, oldest first. */
export const INDEX_TABLES: readonly IndexTable[] = [
  table(6, [76, HEADER_6], [60, RECORD_6]),
  table(7, [76, HEADER_6], [72, RECORD_7]),
  table(8, [92, HEADER_8], [80, RECORD_8]),
  table(9, [96, HEADER_8], [80, RECORD_8]),
  table(10, [96, HEADER_8], [88, RECORD_10]),
  table(12, [128, HEADER_12], [96, RECORD_12]),
  table(13, [128, HEADER_13], [104, RECORD_13]),
  table(14, [160, HEADER_14], [104, RECORD_13]),
  table(15, [160, HEADER_14], [104, RECORD_15]),
  table(16, [160, HEADER_16], [112, RECORD_16]),
  table(17, [160, HEADER_17], [112, RECORD_16]),
  table(18, [160, HEADER_18], [112, RECORD_16]),
  table(19, [160, HEADER_19], [112, RECORD_16]),
  // A Cyrus of the time of version 20 wrote its records behind headers of version 19.
  table(19, [160, HEADER_19], [144, RECORD_20]),
  table(20, [192, HEADER_20], [144, RECORD_20]),
];

/** Bytes of the longest header there is. */
export const INDEX_HEADER_BYTES = INDEX_TABLES.reduce(
  (most, { headerSize }) => Math.max(most, headerSize),
  0,
);

/**
 * The layout of a version, undefined for one that does not exist or that nobody reads. With
 * `recordSize`, the layout with records of that size: version 19 has two.
 */
export function tableOf(version: number, recordSize?: number): IndexTable | undefined {
  return INDEX_TABLES.find(
    (row) => row.version === version && (recordSize === undefined || row.recordSize === recordSize),
  );
}

/** The field at `slot` of the structure at byte `base`: 4 or 8 bytes, unsigned, not scaled. */
export function readField(view: DataView, base: number, slot: Slot): bigint {
  assert(slot.size === 4 || slot.size === 8, `a field of ${slot.size} bytes is no number`);
  return slot.size === 8
    ? view.getBigUint64(base + slot.offset)
    : BigInt(view.getUint32(base + slot.offset));
}

/** Writes what `readField` reads. No checksum is touched. */
export function writeField(view: DataView, base: number, slot: Slot, value: bigint): void {
  const { offset, size } = slot;
  assert(size === 4 || size === 8, `a field of ${size} bytes is no number`);
  assert(value >= 0n && value < 1n << BigInt(size * 8), `${value} does not fit ${size} bytes`);
  if (size === 8) view.setBigUint64(base + offset, value);
  else view.setUint32(base + offset, Number(value));
}

/** The bytes `[start, end)` of a version's header that are no field's: zero in sound files. */
export function spareRanges(table: IndexTable): readonly (readonly [number, number])[] {
  const slots = Object.values(table.header).sort((a, b) => a.offset - b.offset);
  const ranges: [number, number][] = [];
  let end = 0;
  for (const slot of slots) {
    if (slot.offset > end) ranges.push([end, slot.offset]);
    end = slot.offset + slot.size;
  }
  if (end < table.headerSize) ranges.push([end, table.headerSize]);
  return ranges;
}
