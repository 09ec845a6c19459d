/** cyrus.cache against the records that point into it: rows CA01 to CA05 (CA04 by sizes only). */
import type { Unreadable } from "../../core/files.ts";
import type { IndexRecord } from "../../formats/cyrus/index/index_record.ts";
import { crc32Range } from "../../hash/crc32.ts";
import { CacheFile } from "../../places/cyrus/mailbox/cache_file.ts";
import type { FactsOf } from "../finding.ts";
import type { Collector } from "./collector.ts";

/**
 * What a record says of its cache record. A `cacheCrc` of 0 means that it is not known: versions
 * below 12 have none.
 */
export type CacheReference = Pick<
  IndexRecord,
  "uid" | "cacheOffset" | "cacheCrc" | "size" | "headerSize"
>;

const SECTION_ITEM = 3;
const SECTION_HEAD_BYTES = 20;

/** In smaller files the share of waste says nothing. */
const WASTE_WORTH_BYTES = 64 * 1024;

/**
 * Checks one cache file, reference by reference. Its lifetime is one look at a mailbox: close it.
 * `finish` says what concerns the whole file. A mailbox without messages has no cyrus.cache, so a
 * missing one is a finding only when a record points into it.
 */
export class CacheCheck {
  readonly #cache: CacheFile | Unreadable;
  readonly #path: string;
  readonly #collector: Collector;
  #usedBytes = 4;

  constructor(path: string, collector: Collector) {
    this.#cache = CacheFile.open(path);
    this.#path = path;
    this.#collector = collector;
  }

  /** CA01, CA02, CA04 for one record. Offset 0 means that the message has no cache record. */
  check(reference: CacheReference): void {
    const { uid, cacheOffset: offset, cacheCrc: crc } = reference;
    if (offset === 0) return;
    const path = this.#path;
    if (!(this.#cache instanceof CacheFile)) {
      this.#collector.tally("CA01", { uid, path }, { fault: this.#cache });
      return;
    }
    if (offset < 4) {
      this.#collector.add("CA01", { uid, path }, { what: "inside_generation", offset });
      return;
    }
    const record = this.#cache.recordAt(offset);
    if (record.state === "overrun") {
      const isPast = offset >= this.#cache.sizeBytes;
      const { item } = record;
      const facts: FactsOf<"CA01"> = isPast
        ? { what: "past_end", offset }
        : { what: "overrun", item, offset };
      this.#collector.add("CA01", { uid, path }, facts);
      return;
    }
    const { start, end } = record;
    this.#usedBytes += end - start;
    const computed = crc === 0 ? crc : crc32Range(this.#cache.window, start, end);
    if (computed !== crc) {
      this.#collector.add("CA02", { uid, path }, { stored: crc, computed });
      return;
    }
    this.#checkSection(this.#cache, reference);
  }

  /**
   * CA04. The SECTION item begins with what concerns the whole message: the number of its parts,
   * offset and size of the header, offset and size of the body (spool-format 3; the same in every
   * cache version from 2 to 14).
   */
  #checkSection(cache: CacheFile, { uid, size, headerSize }: CacheReference): void {
    const at = cache.itemStart(SECTION_ITEM);
    const isLong = cache.wordAt(at) >= SECTION_HEAD_BYTES;
    const isRight =
      isLong &&
      cache.wordAt(at + 8) === 0 &&
      cache.wordAt(at + 12) === headerSize &&
      cache.wordAt(at + 16) === headerSize &&
      cache.wordAt(at + 20) === size - headerSize;
    if (isRight) return;
    const described = isLong
      ? { headerSize: cache.wordAt(at + 12), size: cache.wordAt(at + 16) + cache.wordAt(at + 20) }
      : undefined;
    const facts = { record: { headerSize, size }, cache: described };
    this.#collector.add("CA04", { uid, path: this.#path }, facts);
  }

  /** CA03, CA05. A new cache not yet renamed over the old one is the legal state L9. */
  finish(generationNo: number, hasNewCache: boolean): void {
    const path = this.#path;
    if (!(this.#cache instanceof CacheFile)) return;
    const found = this.#cache.generation;
    if (found !== undefined && found !== generationNo) {
      const inRename = hasNewCache && generationNo === (found + 1) >>> 0;
      this.#collector.add("CA03", { path }, { inRename, expected: generationNo, found });
    }
    const wasteBytes = this.#cache.sizeBytes - this.#usedBytes;
    if (wasteBytes > WASTE_WORTH_BYTES && wasteBytes > this.#cache.sizeBytes / 2) {
      this.#collector.add("CA05", { path }, { bytes: wasteBytes });
    }
  }

  close(): void {
    if (this.#cache instanceof CacheFile) this.#cache.close();
  }
}
