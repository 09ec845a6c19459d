/**
 * Reads dlist values as what they mean: text, number, date, GUID. A value of another type throws
 * FieldError, which names its key. Keys are looked up as Cyrus does it: they are case-sensitive,
 * the first one counts, and a kvlist may stand where a list is expected (sync-protocol.md 2.1).
 * Unlike Cyrus, a number that is too big for its field is an error and is not cut off.
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { type Guid, isGuid } from "../../model/guid.ts";
import type { DlistKvlist, DlistValue } from "./value.ts";

/** A field is missing or not of its type. The offset is 0: a value does not know its own. */
export class FieldError extends FormatError {
  readonly key: string;

  constructor(key: string, type: string) {
    super(0, `${key} as ${type}`);
    this.key = key;
  }
}

const U64_LIMIT = 1n << 64n;
const NO_ITEMS: readonly DlistValue[] = [];

/** The value under `key`, or undefined. */
export function lookUp(kvlist: DlistKvlist, key: string): DlistValue | undefined {
  for (const entry of kvlist.entries) if (entry.name === key) return entry.value;
  return undefined;
}

/** The value under `key` as a kvlist; throws FieldError if it is none or missing. */
export function kvlistOf(value: DlistValue | undefined, key: string): DlistKvlist {
  if (value?.kind !== "kvlist") throw new FieldError(key, "a kvlist");
  return value;
}

/** The items of a list, or the values of a kvlist; throws FieldError for anything else. */
export function itemsOf(value: DlistValue | undefined, key: string): readonly DlistValue[] {
  if (value?.kind === "list") return value.items;
  if (value?.kind === "kvlist") {
    return value.entries.length === 0 ? NO_ITEMS : value.entries.map((entry) => entry.value);
  }
  throw new FieldError(key, "a list");
}

/** The bytes of a string or flag; throws FieldError for anything else, NIL included. */
export function bytesOf(value: DlistValue | undefined, key: string): Uint8Array {
  if (value?.kind === "string" || value?.kind === "flag") return value.bytes;
  if (value?.kind === "atom") return fromLatin1(value.text);
  throw new FieldError(key, "a string");
}

/**
 * A copy of the bytes of a string or flag, for a value that is kept: a view would keep all of the
 * chunk in memory in which it came. Throws FieldError.
 */
export function ownBytesOf(value: DlistValue | undefined, key: string): Uint8Array {
  return bytesOf(value, key).slice();
}

/** A string or flag as latin1 text: each character is one byte. Throws FieldError. */
export function latin1Of(value: DlistValue | undefined, key: string): string {
  return latin1(bytesOf(value, key));
}

/**
 * The words of a list as latin1 text. A list of words has no nulls: Cyrus prints the keyword `NIL`
 * without quotes, and 2.4 prints any string `NIL` so. Throws FieldError.
 */
export function wordsOf(value: DlistValue | undefined, key: string): string[] {
  return itemsOf(value, key).map((item) => (item.kind === "nil" ? "NIL" : latin1Of(item, key)));
}

/** An unsigned decimal number below 2^64; the whole token must be digits. Throws FieldError. */
export function u64Of(value: DlistValue | undefined, key: string): bigint {
  const bytes = bytesOf(value, key);
  const small = smallNumber(bytes);
  if (small !== undefined) return BigInt(small);
  const text = latin1(bytes);
  if (!/^\d{1,20}$/.test(text)) throw new FieldError(key, "a number");
  const number = BigInt(text);
  if (number >= U64_LIMIT) throw new FieldError(key, "a number below 2^64");
  return number;
}

/** An unsigned decimal number below 2^32. Throws FieldError. */
export function u32Of(value: DlistValue | undefined, key: string): number {
  const small = smallNumber(bytesOf(value, key));
  const number = small ?? u64Of(value, key);
  if (number > 0xffff_ffff) throw new FieldError(key, "a number below 2^32");
  return Number(number);
}

/** Seconds since 1970; from the upper half of 64 bits on negative. Throws FieldError. */
export function dateOf(value: DlistValue | undefined, key: string): number {
  const seconds = Number(BigInt.asIntN(64, u64Of(value, key)));
  if (!Number.isSafeInteger(seconds)) throw new FieldError(key, "a date");
  return seconds;
}

/** A GUID, in lower case. Throws FieldError. */
export function guidOf(value: DlistValue | undefined, key: string): Guid {
  const text = latin1Of(value, key);
  if (isGuid(text)) return text;
  const lower = text.toLowerCase();
  if (!isGuid(lower)) throw new FieldError(key, "a GUID");
  return lower;
}

/** The number that up to 15 digits give, read from the bytes without making a string. */
function smallNumber(bytes: Uint8Array): number | undefined {
  if (bytes.length === 0 || bytes.length > 15) return undefined;
  let number = 0;
  for (let at = 0; at < bytes.length; at++) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}
