/**
 * Changing a twoskip file in place, in the form in which Cyrus itself appends to one (spool-format
 * 7.3, lib/cyrusdb_twoskip.c). New records go behind the last, the heads that come before them in
 * the order of keys are led to them, a commit record ends the transaction, and the header says how
 * far the file goes now. What is read and written grows with the change and with the logarithm of
 * the file, not with the file.
 *
 * Keys must lie in the order of their raw bytes, as those of cyrus.annotations do. Whatever is odd
 * in the file is a FormatError: then it is for `readTwoskip` to say what can be read of it.
 */
import { assert } from "../../../core/assert.ts";
import { concat, viewOf } from "../../../core/bytes.ts";
import { FormatError } from "../../../core/errors.ts";
import { bytesAt, type FileSource, sizeOf } from "../../../core/file_source.ts";
import { crc32 } from "../../../hash/crc32.ts";
import type { DatabaseEntry } from "./database_contents.ts";
import { rawOrder } from "./key_order.ts";
import * as layout from "./twoskip_record.ts";
import {
  fillWithBlanks,
  headSizeOf,
  levelOf,
  paddedOffset,
  printHeader,
  roundUp,
  writeRecord,
} from "./twoskip_writer.ts";

/** Bytes that are to stand at a place of a file. */
export interface FileWrite {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A record on the way to a key, or a new one. */
interface Node {
  readonly type: number;
  readonly offset: number;
  readonly level: number;
  readonly entry: DatabaseEntry;
  /** Where each level goes on from here, from level 1; 0 at the end. */
  readonly ahead: number[];
  /** The bytes of the head up to its CRC, as they lie in the file; undefined for a new record. */
  readonly head: Uint8Array | undefined;
  isChanged: boolean;
}

/** The places on all levels between which a key lies, or would lie. */
interface Place {
  /** By level: the last node before the key. */
  readonly before: readonly Node[];
  readonly found: Node | undefined;
}

/** Bytes read at once for a record: most are shorter. */
const RECORD_BYTES = 256;
const COMMIT_BYTES = 24;

export class TwoskipEdit {
  readonly header: layout.TwoskipHeader;
  readonly #source: FileSource;
  readonly #nodes = new Map<number, Node>();
  readonly #appended: Node[] = [];
  #end: number;
  #numRecords: number;

  /** A FormatError says that this is no twoskip file, or one with a transaction under way. */
  constructor(source: FileSource) {
    const bytes = bytesAt(source, { offset: 0, length: layout.HEADER_SIZE });
    if (!layout.hasTwoskipHeader(bytes)) throw new FormatError(0, "a twoskip header");
    const file = { bytes, view: viewOf(bytes), end: bytes.length };
    const { header, problem } = layout.readHeader(file);
    const isWhole = header.currentSize === sizeOf(source) && header.currentSize % 8 === 0;
    if (problem !== undefined || header.version !== 1 || header.dirty || !isWhole) {
      throw new FormatError(0, "a twoskip file with no transaction under way");
    }
    this.#source = source;
    this.header = header;
    this.#end = header.currentSize;
    this.#numRecords = header.numRecords;
  }

  /** True when most of the file may be records that were replaced: better write it anew. */
  get isWasteful(): boolean {
    return this.header.currentSize > 2 * this.header.repackSize + 16_384;
  }

  /** Bytes of the file with the changes. */
  get sizeAfter(): number {
    return paddedOffset(this.#end, COMMIT_BYTES) + COMMIT_BYTES;
  }

  /** The entries whose keys begin with `prefix`, in their order. */
  *withPrefix(prefix: Uint8Array): Generator<DatabaseEntry, void> {
    const before = this.#seek(prefix).before[1];
    let node = before && this.#next(before, 1);
    while (node !== undefined) {
      const { key } = node.entry;
      if (rawOrder(key.subarray(0, prefix.length), prefix) !== 0) return;
      yield node.entry;
      node = this.#next(node, 1);
    }
  }

  /** Makes `entry` the one of its key. */
  put(entry: DatabaseEntry): void {
    const { before, found } = this.#seek(entry.key);
    const level = levelOf(crc32(entry.key) >>> 1);
    const ahead = Array.from({ length: level + 1 }, (_, at) =>
      at === 0 ? 0 : this.#behind(before, found, at),
    );
    const node = this.#append({ type: layout.TYPE_LIVE, level, entry, ahead });
    for (let at = 1; at <= level; at++) lead(before[at], at, node.offset);
    this.#pass(before, found, level + 1);
    if (found === undefined) this.#numRecords += 1;
  }

  /** Removes the entry of `key`; false where there is none. */
  remove(key: Uint8Array): boolean {
    const { before, found } = this.#seek(key);
    if (found === undefined) return false;
    const none = { key: new Uint8Array(), value: new Uint8Array() };
    const ahead = [0, this.#behind(before, found, 1)];
    const mark = this.#append({ type: layout.TYPE_DELETE, level: 0, entry: none, ahead });
    lead(before[1], 1, mark.offset);
    this.#pass(before, found, 2);
    this.#numRecords -= 1;
    return true;
  }

  /**
   * What makes the file hold the changes, in the order in which it is to be written. Before the
   * last write, readers see the file as it was before, with a transaction under way.
   */
  writes(): FileWrite[] {
    const { header } = this;
    const from = header.currentSize;
    const currentSize = this.sizeAfter;
    const commitAt = currentSize - COMMIT_BYTES;
    const bytes = new Uint8Array(currentSize - from);
    fillWithBlanks(bytes);
    for (const { type, offset, entry, ahead } of this.#appended) {
      const pointers = type === layout.TYPE_DELETE ? ahead.slice(1) : ahead;
      writeRecord(bytes, offset - from, { type, pointers, entry });
    }
    writeRecord(bytes, commitAt - from, { type: layout.TYPE_COMMIT, pointers: [from] });
    const heads = [...this.#nodes.values()]
      .filter(({ isChanged, head }) => isChanged && head !== undefined)
      .map((node) => ({ offset: node.offset, bytes: changedHead(node) }));
    const last = { ...header, numRecords: this.#numRecords, currentSize };
    return [
      { offset: 0, bytes: printHeader({ ...header, dirty: true }) },
      { offset: from, bytes },
      ...heads.sort((left, right) => left.offset - right.offset),
      { offset: 0, bytes: printHeader(last) },
    ];
  }

  #seek(key: Uint8Array): Place {
    let here = this.#node(layout.DUMMY_OFFSET);
    const before: Node[] = new Array(here.level + 1).fill(here);
    let found: Node | undefined;
    // Every record takes 24 bytes at least: more steps than that can only be a cycle.
    let stepsLeft = this.#end / 24 + layout.MAX_LEVEL;
    for (let level = here.level; level >= 1; level--) {
      for (;;) {
        if (stepsLeft-- < 0) throw new FormatError(here.offset, "an end of the chain of records");
        const next = this.#next(here, level);
        const order = next === undefined ? 1 : rawOrder(next.entry.key, key);
        if (order === 0) found = next;
        if (next === undefined || order >= 0) break;
        here = next;
      }
      before[level] = here;
    }
    return { before, found };
  }

  /** The live record to which `node` leads along `level`. */
  #next(node: Node, level: number): Node | undefined {
    const offset = node.ahead[level] ?? 0;
    if (offset === 0) return undefined;
    const next = this.#node(offset);
    if (next.type === layout.TYPE_DELETE) return this.#next(next, 1);
    const fits = next.type === layout.TYPE_LIVE && next.level >= level;
    if (!fits) throw new FormatError(offset, `a record of level ${level}`);
    return next;
  }

  /** Where a record put in the place of `found`, or in front of what comes next, leads to. */
  #behind(before: readonly Node[], found: Node | undefined, level: number): number {
    const last = before[level];
    const next = last && this.#next(last, level);
    const passed = next !== undefined && next === found ? this.#next(next, level) : next;
    return passed?.offset ?? 0;
  }

  /** Leads the levels of `found` from `level` on past it. */
  #pass(before: readonly Node[], found: Node | undefined, level: number): void {
    for (let at = level; at <= (found?.level ?? 0); at++) {
      lead(before[at], at, this.#behind(before, found, at));
    }
  }

  #append(node: Pick<Node, "type" | "level" | "entry" | "ahead">): Node {
    const { key, value } = node.entry;
    assert(key.length < 0xffff && value.length < 0xffff_ffff, "a key and value of usual length");
    const headSize = headSizeOf(node.entry, node.level);
    const offset = paddedOffset(this.#end, headSize);
    this.#end = offset + headSize + roundUp(key.length + value.length);
    const made: Node = { ...node, offset, head: undefined, isChanged: false };
    this.#nodes.set(offset, made);
    this.#appended.push(made);
    return made;
  }

  #node(offset: number): Node {
    const known = this.#nodes.get(offset);
    if (known !== undefined) return known;
    const read = readNode(this.#source, offset);
    this.#nodes.set(offset, read);
    return read;
  }
}

function lead(node: Node | undefined, level: number, offset: number): void {
  assert(node !== undefined, "the dummy has every level");
  node.ahead[level] = offset;
  node.isChanged = true;
}

function readNode(source: FileSource, offset: number): Node {
  // Together with the 64 bytes before it: nowhere in a file does a record begin earlier than that.
  const base = offset - layout.DUMMY_OFFSET;
  if (base < 0 || offset % 8 !== 0) throw new FormatError(offset, "the offset of a record");
  const record = layout.emptyRecord();
  let bytes = bytesAt(source, { offset: base, length: layout.DUMMY_OFFSET + RECORD_BYTES });
  const fileOf = () => ({ bytes, view: viewOf(bytes), end: bytes.length });
  let fault = layout.readRecord(fileOf(), layout.DUMMY_OFFSET, record);
  const end = layout.DUMMY_OFFSET + record.size;
  if (end > bytes.length && base + end <= sizeOf(source)) {
    bytes = bytesAt(source, { offset: base, length: end });
    fault = layout.readRecord(fileOf(), layout.DUMMY_OFFSET, record);
  }
  const file = { ...fileOf(), end: sizeOf(source) };
  if (fault !== undefined || layout.checkTail(file, record) !== undefined) {
    throw new FormatError(offset, "a sound twoskip record");
  }
  const { type, level, pointersOffset, keyOffset } = record;
  const upper = Array.from({ length: Math.max(0, level - 1) }, (_, at) =>
    layout.uint64At(file.view, pointersOffset + 8 * (at + 2)),
  );
  const ahead = [0, layout.nextOf(file, record), ...upper];
  const entry = { key: layout.keyBytes(file, record), value: layout.valueBytes(file, record) };
  const head = bytes.slice(layout.DUMMY_OFFSET, keyOffset - 4);
  return { type, offset, level, entry, ahead, head, isChanged: false };
}

/**
 * The head of a record of the file with its new pointers. Of the two along level 1, the one that
 * was written last, which lies higher, stays: whoever reads the file as it was before follows that.
 */
function changedHead({ head, level, ahead }: Node): Uint8Array {
  assert(head !== undefined, "a record of the file has a head");
  const bytes = head.slice(0, -4);
  const view = viewOf(bytes);
  const pointersAt = bytes.length - 8 * (level + 1);
  const [first, second] = [0, 8].map((at) => layout.uint64At(view, pointersAt + at));
  const older = (second ?? 0) > (first ?? 0) ? 0 : 1;
  for (let at = 1; at <= level; at++) {
    const next = BigInt(ahead[at] ?? 0);
    if (at > 1) view.setBigUint64(pointersAt + 8 * at, next);
    else if (next !== BigInt(Math.max(first ?? 0, second ?? 0))) {
      view.setBigUint64(pointersAt + 8 * older, next);
    }
  }
  const crc = new Uint8Array(4);
  viewOf(crc).setUint32(0, crc32(bytes));
  return concat([bytes, crc]);
}
