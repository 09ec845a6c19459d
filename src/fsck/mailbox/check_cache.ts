/** cyrus.cache against the records that point into it: rows CA01 to CA05 (CA04 by sizes only). */
import { readRegular, type Unreadable } from "../../core/files.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { IndexRecord } from "../../formats/cyrus/index/index_record.ts";
import { parseMessage } from "../../formats/mime/message.ts";
import { crc32Range } from "../../hash/crc32.ts";
import { CacheFile } from "../../places/cyrus/mailbox/cache_file.ts";
import { type MailboxPaths, messagePaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import type { FactsOf } from "../finding.ts";
import type { Collector } from "./collector.ts";

/** What a record says of its cache record. `cacheCrc` 0 is unknown: below 12 there is none. */
export type CacheReference = Pick<
  IndexRecord,
  "uid" | "cacheOffset" | "cacheCrc" | "size" | "headerSize"
>;

const SECTION_ITEM = 3;
const SECTION_HEAD_BYTES = 20;

/** In smaller files the share of waste says nothing. */
const WASTE_WORTH_BYTES = 64 * 1024;

/** Where a cache record says that header and body of its message lie. */
interface Section {
  readonly headerOffset: number;
  readonly headerSize: number;
  readonly contentOffset: number;
  readonly contentSize: number;
}

export interface CacheContext {
  readonly collector: Collector;
  /** Where the messages lie; undefined where none may be opened. */
  readonly messages: MailboxPaths | undefined;
}

/**
 * Checks one cache file, reference by reference. Its lifetime is one look at a mailbox: close it.
 * `finish` says what concerns the whole file. A mailbox without messages has no cyrus.cache, so a
 * missing one is a finding only when a record points into it.
 */
export class CacheCheck {
  readonly #cache: CacheFile | Unreadable;
  readonly #path: string;
  readonly #collector: Collector;
  readonly #messages: MailboxPaths | undefined;
  #usedBytes = 4;

  constructor(path: string, { collector, messages }: CacheContext) {
    this.#cache = CacheFile.open(path);
    this.#path = path;
    this.#collector = collector;
    this.#messages = messages;
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
  #checkSection(cache: CacheFile, reference: CacheReference): void {
    const { uid, size, headerSize } = reference;
    const path = this.#path;
    const section = sectionOf(cache);
    const end = section && section.contentOffset + section.contentSize;
    if (section?.headerOffset === 0 && section.headerSize === headerSize) {
      if (section.contentOffset === headerSize && end === size) return;
      const isRight = this.#messages && isOf(messagePaths(this.#messages, uid), size, section);
      if (isRight === true) return;
      // Where the message cannot be read, the check of the messages says so.
      if (isRight === undefined) {
        this.#collector.tally("CA04", { uid, path }, { what: "unread" });
        return;
      }
    }
    const cached = section && { headerSize: section.contentOffset, size: end ?? 0 };
    this.#collector.add("CA04", { uid, path }, { record: { headerSize, size }, cache: cached });
  }

  /** CA03, CA05. A new cache not yet renamed over the old one is no damage. */
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

function sectionOf(cache: CacheFile): Section | undefined {
  const at = cache.itemStart(SECTION_ITEM);
  if (cache.wordAt(at) < SECTION_HEAD_BYTES) return undefined;
  return {
    headerOffset: cache.wordAt(at + 8),
    headerSize: cache.wordAt(at + 12),
    contentOffset: cache.wordAt(at + 16),
    contentSize: cache.wordAt(at + 20),
  };
}

/**
 * True where Cyrus says this of the message, though it does not add up to the `size` that index and
 * file have: of one with NUL octets in headers, with a thousand multiparts in each other, with a
 * bare LF before a delimiter. Undefined where the message cannot be read.
 */
function isOf(paths: readonly string[], size: number, section: Section): boolean | undefined {
  for (const path of paths) {
    const file = readRegular(path, DEFAULT_LIMITS.literalBytes);
    if (file.state !== "read") continue;
    const { headerSize, contentOffset, contentSize } = parseMessage(file.bytes);
    return (
      file.bytes.length === size &&
      section.headerSize === headerSize &&
      section.contentOffset === contentOffset &&
      section.contentSize === contentSize
    );
  }
  return undefined;
}
