/**
 * cyrus.cache: for each message what a client asks for most, derived from the message and never the
 * only copy of anything (spool-format 3).
 *
 *   generation 4, then records back to back; a record = ten items, each: length 4, data, zero bytes
 *   up to a multiple of 4
 *
 * Only the index knows where a record begins, and its checksum covers all ten items with lengths
 * and padding. Records that no index record points to are legal, as is anything behind the last
 * one.
 */
import { assert } from "../../../src/core/assert.ts";
import { viewOf } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../src/core/limits.ts";
import { crc32Range } from "../../../src/hash/crc32.ts";

/**
 * The items of a record in their order. `section` is binary, the others are text as IMAP writes it.
 */
export const CACHE_ITEMS = [
  ...(["envelope", "bodystructure", "body", "section", "headers"] as const),
  ...(["from", "to", "cc", "bcc", "subject"] as const),
] as const;

export type CacheItem = (typeof CACHE_ITEMS)[number];

/** Bytes before the first record. */
export const CACHE_START = 4;

/** A cyrus.cache in memory. Nothing of it is copied. */
export interface CacheFile {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Equal to the index's, unless a repack was cut short between its two renames. */
  readonly generationNo: number;
}

/** Where a record lies. */
export interface CacheSpan {
  readonly offset: number;
  /** Bytes of all ten items with lengths and padding. */
  readonly length: number;
}

/** Opens a cyrus.cache read whole. A FormatError says that it is too short for a generation. */
export function openCacheFile(bytes: Uint8Array): CacheFile {
  if (bytes.length < CACHE_START) throw new FormatError(bytes.length, "a cache generation");
  const view = viewOf(bytes);
  return { bytes, view, generationNo: view.getUint32(0) };
}

/**
 * The record at byte `offset`, without looking into its items. A FormatError says that there can be
 * no record: the offset is out of range, or an item runs over the end of the file or the limit.
 */
export function cacheSpan(
  cache: CacheFile,
  offset: number,
  limits: Limits = DEFAULT_LIMITS,
): CacheSpan {
  if (offset < CACHE_START) throw new FormatError(offset, "a cache offset of 4 or more");
  const end = Math.min(cache.bytes.length, offset + limits.cacheRecordBytes);
  let at = offset;
  for (const item of CACHE_ITEMS) {
    if (at + 4 > end) throw new FormatError(at, `the length of cache item ${item}`);
    const next = at + paddedLength(cache.view.getUint32(at));
    if (next > end) throw new FormatError(at, `a length of cache item ${item} that fits`);
    at = next;
  }
  return { offset, length: at - offset };
}

/** Bytes of an item with its length word and padding. */
function paddedLength(length: number): number {
  return 4 + Math.ceil(length / 4) * 4;
}

/** The CRC-32 of a record: what the index record's `cacheCrc` must be, unless that is 0. */
export function cacheCrc(cache: CacheFile, span: CacheSpan): number {
  return crc32Range(cache.bytes, span.offset, span.offset + span.length);
}

/** The bytes of each item of a record, shared with the file. */
export type CacheItems = Readonly<Record<CacheItem, Uint8Array>>;

/** The items of the record at byte `offset`. Errors as `cacheSpan`. */
export function parseCacheRecord(
  cache: CacheFile,
  offset: number,
  limits: Limits = DEFAULT_LIMITS,
): CacheItems {
  cacheSpan(cache, offset, limits);
  const items: Partial<Record<CacheItem, Uint8Array>> = {};
  let at = offset;
  for (const item of CACHE_ITEMS) {
    const length = cache.view.getUint32(at);
    items[item] = cache.bytes.subarray(at + 4, at + 4 + length);
    at += paddedLength(length);
  }
  return items as CacheItems; // every item has been set
}

/** One item of the record at byte `offset`. Errors as `cacheSpan`. */
export function parseCacheItem(cache: CacheFile, offset: number, item: CacheItem): Uint8Array {
  return parseCacheRecord(cache, offset)[item];
}

/** The bytes of a record, to be put where its offset says. */
export function printCacheRecord(items: CacheItems): Uint8Array<ArrayBuffer> {
  const lengths = CACHE_ITEMS.map((item) => paddedLength(items[item].length));
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const [index, item] of CACHE_ITEMS.entries()) {
    view.setUint32(at, items[item].length);
    bytes.set(items[item], at + 4);
    at += lengths[index] ?? 0;
  }
  return bytes;
}

/** The first bytes of a cyrus.cache. */
export function printCacheStart(generationNo: number): Uint8Array<ArrayBuffer> {
  assert(generationNo === generationNo >>> 0, `${generationNo} is no generation`);
  const bytes = new Uint8Array(CACHE_START);
  viewOf(bytes).setUint32(0, generationNo);
  return bytes;
}

/**
 * The records as they follow each other from the start, whether or not the index points to them.
 * Returns the byte where no further record begins: the end of the file, or of what can be read.
 */
export function* cacheSpans(
  cache: CacheFile,
  limits: Limits = DEFAULT_LIMITS,
): Generator<CacheSpan, number> {
  let at = CACHE_START;
  while (at < cache.bytes.length) {
    let span: CacheSpan;
    try {
      span = cacheSpan(cache, at, limits);
    } catch (error) {
      if (error instanceof FormatError) return at;
      throw error;
    }
    yield span;
    at += span.length;
  }
  return at;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LITERAL_HEAD = /^\{(\d{1,10})\}\r\n/;

/**
 * What an item in the form of an IMAP nstring holds, as the subject's: undefined for NIL. Throws
 * FormatError for an item of another form.
 */
export function parseNstring(item: Uint8Array): Uint8Array | undefined {
  const head = Buffer.from(item.subarray(0, 16)).toString("latin1");
  if (head === "NIL") return undefined;
  const literal = LITERAL_HEAD.exec(head);
  if (literal !== null) {
    const content = item.subarray(literal[0].length);
    if (content.length === Number(literal[1])) return content;
    throw new FormatError(literal[0].length, `${literal[1]} bytes`);
  }
  const last = item.length - 1;
  if (item[0] !== QUOTE || last < 1 || item[last] !== QUOTE) throw new FormatError(0, "an nstring");
  const content: number[] = [];
  for (let at = 1; at < last; at++) {
    if (item[at] === BACKSLASH) at += 1;
    if (at === last) throw new FormatError(last, "a character behind the backslash");
    content.push(item[at] ?? 0);
  }
  return new Uint8Array(content);
}
