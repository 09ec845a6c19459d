/**
 * Reading skiplist, the older of Cyrus' database formats, still that of conversations (spool-format
 * 7.4). It has no checksums, and its pointers are not needed: the run of records that the last
 * checkpoint wrote in order, and behind it the log, say everything.
 *
 *   header, 48 bytes:  magic 20, version 4, minor version 4, maxlevel 4, curlevel 4, listsize 4,
 *                      logstart 4, last_recovery 4
 *   record, 4-aligned: type 4; INORDER, ADD, DUMMY: keylen 4, key, zeros to 4, datalen 4, data,
 *                      zeros to 4, pointers, 0xFFFFFFFF; DELETE: offset 4; COMMIT: nothing more
 */
import { latin1, viewOf } from "../../../core/bytes.ts";
import type { DatabaseContents, DatabaseEntry, DatabaseProblem } from "./database_contents.ts";
import { rawOrder } from "./key_order.ts";

export const SKIPLIST_MAGIC = "\xa1\x02\x8b\x0dskiplist file\0\0\0";

const HEADER_SIZE = 48;
const DUMMY_OFFSET = HEADER_SIZE;
/** Cyrus writes 20 levels; the field has room for more. */
const MAX_LEVEL = 255;
const END_OF_POINTERS = 0xffff_ffff;

const INORDER = 1;
const ADD = 2;
const DELETE = 4;
const COMMIT = 255;
const DUMMY = 257;

interface SkiplistRecord {
  readonly type: number;
  readonly size: number;
  readonly entry?: DatabaseEntry;
  /** What a DELETE removes. */
  readonly victim?: number;
}

/**
 * All live entries of a skiplist file, sorted by raw bytes, with what is wrong in it. Never throws.
 */
export function readSkiplist(bytes: Uint8Array): DatabaseContents {
  const headProblem = checkHead(bytes);
  if (headProblem !== undefined) return { entries: [], problems: [headProblem], unfinished: false };
  const state: State = {
    bytes,
    view: viewOf(bytes),
    live: new Map(),
    keys: new Map(),
    pending: [],
    problems: [],
  };
  const logStart = readInOrder(state);
  readLog(state, logStart);
  const entries = [...state.live.values()];
  entries.sort((left, right) => rawOrder(left.key, right.key));
  return { entries, problems: state.problems, unfinished: state.pending.length > 0 };
}

interface State {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly live: Map<string, DatabaseEntry>;
  /** The key of each record by its offset, for DELETE. */
  readonly keys: Map<number, string>;
  readonly problems: DatabaseProblem[];
  /** Records of the transaction under way, with their offsets. */
  pending: { readonly offset: number; readonly record: SkiplistRecord }[];
}

function checkHead(bytes: Uint8Array): DatabaseProblem | undefined {
  const isSkiplist = latin1(bytes.subarray(0, SKIPLIST_MAGIC.length)) === SKIPLIST_MAGIC;
  if (!isSkiplist || bytes.length < HEADER_SIZE) {
    const expected = `a skiplist header of ${HEADER_SIZE} bytes`;
    return { offset: 0, what: "header", expected, found: `${bytes.length} other bytes` };
  }
  const view = viewOf(bytes);
  const version = view.getUint32(20);
  if (version !== 1) return { offset: 20, what: "version", expected: "1", found: `${version}` };
  const dummy = recordAt(bytes, view, DUMMY_OFFSET);
  if (dummy?.type === DUMMY && dummy.entry?.key.length === 0) return undefined;
  return { offset: DUMMY_OFFSET, what: "first record", expected: "the dummy", found: "another" };
}

/** The run that the last checkpoint wrote; returns where the log begins. */
function readInOrder(state: State): number {
  const { bytes, view } = state;
  let offset = DUMMY_OFFSET + (recordAt(bytes, view, DUMMY_OFFSET)?.size ?? 0);
  for (;;) {
    const record = recordAt(bytes, view, offset);
    if (record?.type !== INORDER) break;
    store(state, offset, { record });
    offset += record.size;
  }
  const found = view.getUint32(40);
  if (found !== offset) {
    const expected = `${offset}`;
    state.problems.push({ offset: 40, what: "start of the log", expected, found: `${found}` });
  }
  return offset;
}

function readLog(state: State, logStart: number): void {
  const { bytes, view } = state;
  let offset = logStart;
  while (offset + 4 <= bytes.length) {
    const type = view.getUint32(offset);
    // Runs of zeros were left behind by a fault in an old recovery.
    if (type === 0) {
      offset += 4;
      continue;
    }
    const record = recordAt(bytes, view, offset);
    if (record === undefined || record.type === INORDER || record.type === DUMMY) {
      if (reachesTheEnd(bytes, view, offset)) {
        state.pending.push({ offset, record: { type, size: bytes.length - offset } });
        return;
      }
      const expected = "ADD, DELETE or COMMIT";
      const found = `type ${type}; ${bytes.length - offset} bytes not read`;
      state.problems.push({ offset, what: "log record", expected, found });
      return;
    }
    if (record.type === COMMIT) commit(state);
    else state.pending.push({ offset, record });
    offset += record.size;
  }
}

/** True for a record that was being written when the file ended: legal, as it has no COMMIT. */
function reachesTheEnd(bytes: Uint8Array, view: DataView, offset: number): boolean {
  const type = view.getUint32(offset);
  if (type === DELETE) return offset + 8 > bytes.length;
  if (type !== ADD) return false;
  const keyEnd = offset + 8 + padded(lengthAt(bytes, view, offset + 4));
  if (keyEnd + 4 > bytes.length) return true;
  let at = keyEnd + 4 + padded(lengthAt(bytes, view, keyEnd));
  while (at + 4 <= bytes.length && view.getUint32(at) !== END_OF_POINTERS) {
    at += 4;
    if (at > keyEnd + 4 + padded(lengthAt(bytes, view, keyEnd)) + 4 * MAX_LEVEL) return false;
  }
  return at + 4 > bytes.length;
}

/** A length field, or more than any file holds where the field itself is cut. */
function lengthAt(bytes: Uint8Array, view: DataView, offset: number): number {
  return offset + 4 <= bytes.length ? view.getUint32(offset) : bytes.length;
}

function commit(state: State): void {
  for (const { offset, record } of state.pending) {
    if (record.victim === undefined) store(state, offset, { record });
    else {
      const key = state.keys.get(record.victim);
      if (key !== undefined && state.live.delete(key)) continue;
      const expected = "the offset of a live record";
      const found = `${record.victim}`;
      state.problems.push({ offset, what: "DELETE record", expected, found });
    }
  }
  state.pending = [];
}

function store(
  state: State,
  offset: number,
  { record }: { readonly record: SkiplistRecord },
): void {
  if (record.entry === undefined) return;
  const key = latin1(record.entry.key);
  state.keys.set(offset, key);
  state.live.set(key, record.entry);
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** The record at `offset`, or undefined unless it is whole and of a known type. */
function recordAt(bytes: Uint8Array, view: DataView, offset: number): SkiplistRecord | undefined {
  if (offset + 4 > bytes.length) return undefined;
  const type = view.getUint32(offset);
  if (type === COMMIT) return { type, size: 4 };
  if (type === DELETE) {
    if (offset + 8 > bytes.length) return undefined;
    return { type, size: 8, victim: view.getUint32(offset + 4) };
  }
  if (type !== INORDER && type !== ADD && type !== DUMMY) return undefined;
  const keyLength = lengthAt(bytes, view, offset + 4);
  const valueAt = offset + 8 + padded(keyLength);
  const valueLength = lengthAt(bytes, view, valueAt);
  let at = valueAt + 4 + padded(valueLength);
  for (let level = 0; level <= MAX_LEVEL && at + 4 <= bytes.length; level++) {
    at += 4;
    if (view.getUint32(at - 4) !== END_OF_POINTERS) continue;
    const key = bytes.subarray(offset + 8, offset + 8 + keyLength);
    const value = bytes.subarray(valueAt + 4, valueAt + 4 + valueLength);
    return { type, size: at - offset, entry: { key, value } };
  }
  return undefined;
}
