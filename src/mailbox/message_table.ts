/**
 * What the index of a mailbox says of its messages, packed: a million of them take 40 MB, and a
 * part of them crosses to a worker thread in one copy.
 */
import { hasBit, INTERNAL_FLAG } from "../formats/cyrus/index/index_flags.ts";
import type { IndexRecord } from "../formats/cyrus/index/index_record.ts";
import type { IndexTable } from "../formats/cyrus/index/index_table.ts";
import type { GuidSet } from "./guid_set.ts";

/** What a record says of its file, as bits. */
export const MESSAGE = {
  expunged: 1,
  /** The file may be gone already. */
  unlinked: 2,
  archived: 4,
  /** One of the two copies in spool and archive is to be removed. */
  needsCleanup: 8,
} as const;

export interface MessageTable {
  readonly length: number;
  /** Ascending. */
  readonly uids: Uint32Array;
  readonly sizes: Float64Array;
  readonly headerSizes: Uint32Array;
  /** 20 bytes each; the 12-byte UUIDs of versions 7 to 9 have zeros behind them. */
  readonly guids: Uint8Array;
  readonly states: Uint8Array;
}

/** Fills a table from the records of an index. */
export class MessageTableBuilder {
  readonly #layout: IndexTable;
  readonly #table: MessageTable;
  #length = 0;

  constructor(index: { readonly table: IndexTable; readonly recordCount: number }) {
    this.#layout = index.table;
    this.#table = emptyTable(index.recordCount);
  }

  /** Adds a record that lies at byte `offset` of `bytes`. */
  push(record: IndexRecord, bytes: Uint8Array, offset: number): void {
    const { systemFlags } = record;
    const row = this.#length;
    const table = this.#table;
    table.uids[row] = record.uid;
    table.sizes[row] = record.size;
    table.headerSizes[row] = record.headerSize;
    table.states[row] =
      (hasBit(systemFlags, INTERNAL_FLAG.expunged) ? MESSAGE.expunged : 0) |
      (hasBit(systemFlags, INTERNAL_FLAG.unlinked) ? MESSAGE.unlinked : 0) |
      (hasBit(systemFlags, INTERNAL_FLAG.archived) ? MESSAGE.archived : 0) |
      (hasBit(systemFlags, INTERNAL_FLAG.needsCleanup) ? MESSAGE.needsCleanup : 0);
    const { recordAt, guidBytes } = this.#layout;
    const from = offset + recordAt.guid;
    for (let at = 0; at < guidBytes; at++) table.guids[row * 20 + at] = bytes[from + at] ?? 0;
    this.#length += 1;
  }

  /** Puts the GUID of the last record into `seen`; false when it was there before. */
  rememberGuid(seen: GuidSet): boolean {
    return seen.add(this.#table.guids, (this.#length - 1) * 20);
  }

  /** The table of the messages added so far. */
  table(): MessageTable {
    return { ...this.#table, length: this.#length };
  }
}

function emptyTable(capacity: number): MessageTable {
  return {
    length: 0,
    uids: new Uint32Array(capacity),
    sizes: new Float64Array(capacity),
    headerSizes: new Uint32Array(capacity),
    guids: new Uint8Array(capacity * 20),
    states: new Uint8Array(capacity),
  };
}

/** The messages `from` to `to` (not included), in memory of their own. */
export function sliceTable(table: MessageTable, from: number, to: number): MessageTable {
  return {
    length: to - from,
    uids: table.uids.slice(from, to),
    sizes: table.sizes.slice(from, to),
    headerSizes: table.headerSizes.slice(from, to),
    guids: table.guids.slice(from * 20, to * 20),
    states: table.states.slice(from, to),
  };
}

/** The messages at the positions `rows`, in memory of their own. */
export function pickFromTable(table: MessageTable, rows: Uint32Array): MessageTable {
  const picked = { ...emptyTable(rows.length), length: rows.length };
  rows.forEach((row, at) => {
    picked.uids[at] = table.uids[row] ?? 0;
    picked.sizes[at] = table.sizes[row] ?? 0;
    picked.headerSizes[at] = table.headerSizes[row] ?? 0;
    picked.states[at] = table.states[row] ?? 0;
    picked.guids.set(guidOf(table, row), at * 20);
  });
  return picked;
}

/** True when a record has this UID. */
export function hasMessage(table: MessageTable, uid: number): boolean {
  let low = 0;
  let high = table.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((table.uids[middle] ?? 0) < uid) low = middle + 1;
    else high = middle;
  }
  return low < table.length && table.uids[low] === uid;
}

/** The 20 bytes of a message's GUID. */
export function guidOf(table: MessageTable, row: number): Uint8Array {
  return table.guids.subarray(row * 20, row * 20 + 20);
}
