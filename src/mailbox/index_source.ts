/**
 * The bytes of a cyrus.index behind an image: all at hand, or a file of which only the needed parts are read. A change of one record
 * in a mailbox of 100,000 needs its header and some twenty parts on the way to a UID, not ten megabytes.
 */
import { viewOf } from "../core/bytes.ts";
import type { IndexTable } from "../formats/cyrus/index/index_table.ts";

/** A file that stands still while it is read: its owner's writer lock is held, or nothing has been committed since. */
export interface IndexFile {
  /** Bytes. */
  readonly size: number;
  /** Bytes from `offset` on, fewer where the file ends. */
  read(offset: number, length: number): Uint8Array;
}

export type IndexSource = Uint8Array | IndexFile;

/** At least the header of any version. */
const HEAD_BYTES = 192;
const PART_RECORDS = 256;
/** Whoever wants more parts than this wants all. */
const PARTS_MAX = 64;

/** Part of an index; `start` is the offset of its first byte in the file. */
export interface IndexPart {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
}

/** The bytes in which the header of an index lies, and perhaps more. */
export function headOf(source: IndexSource): Uint8Array {
  return source instanceof Uint8Array ? source : source.read(0, HEAD_BYTES);
}

export function sizeOf(source: IndexSource): number {
  return source instanceof Uint8Array ? source.length : source.size;
}

/** Gives the part in which a record lies whole, by its number. */
export function partReader(source: IndexSource, table: IndexTable): (number: number) => IndexPart {
  const partOf = (bytes: Uint8Array, start: number) => ({ bytes, view: viewOf(bytes), start });
  if (source instanceof Uint8Array) {
    const all = partOf(source, 0);
    return () => all;
  }
  const parts = new Map<number, IndexPart>();
  let all: IndexPart | undefined;
  return (number) => {
    if (all !== undefined) return all;
    const which = Math.floor(number / PART_RECORDS);
    const known = parts.get(which);
    if (known !== undefined) return known;
    if (parts.size === PARTS_MAX) {
      parts.clear();
      all = partOf(source.read(0, source.size), 0);
      return all;
    }
    const start = table.headerSize + which * PART_RECORDS * table.recordSize;
    const part = partOf(source.read(start, PART_RECORDS * table.recordSize), start);
    parts.set(which, part);
    return part;
  };
}
