/** What can be wrong with one record whose bytes are good: rows IX08, IX16, IX18, IX20, IX21, MS13. */
import { hasBit, INTERNAL_FLAG } from "../../formats/cyrus/index/index_flags.ts";
import { effectiveModseq, type IndexRecord } from "../../formats/cyrus/index/index_record.ts";
import { GuidSet } from "../../mailbox/guid_set.ts";
import type { MessageTableBuilder } from "../../mailbox/message_table.ts";
import type { RecordsInput } from "./check_records.ts";
import type { Collector } from "./collector.ts";

const DAY_SECONDS = 24 * 60 * 60;
const PREFIX = "/vendor/cmu/cyrus-imapd/";

/** Checks the records of one mailbox, one after the other. */
export class RecordChecks {
  readonly #input: RecordsInput;
  readonly #collector: Collector;
  /** Bits of user flags that have a name. */
  readonly #named: readonly number[];
  readonly #latest: number;
  readonly #seenGuids: GuidSet;

  constructor(input: RecordsInput, collector: Collector) {
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
    const { uid } = record;
    const path = this.#input.path;
    const modseq = effectiveModseq(record, this.#input.index.header);
    if (modseq !== record.modseq) {
      const text = "modseqs in the upper half of their field, as Cyrus 2.5 to 3.0 wrote them";
      this.#collector.tally("IX08", { severity: "warning", text, uid, path });
    }
    if (record.createdmodseq > modseq) {
      this.#collector.tally("IX16", { text: "records with createdmodseq above modseq", uid, path });
    }
    const live = !hasBit(record.systemFlags, INTERNAL_FLAG.expunged);
    if (
      live &&
      this.#input.index.table.guidBytes === 20 &&
      !messages.rememberGuid(this.#seenGuids)
    ) {
      this.#collector.tally("MS13", { text: "messages with a GUID seen before", uid });
    }
  }

  #checkFlags(record: IndexRecord): void {
    const { uid, systemFlags } = record;
    const path = this.#input.path;
    const add = (text: string) =>
      this.#collector.add("IX20", { text, uid, path, field: "system_flags" });
    if (
      hasBit(systemFlags, INTERNAL_FLAG.unlinked) &&
      !hasBit(systemFlags, INTERNAL_FLAG.expunged)
    ) {
      add("UNLINKED but not EXPUNGED");
    }
    if (hasBit(systemFlags, INTERNAL_FLAG.splitConversation) && !this.#hasBasecid(record)) {
      add("SPLITCONVERSATION without a basecid");
    }
    if (this.#input.userFlags === undefined) return;
    for (let word = 0; word < 4; word++) {
      const nameless = (record.userFlags[word] ?? 0) & ~(this.#named[word] ?? 0);
      if (nameless === 0) continue;
      const bit = word * 32 + 31 - Math.clz32(nameless & -nameless);
      this.#collector.add("IX18", { uid, path, field: "user_flags", found: bit });
    }
  }

  #hasBasecid(record: IndexRecord): boolean {
    if (record.basecid !== 0n) return true;
    const { annotations } = this.#input;
    // Unreadable annotations say nothing either way.
    if (annotations === undefined) return true;
    const own = annotations.get(record.uid) ?? [];
    return own.some(({ entry, deleted }) => entry === `${PREFIX}basethrid` && !deleted);
  }

  #checkTimes(record: IndexRecord): void {
    const { uid } = record;
    const path = this.#input.path;
    for (const field of ["internaldate", "lastUpdated"] as const) {
      const value = record[field];
      if (value !== 0 && value <= this.#latest) continue;
      const text = `records with ${field} ${value === 0 ? "0" : "in the future"}`;
      this.#collector.tally("IX21", { text, uid, path });
    }
    if (record.subseconds !== undefined) {
      this.#collector.tally("IX21", { text: "records with parts of seconds", uid, path });
    }
  }
}
