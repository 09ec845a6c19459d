/**
 * The sync checksums of a mailbox: one over its records, one over the annotations of its messages
 * (spool-format 5, sync-protocol 5.1). Each is the XOR of the CRC-32 values of short texts, so that
 * the order does not matter and a change is the XOR of the old value and the new one. Expunged
 * records do not count; the caller leaves them out.
 *
 * The texts are written from their end backwards into one scratch buffer. A mailbox may have a
 * million records, and a string for each would cost more than the checksum.
 */
import { unreachable } from "../core/assert.ts";
import { concat, fromLatin1 } from "../core/bytes.ts";
import { crc32, crc32Range } from "../hash/crc32.ts";
import type { Guid } from "./guid.ts";
import type { MailRecord, VirtualFields } from "./record.ts";

/** The basic checksum of a mailbox without records. */
export const BASIC_INIT = 0;

/** What the basic checksum covers of a record, except its flags. Times are Unix seconds. */
export interface BasicFields {
  readonly uid: number;
  readonly modseq: bigint;
  readonly lastUpdated: number;
  readonly internaldate: number;
  /** As 40 hex digits or as 20 bytes. */
  readonly guid: Guid | Uint8Array;
}

/** Cyrus lower-cases a flag name in a buffer of this size, and cuts what does not fit. */
const FLAG_NAME_BYTES = 4095;

/**
 * The value of one flag, by its latin1 name in any case. Of the system flags only \Deleted,
 * \Answered, \Flagged, \Draft and \Seen count, and all user flags do.
 */
export function flagCrc(name: string): number {
  const lower = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return crc32(fromLatin1(lower.slice(0, FLAG_NAME_BYTES)));
}

/** The value of all flags of a record, 0 for none, as `basicRecordCrc` takes it. */
export function flagsCrc(names: Iterable<string>): number {
  let crc = 0;
  for (const name of names) crc ^= flagCrc(name);
  return crc >>> 0;
}

/** The value of one record that is not expunged. The basic checksum is the XOR of all of them. */
export function basicRecordCrc(fields: BasicFields, flagsCrc: number): number {
  let at = putGuid(SCRATCH_BYTES, fields.guid);
  scratch[--at] = SPACE;
  at = putDecimal(at, fields.internaldate);
  scratch[--at] = SPACE;
  scratch[--at] = CLOSING;
  at = putDecimal(at, flagsCrc);
  scratch[--at] = OPENING;
  scratch[--at] = SPACE;
  at = putDecimal(at, fields.lastUpdated);
  scratch[--at] = SPACE;
  at = putBigDecimal(at, fields.modseq);
  scratch[--at] = SPACE;
  at = putDecimal(at, fields.uid);
  return crc32Range(scratch, at, SCRATCH_BYTES);
}

/**
 * How a version of Cyrus computes the annotation checksum. `thrid` says whether thread ids are hex
 * digits without leading zeros, or always 16 of them; `nullUserid` whether an annotation that was
 * stored without a user id counts.
 */
export interface AnnotVariant {
  readonly name: string;
  /** The checksum of a mailbox without annotations. */
  readonly init: number;
  readonly thrid: "short" | "padded";
  readonly nullUserid: "as empty" | "ignored";
}

/** The known variants, the most frequent first. Each gives another checksum for some mailboxes. */
export const ANNOT_VARIANTS = [
  { name: "3.2 to 3.12", init: 12345678, thrid: "short", nullUserid: "ignored" },
  { name: "3.13 and later", init: 12345678, thrid: "padded", nullUserid: "ignored" },
  { name: "2.5 and 3.0", init: 0, thrid: "short", nullUserid: "as empty" },
] as const satisfies readonly AnnotVariant[];

/** What the checksum covers of an annotation. Texts are latin1: each character is one byte. */
export interface CountedAnnotation {
  readonly entry: string;
  /** Empty for a shared annotation; null or undefined if it was stored without a user id. */
  readonly userid: string | null | undefined;
  readonly value: Uint8Array;
}

/** The value of one annotation of a message that is not expunged. An empty one does not count. */
export function annotationCrc(
  uid: number,
  annotation: CountedAnnotation,
  variant: AnnotVariant,
): number {
  const { entry, userid, value } = annotation;
  if (value.length === 0) return 0;
  if (userid == null && variant.nullUserid === "ignored") return 0;
  return crc32(concat([fromLatin1(`${uid} ${entry} ${userid ?? ""} `), value]));
}

/** An annotation that is a field of the record from a certain index version on. */
export interface VirtualAnnotation {
  readonly field: keyof VirtualFields;
  readonly entry: string;
  readonly sinceVersion: number;
}

/** All virtual annotations, in the order of the versions in which they became fields. */
export const VIRTUAL_ANNOTATIONS: readonly VirtualAnnotation[] = [
  { field: "cid", entry: "/vendor/cmu/cyrus-imapd/thrid", sinceVersion: 13 },
  { field: "savedate", entry: "/vendor/cmu/cyrus-imapd/savedate", sinceVersion: 15 },
  { field: "createdmodseq", entry: "/vendor/cmu/cyrus-imapd/createdmodseq", sinceVersion: 16 },
  {
    field: "internaldateNsec",
    entry: "/vendor/cmu/cyrus-imapd/internaldate.nsec",
    sinceVersion: 20,
  },
  { field: "basecid", entry: "/vendor/cmu/cyrus-imapd/basethrid", sinceVersion: 20 },
];

/** True if a mailbox of this index version keeps `entry` in the record. */
export function isVirtualAnnotation(entry: string, indexVersion: number): boolean {
  return VIRTUAL_ANNOTATIONS.some(
    (virtual) => virtual.entry === entry && indexVersion >= virtual.sinceVersion,
  );
}

/**
 * The value of all virtual annotations of a record that is not expunged, in a mailbox of this index
 * version. A field that is 0 does not count.
 */
export function virtualAnnotationsCrc(
  record: VirtualFields & { readonly uid: number },
  indexVersion: number,
  thrid: AnnotVariant["thrid"],
): number {
  let crc = 0;
  for (const { field, sinceVersion, middle } of SHARED_ENTRIES) {
    if (indexVersion < sinceVersion) break;
    if (!record[field]) continue;
    let at = putVirtualValue(record, field, thrid);
    for (let index = middle.length - 1; index >= 0; index--)
      scratch[--at] = middle[index] as number;
    at = putDecimal(at, record.uid);
    crc ^= crc32Range(scratch, at, SCRATCH_BYTES);
  }
  return crc >>> 0;
}

/** The basic checksum of a mailbox from its records as replication sees them. */
export function mailSyncCrc(records: Iterable<MailRecord>): number {
  let crc = BASIC_INIT;
  for (const record of records) {
    if (!record.expunged) crc ^= basicRecordCrc(record, flagsCrc(record.flags));
  }
  return crc >>> 0;
}

/**
 * The annotation checksum of a mailbox from its records as replication sees them. It does not
 * matter which fields are virtual annotations to the peer: they count like real ones.
 */
export function mailAnnotCrc(records: Iterable<MailRecord>, variant: AnnotVariant): number {
  let crc = variant.init;
  for (const record of records) {
    if (record.expunged) continue;
    crc ^= virtualAnnotationsCrc(record, LATEST_VERSION, variant.thrid);
    for (const annotation of record.annotations) {
      crc ^= annotationCrc(record.uid, annotation, variant);
    }
  }
  return crc >>> 0;
}

/** The index version that has a field for every virtual annotation. */
const LATEST_VERSION = 20;

/** The text between uid and value: entry, empty user id, and their spaces. */
const SHARED_ENTRIES = VIRTUAL_ANNOTATIONS.map((virtual) => ({
  ...virtual,
  middle: fromLatin1(` ${virtual.entry}  `),
}));

function putVirtualValue(
  record: VirtualFields,
  field: keyof VirtualFields,
  thrid: AnnotVariant["thrid"],
): number {
  switch (field) {
    case "cid":
      return putHex(SCRATCH_BYTES, record.cid, thrid === "short" ? 1 : 16);
    case "basecid":
      // Only versions that pad thread ids with zeros have this field.
      return putHex(SCRATCH_BYTES, record.basecid, 16);
    case "createdmodseq":
      return putBigDecimal(SCRATCH_BYTES, record.createdmodseq);
    case "savedate":
    case "internaldateNsec":
      return putDecimal(SCRATCH_BYTES, record[field]);
    default:
      return unreachable(field);
  }
}

// ============================================================================================
// Setting text backwards: each function puts its digits before byte `at` of the scratch buffer
// and returns where they start.

const SCRATCH_BYTES = 256;
const scratch = new Uint8Array(SCRATCH_BYTES);
const scratchWord = new DataView(new ArrayBuffer(8));
const HEX_DIGITS = fromLatin1("0123456789abcdef");
const ZERO = 0x30;
const SPACE = 0x20;
const OPENING = 0x28;
const CLOSING = 0x29;

/** The two digits of each number below 100, one after the other. */
const PAIRS = fromLatin1(
  Array.from({ length: 100 }, (_, number) => number.toString().padStart(2, "0")).join(""),
);

/** Writes an integer of at most 2^53 - 1. */
function putDecimal(end: number, value: number): number {
  let at = end;
  let rest = value;
  while (rest >= 100) {
    const hundredth = Math.floor(rest / 100);
    const pair = 2 * (rest - hundredth * 100);
    scratch[--at] = PAIRS[pair + 1] as number;
    scratch[--at] = PAIRS[pair] as number;
    rest = hundredth;
  }
  scratch[--at] = PAIRS[2 * rest + 1] as number;
  if (rest >= 10) scratch[--at] = PAIRS[2 * rest] as number;
  return at;
}

function putBigDecimal(end: number, value: bigint): number {
  scratchWord.setBigUint64(0, value);
  const high = scratchWord.getUint32(0);
  if (high < 0x20_0000) return putDecimal(end, high * 0x1_0000_0000 + scratchWord.getUint32(4));
  const digits = fromLatin1(value.toString());
  scratch.set(digits, end - digits.length);
  return end - digits.length;
}

/** Writes at least `minDigits` hex digits. */
function putHex(end: number, value: bigint, minDigits: number): number {
  scratchWord.setBigUint64(0, value);
  let at = end;
  for (let index = 7; index >= 0; index--) {
    const byte = scratchWord.getUint8(index);
    scratch[--at] = HEX_DIGITS[byte & 15] as number;
    scratch[--at] = HEX_DIGITS[byte >>> 4] as number;
  }
  while (end - at > minDigits && scratch[at] === ZERO) at += 1;
  return at;
}

function putGuid(end: number, guid: Guid | Uint8Array): number {
  const at = end - 40;
  if (typeof guid === "string") {
    for (let index = 0; index < 40; index++) scratch[at + index] = guid.charCodeAt(index);
    return at;
  }
  for (let index = 0; index < 20; index++) {
    const byte = guid[index] as number;
    scratch[at + 2 * index] = HEX_DIGITS[byte >>> 4] as number;
    scratch[at + 2 * index + 1] = HEX_DIGITS[byte & 15] as number;
  }
  return at;
}
