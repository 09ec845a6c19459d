/** Sets of UIDs as IMAP writes them, `1:3,7` (RFC 3501 sequence-set, without `*`). */
import { FormatError } from "../core/errors.ts";

/** A range of UIDs that includes both of its ends. */
export interface UidRange {
  readonly first: number;
  readonly last: number;
}

const UID_LIMIT = 0xffff_ffff;

/** The ranges of a set, sorted and joined. Throws FormatError. */
export function parseSequenceSet(text: string): UidRange[] {
  if (text === "") return [];
  const ranges: UidRange[] = [];
  let offset = 0;
  for (const part of text.split(",")) {
    const [, from, to = from] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(part) ?? [];
    const [left, right] = [Number(from), Number(to)];
    const inRange = left >= 1 && right >= 1 && left <= UID_LIMIT && right <= UID_LIMIT;
    if (from === undefined || !inRange) throw new FormatError(offset, "a UID or a range of UIDs");
    ranges.push({ first: Math.min(left, right), last: Math.max(left, right) });
    offset += part.length + 1;
  }
  return joinRanges(ranges);
}

/** Sorts ranges and joins those that touch or overlap. */
export function joinRanges(ranges: readonly UidRange[]): UidRange[] {
  const sorted = [...ranges].sort((left, right) => left.first - right.first);
  const joined: UidRange[] = [];
  for (const range of sorted) {
    const before = joined.at(-1);
    if (before === undefined || range.first > before.last + 1) joined.push(range);
    else if (range.last > before.last) {
      joined[joined.length - 1] = { first: before.first, last: range.last };
    }
  }
  return joined;
}

/** The inverse of `parseSequenceSet`. */
export function printSequenceSet(ranges: readonly UidRange[]): string {
  return ranges
    .map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`))
    .join(",");
}
