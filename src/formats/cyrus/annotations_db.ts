/**
 * Annotations as Cyrus keeps them: cyrus.annotations of a mailbox, for its messages, and the
 * server's annotations.db, for mailboxes and the server itself (spool-format 7.2, Cyrus
 * imap/annotate.c).
 *
 *   key, per mailbox:  uid in decimal, NUL, entry, NUL, userid, NUL
 *   key, global:       uniqueid of the mailbox (its name before 3.0, "" for the server), NUL,
 *                      entry, NUL, userid, NUL
 *   value:             length as a C `unsigned long`, value, NUL, content type, NUL, another long,
 *                      modseq 8, flags 1 (bit 0 = deleted)
 *
 * The length is in network order inside a long of the writing host, so its place and width differ
 * by host; old values end before the modseq or before the flags.
 */
import { concat, latin1, utf8, viewOf } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { DatabaseEntry } from "./databases/database_contents.ts";

/** Stands for the owner of the mailbox in the userid of a key. */
export const OWNER_TOKEN = "[.OwNeR.]";

/** What a database holds under the key of an annotation. */
export interface AnnotationValue {
  /** Empty for a tombstone. */
  readonly value: Uint8Array;
  /** 0 where the writer was too old to store one. */
  readonly modseq: bigint;
  /** A tombstone: the annotation was removed, replicas still have to learn it. */
  readonly deleted: boolean;
}

/** One annotation of a message. Entry and userid hold one character a byte. */
export interface MessageAnnotation extends AnnotationValue {
  readonly uid: number;
  readonly entry: string;
  /** "" = shared, `OWNER_TOKEN` = the owner's own. Undefined in keys of a few broken writers. */
  readonly userid: string | undefined;
}

/** One annotation of a mailbox or of the server. Entry and userid hold one character a byte. */
export interface MailboxAnnotation extends AnnotationValue {
  /** The uniqueid; in files of old releases the internal name; "" for the server itself. */
  readonly mailbox: string;
  readonly entry: string;
  readonly userid: string | undefined;
}

/** Reads an entry of cyrus.annotations. Throws FormatError on a key or value of another form. */
export function parseMessageAnnotation(record: DatabaseEntry): MessageAnnotation {
  const { first, entry, userid } = parseKey(record.key);
  const uid = Number(first);
  if (!/^[1-9][0-9]{0,9}$/.test(first) || uid > 0xffff_ffff) throw new FormatError(0, "a UID");
  return { uid, entry, userid, ...parseAnnotationValue(record.value) };
}

/** Reads an entry of annotations.db. Throws FormatError on a key or value of another form. */
export function parseMailboxAnnotation(record: DatabaseEntry): MailboxAnnotation {
  const { first, entry, userid } = parseKey(record.key);
  return { mailbox: first, entry, userid, ...parseAnnotationValue(record.value) };
}

/**
 * The entry that Cyrus 3.x would write for a message's annotation on a 64-bit little-endian host.
 */
export function printMessageAnnotation(annotation: MessageAnnotation): DatabaseEntry {
  const key = printKey(String(annotation.uid), annotation);
  return { key, value: printAnnotationValue(annotation) };
}

/** Reads a value in any of the layouts Cyrus has had. Throws FormatError where none fits. */
export function parseAnnotationValue(bytes: Uint8Array): AnnotationValue {
  for (const layout of LAYOUTS) {
    const rest = restOf(bytes, layout);
    if (rest === undefined) continue;
    const deleted = ((rest.flags ?? 0) & DELETED) !== 0;
    return {
      value: deleted ? new Uint8Array() : rest.value,
      modseq: rest.modseq ?? 0n,
      deleted,
    };
  }
  throw new FormatError(0, "an annotation value whose parts fill it");
}

const DELETED = 1;

/** Where the length lies in a `long`, and how wide that is, by the host that wrote the value. */
interface LongLayout {
  readonly size: number;
  readonly lengthOffset: number;
}

const LAYOUTS: readonly LongLayout[] = [
  { size: 8, lengthOffset: 0 }, // 64-bit little-endian: 4 bytes in network order, then zeros
  { size: 8, lengthOffset: 4 }, // 64-bit big-endian
  { size: 4, lengthOffset: 0 }, // 32-bit
];

interface ValueParts {
  readonly value: Uint8Array;
  readonly modseq?: bigint;
  readonly flags?: number;
}

/** The parts of `bytes` under one layout, or undefined unless they fill it to the last byte. */
function restOf(bytes: Uint8Array, { size, lengthOffset }: LongLayout): ValueParts | undefined {
  if (bytes.length < size) return undefined;
  const view = viewOf(bytes);
  const length = view.getUint32(lengthOffset);
  if (size === 8 && view.getUint32(4 - lengthOffset) !== 0) return undefined;
  const valueEnd = size + length;
  if (valueEnd >= bytes.length || bytes[valueEnd] !== 0) return undefined;
  const value = bytes.subarray(size, valueEnd);
  if (valueEnd + 1 === bytes.length) return { value };
  const typeEnd = bytes.indexOf(0, valueEnd + 1);
  if (typeEnd === -1) return undefined;
  const at = typeEnd + 1 + size;
  if (at === bytes.length) return { value };
  if (at + 8 > bytes.length) return undefined;
  const modseq = view.getBigUint64(at);
  if (at + 8 === bytes.length) return { value, modseq };
  return at + 9 === bytes.length ? { value, modseq, flags: view.getUint8(at + 8) } : undefined;
}

function printAnnotationValue(annotation: AnnotationValue): Uint8Array {
  const { value } = annotation;
  const type = utf8("text/plain\0");
  const bytes = new Uint8Array(8 + value.length + 1 + type.length + 8 + 8 + 1);
  const view = viewOf(bytes);
  view.setUint32(0, value.length);
  bytes.set(value, 8);
  bytes.set(type, 8 + value.length + 1);
  view.setBigUint64(bytes.length - 9, annotation.modseq);
  view.setUint8(bytes.length - 1, annotation.deleted ? DELETED : 0);
  return bytes;
}

interface KeyParts {
  readonly first: string;
  readonly entry: string;
  readonly userid: string | undefined;
}

function parseKey(key: Uint8Array): KeyParts {
  const parts = latin1(key).split("\0");
  const [first = "", entry, userid, end, ...more] = parts;
  if (entry === undefined || entry === "") throw new FormatError(first.length, "NUL and an entry");
  if (end !== undefined && (end !== "" || more.length > 0)) {
    throw new FormatError(key.length - 1, "the end of the key after the userid");
  }
  // Without the NUL behind it, the last part is what is left of a key cut short, or an empty
  // string.
  return { first, entry, userid: end === undefined && userid === "" ? undefined : userid };
}

function printKey(first: string, { entry, userid }: Omit<KeyParts, "first">): Uint8Array {
  const text = `${first}\0${entry}\0${userid === undefined ? "" : `${userid}\0`}`;
  return concat([Buffer.from(text, "latin1")]);
}
