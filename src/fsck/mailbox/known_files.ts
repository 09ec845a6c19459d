/**
 * Message files that were read before: what was seen in each, so that another name of the same file
 * need not be read again. One row a file, packed, as a store has millions.
 */
import { isAscii } from "node:buffer";
import type { Stats } from "node:fs";
import type { Collector } from "./collector.ts";

export interface KnownFiles {
  /** The filesystem on which all of them lie. */
  readonly device: number;
  /** 0 where nothing is known: not read, or not what its name says. */
  readonly inodes: Float64Array;
  readonly sizes: Float64Array;
  /** Bytes up to and with the first empty line; 0 where the part looked at has none. */
  readonly headerSizes: Uint32Array;
  /** What `octetsOf` found. */
  readonly octets: Uint8Array;
}

/** Room for so many files of one device, nothing known of any. */
export function newKnownFiles(length: number, device: number): KnownFiles {
  return {
    device,
    inodes: new Float64Array(length),
    sizes: new Float64Array(length),
    headerSizes: new Uint32Array(length),
    octets: new Uint8Array(length),
  };
}

/** Copies all rows of `part` into `whole`, from its row `at` on. */
export function putKnown(whole: KnownFiles, part: KnownFiles, at: number): void {
  whole.inodes.set(part.inodes, at);
  whole.sizes.set(part.sizes, at);
  whole.headerSizes.set(part.headerSizes, at);
  whole.octets.set(part.octets, at);
}

/** The rows at the positions `rows`, in memory of their own; -1 for a file that is not known. */
export function pickKnown(known: KnownFiles, rows: readonly number[]): KnownFiles {
  const picked = newKnownFiles(rows.length, known.device);
  rows.forEach((row, at) => {
    picked.inodes[at] = known.inodes[row] ?? 0;
    picked.sizes[at] = known.sizes[row] ?? 0;
    picked.headerSizes[at] = known.headerSizes[row] ?? 0;
    picked.octets[at] = known.octets[row] ?? 0;
  });
  return picked;
}

/** True when `stat` is of the file that row `row` tells of, as long as it was when it was read. */
export function isKnown(known: KnownFiles, row: number, stat: Stats): boolean {
  return (
    stat.ino === known.inodes[row] && stat.dev === known.device && stat.size === known.sizes[row]
  );
}

const LF = 10;
const CR = 13;
const EIGHT_BIT = 1;
const BARE_LF = 2;
const NUL = 4;

/** MS12: which unusual octets are in the header, or NUL anywhere in `head`, as bits. */
export function octetsOf(head: Uint8Array, headerSize: number): number {
  const header = head.subarray(0, headerSize);
  return (
    (isAscii(header) ? 0 : EIGHT_BIT) |
    (hasBareLf(header) ? BARE_LF : 0) |
    (head.includes(0) ? NUL : 0)
  );
}

/** Counts a message under each of its unusual octets. */
export function tallyOctets(
  octets: number,
  at: { readonly uid: number; readonly path: string },
  collector: Collector,
): void {
  if (octets === 0) return;
  if ((octets & EIGHT_BIT) !== 0) collector.tally("MS12", at, { what: "eight_bit" });
  if ((octets & BARE_LF) !== 0) collector.tally("MS12", at, { what: "bare_lf" });
  if ((octets & NUL) !== 0) collector.tally("MS12", at, { what: "nul" });
}

function hasBareLf(header: Uint8Array): boolean {
  for (let at = header.indexOf(LF); at !== -1; at = header.indexOf(LF, at + 1)) {
    if (header[at - 1] !== CR) return true;
  }
  return false;
}
