/**
 * What can be wrong with one record whose bytes are good: rows IX08, IX16, IX18, IX20, IX21, MS13.
 */
import { hasBit, INTERNAL_FLAG } from "../../formats/cyrus/index/index_flags.ts";
import { effectiveModseq, type IndexRecord } from "../../formats/cyrus/index/index_record.ts";
import type { MessageAnnotations } from "../../mailbox/annotation_image.ts";
import { GuidSet } from "../../mailbox/guid_set.ts";
import type { IndexImage } from "../../mailbox/index_image.ts";
import type { MessageTableBuilder } from "../../mailbox/message_table.ts";
import type { Collector } from "./collector.ts";

const DAY_SECONDS = 24 * 60 * 60;
const PREFIX = "/vendor/cmu/cyrus-imapd/";

/** What the records of one mailbox are checked against. */
export interface RecordContext {
  readonly index: IndexImage;
  readonly path: string;
  /** Names of the user flags by their bit; undefined when cyrus.header cannot be read. */
  readonly userFlags: readonly (string | undefined)[] | undefined;
  /** Annotations of this mailbox's messages; undefined when they cannot be read. */
  readonly annotations: MessageAnnotations | undefined;
  readonly nowSeconds: number;
}

/** Checks the records of one mailbox, one after the other. */
export class RecordCheck {
  readonly #input: RecordContext;
  readonly #collector: Collector;
  /** Bits of user flags that have a name. */
  readonly #named: readonly number[];
  readonly #latest: number;
  readonly #seenGuids: GuidSet;

  constructor(input: RecordContext, collector: Collector) {
    this.#input = input;
    this.#collector = collector;
    const words = [0, 0, 0, 0];
    input.userFlags?.forEach((name, bit) => {
      if (name !== undefined && bit < 128)
        words[bit >>> 5] = (words[bit >>> 5] ?? 0) | (1 << (bit & 31));
    });
    this.#named = words;
    this.#latest = input.nowSeconds + DAY_SECONDS;
    this.#seenGuids = new GuidSet(input.index.recordCount);
  }

  /** `record` is the one that `messages` took last. */
  check(record: IndexRecord, messages: MessageTableBuilder): void {
    this.#checkFlags(record);
    this.#checkTimes(record);
    const at = { uid: record.uid, path: this.#input.path };
    const modseq = effectiveModseq(record, this.#input.index.header);
    if (modseq !== record.modseq) this.#collector.tally("IX08", at, { what: "upper_half" });
    if (record.createdmodseq > modseq) this.#collector.tally("IX16", at, { what: "createdmodseq" });
    const live = !hasBit(record.systemFlags, INTERNAL_FLAG.expunged);
    if (
      live &&
      this.#input.index.table.guidBytes === 20 &&
      !messages.rememberGuid(this.#seenGuids)
    ) {
      this.#collector.tally("MS13", { uid: record.uid });
    }
  }

  #checkFlags(record: IndexRecord): void {
    const { uid, systemFlags } = record;
    const at = { uid, path: this.#input.path };
    if (
      hasBit(systemFlags, INTERNAL_FLAG.unlinked) &&
      !hasBit(systemFlags, INTERNAL_FLAG.expunged)
    ) {
      this.#collector.add("IX20", at, { what: "unlinked" });
    }
    if (hasBit(systemFlags, INTERNAL_FLAG.splitConversation) && !this.#hasBasecid(record)) {
      this.#collector.add("IX20", at, { what: "split" });
    }
    if (this.#input.userFlags === undefined) return;
    for (let word = 0; word < 4; word++) {
      const nameless = (record.userFlags[word] ?? 0) & ~(this.#named[word] ?? 0);
      if (nameless === 0) continue;
      const bit = word * 32 + 31 - Math.clz32(nameless & -nameless);
      this.#collector.add("IX18", at, { bit });
    }
  }

  #hasBasecid(record: IndexRecord): boolean {
    if (record.basecid !== 0n) return true;
    const { annotations } = this.#input;
    // The annotations cannot be read: nobody knows whether it has one.
    if (annotations === undefined) return true;
    const own = annotations.get(record.uid) ?? [];
    return own.some(({ entry, deleted }) => entry === `${PREFIX}basethrid` && !deleted);
  }

  #checkTimes(record: IndexRecord): void {
    const at = { uid: record.uid, path: this.#input.path };
    for (const of of ["internaldate", "lastUpdated"] as const) {
      const value = record[of];
      if (value !== 0 && value <= this.#latest) continue;
      this.#collector.tally("IX21", at, { what: value === 0 ? "0" : "in the future", of });
    }
    if (record.subseconds !== undefined) this.#collector.tally("IX21", at, { what: "subseconds" });
  }
}
