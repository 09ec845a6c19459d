/**
 * The numbers of cyrus.index, both ways. Since version 20 times are nanoseconds in 64 bits; Bobbin
 * counts in seconds, with the nanoseconds beside them, and neither is a bigint: a million records
 * have six million times.
 */
import { assert, BugError } from "../../../core/assert.ts";

const BILLION = 1_000_000_000;
const WORD = 0x1_0000_0000;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** The whole seconds of the nanoseconds in the 8 bytes at `at`: below 2^35. */
export function readWholeSeconds(view: DataView, at: number): number {
  // Long division in three digits, as the whole number is too large for a double to be exact.
  const high = view.getUint32(at);
  const low = view.getUint32(at + 4);
  const middle = (high % BILLION) * 0x10000 + (low >>> 16);
  const last = (middle % BILLION) * 0x10000 + (low & 0xffff);
  return (
    Math.floor(high / BILLION) * WORD +
    Math.floor(middle / BILLION) * 0x10000 +
    Math.floor(last / BILLION)
  );
}

/** What is left of the 8 bytes at `at` beside `wholeSeconds`, in nanoseconds. */
export function readSubseconds(view: DataView, at: number, wholeSeconds: number): number {
  return (view.getUint32(at + 4) - Math.imul(wholeSeconds, BILLION)) >>> 0;
}

/** Writes a time as 8 bytes of nanoseconds. */
export function writeNanoseconds(
  view: DataView,
  at: number,
  time: { readonly seconds: number; readonly subseconds: number },
): void {
  const { seconds, subseconds } = time;
  assert(Number.isInteger(subseconds) && subseconds >= 0 && subseconds < BILLION, "subseconds");
  writeU64(view, at, BigInt(seconds) * BigInt(BILLION) + BigInt(subseconds));
}

/** The 8 bytes at `at` as a number, or undefined above 2^53 - 1. */
export function readSafeU64(view: DataView, at: number): number | undefined {
  const value = view.getUint32(at) * WORD + view.getUint32(at + 4);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Writes 4 bytes; a number that they cannot hold is a bug of the caller. */
export function writeU32(view: DataView, at: number, value: number): void {
  if (value !== value >>> 0) throw new BugError(`${value} is no unsigned 32-bit number`);
  view.setUint32(at, value);
}

/** Writes 8 bytes; a number that they cannot hold is a bug of the caller. */
export function writeU64(view: DataView, at: number, value: bigint): void {
  if (value < 0n || value > U64_MAX) throw new BugError(`${value} is no unsigned 64-bit number`);
  view.setBigUint64(at, value);
}
