/**
 * Reading records of a cyrus.cache by offset, through one window: caches are many times the size of
 * their index, and their records mostly follow each other, so a window of a megabyte is filled few times
 * and the whole file is never in memory.
 */
import { closeSync } from "node:fs";
import { openRegular, readAt, type Unreadable } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";

const WINDOW_BYTES = 1024 * 1024;
const ITEMS = 10;

export type CacheRecordBytes =
  /** Valid until the next read. */
  | { readonly state: "read"; readonly bytes: Uint8Array }
  /** Offset or an item's length leads out of the file, or past the limit. */
  | { readonly state: "overrun"; readonly item: number };

/** An open cyrus.cache. Its lifetime is that of the file descriptor: close it. */
export class CacheFile {
  readonly sizeBytes: number;
  /** Bytes 0–3: must be the index's (spool-format 3). Undefined in a file shorter than that. */
  readonly generation: number | undefined;
  readonly #fd: number;
  #window: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #start = 0;
  #length = 0;

  private constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.sizeBytes = sizeBytes;
    this.#window = new Uint8Array(Math.min(WINDOW_BYTES, sizeBytes));
    this.#view = new DataView(this.#window.buffer);
    this.generation = this.#has(0, 4) ? this.#view.getUint32(0) : undefined;
  }

  /** Opens the cache at `path`, or says why not. */
  static open(path: string): CacheFile | Unreadable {
    const opened = openRegular(path);
    return opened.state === "open" ? new CacheFile(opened.fd, opened.stat.size) : opened;
  }

  /** The ten items of the record at `offset`, with their length words and padding. */
  recordAt(offset: number): CacheRecordBytes {
    let length = 0;
    for (let item = 0; item < ITEMS; item++) {
      if (!this.#has(offset, length + 4)) return { state: "overrun", item };
      const itemLength = this.#view.getUint32(offset + length - this.#start);
      length += 4 + ((itemLength + 3) & ~3);
      // `& ~3` is signed: lengths of 2 GiB and more come out negative and are refused here too.
      if (itemLength > DEFAULT_LIMITS.cacheRecordBytes || !this.#has(offset, length)) {
        return { state: "overrun", item };
      }
    }
    const at = offset - this.#start;
    return { state: "read", bytes: this.#window.subarray(at, at + length) };
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Brings `length` bytes from `offset` into the window; false where the file has them not. */
  #has(offset: number, length: number): boolean {
    const end = offset + length;
    if (end > this.sizeBytes || length > DEFAULT_LIMITS.cacheRecordBytes) return false;
    if (offset >= this.#start && end <= this.#start + this.#length) return true;
    if (length > this.#window.length) {
      this.#window = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
      this.#view = new DataView(this.#window.buffer);
    }
    this.#start = offset;
    this.#length = readAt(this.#fd, this.#window, offset);
    return length <= this.#length;
  }
}
