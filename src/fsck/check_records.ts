/**
 * Every record of an index: rows IX03, IX06, IX16, IX18, IX20 and IX21, and on the way the sums that the
 * header must hold and the table of messages that the folder must hold.
 */
import { viewOf } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import type { MessageAnnotation } from "../formats/cyrus/annotations_db.ts";
import { badRecordCrcs, type IndexFile, recordOffset } from "../formats/cyrus/index_file.ts";
import { hasBit, INTERNAL_FLAG } from "../formats/cyrus/index_flags.ts";
import {
  effectiveModseq,
  type IndexRecord,
  parseIndexRecord,
  recordCrcs,
} from "../formats/cyrus/index_record.ts";
import { RECORD_FIELDS } from "../formats/cyrus/index_table.ts";
import type { UidGap } from "./check_listing.ts";
import type { Collector } from "./collector.ts";
import { crcFacts } from "./crc_facts.ts";
import { emptyTable, MESSAGE, type MessageTable } from "./message_table.ts";
import { type RecordSums, SumsBuilder } from "./record_sums.ts";

export interface RecordsInput {
  readonly index: IndexFile;
  readonly path: string;
  /** Names of the user flags by their bit; undefined when cyrus.header cannot be read. */
  readonly userFlags: readonly (string | undefined)[] | undefined;
  /** Annotations of this mailbox's messages; undefined when they cannot be read. */
  readonly annotations: ReadonlyMap<number, readonly MessageAnnotation[]> | undefined;
  /** The user who owns the mailbox: their private annotations are hashed under this name. */
  readonly owner: string | undefined;
  readonly nowSeconds: number;
  /** Is told of every good record, for the checks of the cache. */
  readonly onRecord: (record: IndexRecord) => void;
}

export interface RecordsResult {
  readonly messages: MessageTable;
  readonly gaps: readonly UidGap[];
  /** Undefined when a record is bad: then no sum can be right. */
  readonly sums: RecordSums | undefined;
}

/** Checks all records that the header counts and the file holds. */
export function checkRecords(input: RecordsInput, collector: Collector): RecordsResult {
  const { index } = input;
  const bad = new Set(
    badRecordCrcs(index.bytes, {
      table: index.table,
      at: index.table.headerSize,
      count: index.recordCount,
    }),
  );
  const messages = emptyTable(index.recordCount);
  const sums = new SumsBuilder(input);
  const checks = new RecordChecks(input, collector);
  const gaps: UidGap[] = [];
  let count = 0;
  let lastUid = 0;
  let inGap = false;
  for (let number = 0; number < index.recordCount; number++) {
    const record = bad.has(number) ? undefined : readRecord(input, number, collector);
    if (record === undefined) {
      if (bad.has(number)) reportBadCrc(input, number, collector);
      bad.add(number);
      if (!inGap) gaps.push({ above: lastUid, below: Number.POSITIVE_INFINITY });
      inGap = true;
      continue;
    }
    const { uid } = record;
    if (uid <= lastUid) {
      const text = uid === 0 ? "UID 0" : `UID ${uid} after UID ${lastUid}`;
      collector.add("IX06", { text, uid, path: input.path, field: "uid", found: uid });
      bad.add(number);
      continue;
    }
    if (inGap) {
      const open = gaps.pop();
      if (open !== undefined) gaps.push({ above: open.above, below: uid });
      inGap = false;
    }
    lastUid = uid;
    checks.check(record);
    sums.add(record);
    input.onRecord(record);
    putMessage(messages, count, record);
    count += 1;
  }
  // Records that the file has not got whole had UIDs too.
  if (index.missingRecords > 0) gaps.push({ above: lastUid, below: Number.POSITIVE_INFINITY });
  const filled = { ...messages, length: count };
  return { messages: filled, gaps, sums: bad.size === 0 ? sums.result() : undefined };
}

function readRecord(
  input: RecordsInput,
  number: number,
  collector: Collector,
): IndexRecord | undefined {
  const { index, path } = input;
  try {
    return parseIndexRecord(index.view, recordOffset(index, number), index.table);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const text = `record ${number + 1} cannot be parsed: expected ${error.expected}`;
    collector.add("IX03", { text, path, found: error.offset });
    return undefined;
  }
}

function reportBadCrc(input: RecordsInput, number: number, collector: Collector): void {
  const { index, path } = input;
  const base = recordOffset(index, number);
  const crcs = recordCrcs(index.bytes, base, index.table);
  if (crcs === undefined) return;
  const covered = index.bytes.subarray(base, base + index.table.recordAt.recordCrc);
  const facts = crcFacts(`CRC of record ${number + 1} does not match`, {
    ...crcs,
    covered,
    base,
    fields: RECORD_FIELDS.flatMap((name) => {
      const slot = index.table.record[name];
      return slot === undefined ? [] : [{ name, offset: slot.offset, size: slot.size }];
    }),
  });
  // The UID it shows is a hint only, but mostly right: it is four bytes of a hundred.
  const uid = viewOf(covered).getUint32(0);
  collector.add("IX03", { ...facts, path, ...(uid !== 0 && { uid }) });
}

function putMessage(messages: MessageTable, row: number, record: IndexRecord): void {
  const { systemFlags } = record;
  messages.uids[row] = record.uid;
  messages.sizes[row] = record.size;
  messages.headerSizes[row] = record.headerSize;
  messages.guids.set(Buffer.from(record.guid, "hex"), row * 20);
  messages.states[row] =
    (hasBit(systemFlags, INTERNAL_FLAG.expunged) ? MESSAGE.expunged : 0) |
    (hasBit(systemFlags, INTERNAL_FLAG.unlinked) ? MESSAGE.unlinked : 0) |
    (hasBit(systemFlags, INTERNAL_FLAG.archived) ? MESSAGE.archived : 0) |
    (hasBit(systemFlags, INTERNAL_FLAG.needsCleanup) ? MESSAGE.needsCleanup : 0);
}

const DAY_SECONDS = 24 * 60 * 60;
const PREFIX = "/vendor/cmu/cyrus-imapd/";

/** What can be wrong with one record whose bytes are good. */
class RecordChecks {
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

  check(record: IndexRecord): void {
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
    if (live && this.#input.index.table.guidBytes === 20 && !this.#seenGuids.add(record.guid)) {
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

/**
 * Which GUIDs were seen: open addressing over their first 48 bits, which is enough for a remark (two
 * different messages of a million share them once in 500 mailboxes of that size).
 */
class GuidSet {
  readonly #slots: Float64Array;
  readonly #mask: number;

  constructor(capacity: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#slots = new Float64Array(size);
    this.#mask = size - 1;
  }

  /** False when it was there before. Null GUIDs are never the same. */
  add(guid: string): boolean {
    const key = Number.parseInt(guid.slice(0, 12), 16);
    if (key === 0) return true;
    let slot = Number.parseInt(guid.slice(12, 20), 16) & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (this.#slots[slot] === key) return false;
    }
    this.#slots[slot] = key;
    return true;
  }
}
