/**
 * Reads records of a cyrus.cache by their offset, through a window of a megabyte. A cache is many
 * times as large as its index, and its records mostly follow each other: the window is filled few
 * times, and the whole file is never in memory.
 */
import { closeSync } from "node:fs";
import { u32At } from "../../../core/bytes.ts";
import { openRegular, readAt, type Unreadable } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";

const WINDOW_BYTES = 1024 * 1024;
const ITEMS = 10;

export type CacheRecord =
  /** The record's bytes are `window[start, end)`, until the next read. */
  | { readonly state: "read"; readonly start: number; readonly end: number }
  /** The offset or the length of an item leads out of the file, or past the limit. */
  | { readonly state: "overrun"; readonly item: number };

/** An open cyrus.cache. Its lifetime is that of the file descriptor: close it. */
export class CacheFile {
  readonly sizeBytes: number;
  /** Bytes 0–3, as in the index (spool-format 3). Undefined in a shorter file. */
  readonly generation: number | undefined;
  readonly #fd: number;
  readonly #itemStarts = new Uint32Array(ITEMS);
  #window: Uint8Array<ArrayBuffer>;
  /** Byte of the file at which the window begins. */
  #start = 0;
  #length = 0;
  /** The number of the item that the last scan has come to. */
  #item = 0;

  private constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.sizeBytes = sizeBytes;
    this.#window = new Uint8Array(Math.min(WINDOW_BYTES, sizeBytes));
    this.#fill(0, WINDOW_BYTES);
    this.generation = this.#length >= 4 ? u32At(this.#window, 0) : undefined;
  }

  /** Opens the cache at `path`, or says why not. */
  static open(path: string): CacheFile | Unreadable {
    const opened = openRegular(path);
    return opened.state === "open" ? new CacheFile(opened.fd, opened.stat.size) : opened;
  }

  /** The part of the file that is in memory. */
  get window(): Uint8Array {
    return this.#window;
  }

  /** Where item 0 to 9 of the record read last begins in the window, at its length word. */
  itemStart(item: number): number {
    return this.#itemStarts[item] ?? 0;
  }

  /** Finds the ten items of the record at `offset`, with their length words and padding. */
  recordAt(offset: number): CacheRecord {
    for (let wanted = WINDOW_BYTES; ; wanted *= 2) {
      const inside = offset >= this.#start && offset < this.#start + this.#length;
      const end = inside ? this.#scan(offset - this.#start) : undefined;
      if (end !== undefined) return { state: "read", start: offset - this.#start, end };
      const isWhole = this.#start === offset && this.#length >= this.sizeBytes - offset;
      const isLimit = wanted > 2 * DEFAULT_LIMITS.cacheRecordBytes;
      if (offset >= this.sizeBytes || isWhole || isLimit) {
        return { state: "overrun", item: this.#item };
      }
      this.#fill(offset, wanted);
    }
  }

  /** The 32-bit word at `at` of the window. */
  wordAt(at: number): number {
    return u32At(this.#window, at);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Reads items' lengths from byte `at` of the window. Their end; undefined past the window. */
  #scan(at: number): number | undefined {
    const window = this.#window;
    const starts = this.#itemStarts;
    const windowEnd = this.#length;
    let next = at;
    for (let item = 0; item < ITEMS; item++) {
      starts[item] = next;
      this.#item = item;
      if (next + 4 > windowEnd) return undefined;
      const itemLength = u32At(window, next);
      if (itemLength > DEFAULT_LIMITS.cacheRecordBytes) return undefined;
      next += 4 + ((itemLength + 3) & ~3);
      if (next > windowEnd) return undefined;
    }
    return next;
  }

  /** Makes the window begin at byte `offset` of the file and hold up to `wanted` bytes. */
  #fill(offset: number, wanted: number): void {
    const length = Math.min(wanted, this.sizeBytes - offset);
    if (length > this.#window.length) this.#window = new Uint8Array(length);
    this.#start = offset;
    this.#length = readAt(this.#fd, this.#window.subarray(0, length), offset);
  }
}
