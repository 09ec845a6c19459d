/**
 * The bytes of a mailbox's file behind an image: all at hand, or a file of which only the needed
 * parts are read. A change of one record in a mailbox of 100,000 needs the header of its index and
 * some twenty parts on the way to a UID, not ten megabytes.
 */
import { viewOf } from "./bytes.ts";

/** A file that stands still: its owner's lock is held, or the reader looks for changes after it. */
export interface FileParts {
  /** Bytes. */
  readonly size: number;
  /** Bytes from `offset` on, fewer at the file's end. They may lie in `into`, of `length` bytes. */
  read(offset: number, length: number, into?: Uint8Array): Uint8Array;
}

export type FileSource = Uint8Array | FileParts;

/** Part of a file; `start` is the offset of its first byte in the file. */
export interface FilePart {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
}

/** Parts that are kept; who needs more of a file is reading most of it, and is given all of it. */
const PARTS_MAX = 64;

/** Bytes of the whole file. */
export function sizeOf(source: FileSource): number {
  return source instanceof Uint8Array ? source.length : source.size;
}

/** `length` bytes from `offset` on, fewer where the file ends. */
export function bytesAt(
  source: FileSource,
  { offset, length, into }: { readonly offset: number; readonly length: number; into?: Uint8Array },
): Uint8Array {
  return source instanceof Uint8Array
    ? source.subarray(offset, offset + length)
    : source.read(offset, length, into);
}

/** How a file is divided: into parts of `bytes` each, from byte `first` on. */
export interface Division {
  readonly first: number;
  readonly bytes: number;
}

/** Gives part `number`, read at the first time; a file that is at hand is one part. */
export function partReader(source: FileSource, division: Division): (number: number) => FilePart {
  const partOf = (bytes: Uint8Array, start: number) => ({ bytes, view: viewOf(bytes), start });
  if (source instanceof Uint8Array) {
    const all = partOf(source, 0);
    return () => all;
  }
  const parts = new Map<number, FilePart>();
  let all: FilePart | undefined;
  return (number) => {
    if (all !== undefined) return all;
    const known = parts.get(number);
    if (known !== undefined) return known;
    if (parts.size === PARTS_MAX) {
      parts.clear();
      all = partOf(source.read(0, source.size), 0);
      return all;
    }
    const start = division.first + number * division.bytes;
    const part = partOf(source.read(start, division.bytes), start);
    parts.set(number, part);
    return part;
  };
}
