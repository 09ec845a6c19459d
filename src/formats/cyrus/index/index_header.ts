/**
 * The header of cyrus.index, versions 6 to 20 (spool-format 1). Parsing checks that the header is
 * one, not that it is right: counts, checksums and spare bytes are the business of fsck.
 */
import { assert } from "../../../core/assert.ts";
import { viewOf } from "../../../core/bytes.ts";
import { FormatError } from "../../../core/errors.ts";
import { crc32Range } from "../../../hash/crc32.ts";
import { readSubseconds, readWholeSeconds, writeNanoseconds, writeU32 } from "./index_numbers.ts";
import {
  HEADER_FIELDS,
  type HeaderField,
  type IndexTable,
  readField,
  tableOf,
  writeField,
} from "./index_table.ts";

/** Fields that a version lacks are 0. Times are unix seconds. */
export interface IndexHeader {
  /** Equal to the first four bytes of cyrus.cache; one more with each repack. */
  readonly generationNo: number;
  readonly format: number;
  readonly minorVersion: number;
  readonly startOffset: number;
  readonly recordSize: number;
  /** Records in the file, expunged ones included. */
  readonly numRecords: number;
  readonly lastAppenddate: number;
  readonly lastUid: number;
  /** Bytes of all messages that are not expunged. */
  readonly quotaMailboxUsed: bigint;
  readonly pop3LastLogin: number;
  readonly uidvalidity: number;
  readonly deleted: number;
  readonly answered: number;
  readonly flagged: number;
  /** Bits of `INDEX_OPTION`. */
  readonly options: number;
  readonly leakedCache: number;
  readonly highestmodseq: bigint;
  readonly deletedmodseq: bigint;
  /** Records that are not expunged. */
  readonly exists: number;
  readonly firstExpunged: number;
  readonly lastRepackTime: number;
  /** CRC-32 of the whole cyrus.header; 0 means not recorded. */
  readonly headerFileCrc: number;
  readonly syncCrc: number;
  readonly recentuid: number;
  readonly recenttime: number;
  readonly pop3ShowAfter: number;
  /** Bytes of all annotation values. */
  readonly quotaAnnotUsed: bigint;
  readonly syncCrcAnnot: number;
  readonly unseen: number;
  readonly createdmodseq: bigint;
  readonly changesEpoch: number;
  readonly quotaDeletedUsed: bigint;
  readonly quotaExpungedUsed: bigint;
  /** As stored; `printIndexHeader` computes its own. */
  readonly headerCrc: number;
  /** Nanoseconds beside version 20's times. Cyrus writes none, so this is almost always missing. */
  readonly subseconds?: Readonly<Partial<Record<HeaderField, number>>>;
}

/** The first bytes say which version this is; they never moved. */
const PREFIX_BYTES = 24;
const VERSION_OFFSET = 8;
const START_OFFSET = 12;
const RECORD_SIZE_OFFSET = 16;

type Writable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };
type FieldOf<Type> = {
  [Key in HeaderField]: IndexHeader[Key] extends Type ? Key : never;
}[HeaderField];

const BIGINT_FIELDS: readonly FieldOf<bigint>[] = [
  ...(["quotaMailboxUsed", "highestmodseq", "deletedmodseq", "quotaAnnotUsed"] as const),
  ...(["createdmodseq", "quotaDeletedUsed", "quotaExpungedUsed"] as const),
];
const NUMBER_FIELDS = HEADER_FIELDS.filter(
  (field): field is FieldOf<number> => !(BIGINT_FIELDS as readonly string[]).includes(field),
);

/** A header of this version with its sizes filled in, and zero for everything else. */
export function blankIndexHeader(table: IndexTable): IndexHeader {
  const zeros = Object.fromEntries([
    ...NUMBER_FIELDS.map((field) => [field, 0]),
    ...BIGINT_FIELDS.map((field) => [field, 0n]),
  ]) as unknown as IndexHeader; // the two lists hold every field
  const { version, headerSize, recordSize } = table;
  return { ...zeros, minorVersion: version, startOffset: headerSize, recordSize };
}

/**
 * Reads the header at the start of `bytes`. A FormatError says that this is no header of a version
 * Bobbin knows: too short, another version, or sizes that are not those of the version.
 */
export function parseIndexHeader(bytes: Uint8Array): IndexHeader {
  const table = indexTableOf(bytes);
  const view = viewOf(bytes);
  const header: Writable<IndexHeader> = { ...blankIndexHeader(table) };
  for (const field of NUMBER_FIELDS) {
    const slot = table.header[field];
    if (slot === undefined) continue;
    const isWide = slot.size === 8;
    header[field] = isWide ? readWholeSeconds(view, slot.offset) : view.getUint32(slot.offset);
    const rest = isWide ? readSubseconds(view, slot.offset, header[field]) : 0;
    if (rest !== 0) header.subseconds = { ...header.subseconds, [field]: rest };
  }
  for (const field of BIGINT_FIELDS) {
    const slot = table.header[field];
    if (slot !== undefined) header[field] = readField(view, 0, slot);
  }
  return header;
}

/** The layout that the first bytes of a cyrus.index call for; errors as `parseIndexHeader`. */
export function indexTableOf(bytes: Uint8Array): IndexTable {
  if (bytes.length < PREFIX_BYTES) throw new FormatError(bytes.length, "an index header");
  const view = viewOf(bytes);
  const version = view.getUint32(VERSION_OFFSET);
  const known = tableOf(version);
  if (known === undefined) {
    throw new FormatError(VERSION_OFFSET, `an index version of 6-10 or 12-20, not ${version}`);
  }
  const startOffset = view.getUint32(START_OFFSET);
  if (startOffset !== known.headerSize) {
    const expected = `a start offset of ${known.headerSize}, not ${startOffset}`;
    throw new FormatError(START_OFFSET, expected);
  }
  const recordSize = view.getUint32(RECORD_SIZE_OFFSET);
  const table = tableOf(version, recordSize);
  if (table === undefined) {
    const expected = `a record size of ${known.recordSize}, not ${recordSize}`;
    throw new FormatError(RECORD_SIZE_OFFSET, expected);
  }
  if (bytes.length < table.headerSize) {
    throw new FormatError(bytes.length, `an index header of ${table.headerSize} bytes`);
  }
  return table;
}

/**
 * The bytes of a header, spare bytes zero. Nothing is derived from other fields but the checksum at
 * its end. The version and sizes must belong together, and the numbers fit their fields.
 */
export function printIndexHeader(header: IndexHeader): Uint8Array<ArrayBuffer> {
  const table = tableOf(header.minorVersion, header.recordSize);
  assert(table !== undefined, `no index version ${header.minorVersion}/${header.recordSize}`);
  const bytes = new Uint8Array(table.headerSize);
  const view = viewOf(bytes);
  for (const field of NUMBER_FIELDS) {
    const slot = table.header[field];
    if (slot?.size === 4) writeU32(view, slot.offset, header[field]);
    if (slot?.size === 8) {
      const subseconds = header.subseconds?.[field] ?? 0;
      writeNanoseconds(view, slot.offset, { seconds: header[field], subseconds });
    }
  }
  for (const field of BIGINT_FIELDS) {
    const slot = table.header[field];
    if (slot !== undefined) writeField(view, 0, slot, header[field]);
  }
  const crcSlot = table.header.headerCrc;
  if (crcSlot !== undefined) writeU32(view, crcSlot.offset, crc32Range(bytes, 0, crcSlot.offset));
  return bytes;
}

/** A checksum as it stands in a file, and as its bytes give it. */
export interface CrcPair {
  readonly stored: number;
  readonly computed: number;
}

/**
 * The checksum at the end of the header in `bytes`, over everything before it, spare bytes
 * included. Undefined for versions below 12, which have none.
 */
export function indexHeaderCrcs(bytes: Uint8Array, table: IndexTable): CrcPair | undefined {
  const slot = table.header.headerCrc;
  if (slot === undefined) return undefined;
  const stored = viewOf(bytes).getUint32(slot.offset);
  return { stored, computed: crc32Range(bytes, 0, slot.offset) };
}
