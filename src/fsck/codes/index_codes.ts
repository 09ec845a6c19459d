/** Rows IX01 to IX21 of the catalogue (spool-format section 10): cyrus.index. */
import { hex32 } from "../../core/bytes.ts";
import type { Unreadable } from "../../core/files.ts";
import type { HeaderField } from "../../formats/cyrus/index/index_table.ts";
import { faultWords, type Malformed, row, type Telling, tellCrc, type WrongCrc } from "./row.ts";

/** A field of the index header that is not what the records add up to. */
export interface SumFacts {
  readonly field: HeaderField;
  readonly expected: number | bigint;
  readonly found: number | bigint;
  readonly inCommit: boolean;
}

/**
 * True of records that are newer than the header, all of them sound: what a crash between the two
 * writes leaves (legal state L6). Cyrus makes the header right at the next opening for writing.
 */
interface Committing {
  readonly inCommit: boolean;
}

const infoIf = (isInfo: boolean): Telling => (isInfo ? { severity: "info" } : {});

const FIELD_WORDS: Partial<Record<HeaderField, string>> = {
  quotaMailboxUsed: "quota_mailbox_used",
  quotaDeletedUsed: "quota_deleted_used",
  quotaExpungedUsed: "quota_expunged_used",
};

function tellSum({ field, expected, found, inCommit }: SumFacts): Telling {
  const text = `${FIELD_WORDS[field] ?? field} is ${found}, its records say ${expected}`;
  return { ...infoIf(inCommit), text, field, expected, found };
}

const FLAG_WORDS = {
  unlinked: "UNLINKED but not EXPUNGED",
  split: "SPLITCONVERSATION without a basecid",
} as const;

export const INDEX_CODES = {
  IX01: row(
    "index unreadable",
    "critical",
    "rebuild from the records that pass their CRC",
    ({ fault }: { readonly fault: Unreadable | Malformed }) => ({
      text: `cyrus.index ${faultWords(fault)}`,
    }),
  ),
  IX02: row(
    "index header CRC mismatch",
    "critical",
    "derive the header from good records",
    (crc: WrongCrc) => tellCrc("index header CRC does not match", crc),
  ),
  IX03: row(
    "index record CRC mismatch",
    "critical",
    "salvage the record if its file has its GUID",
    // Records are counted from 1; `at` is a byte of the file.
    (
      facts:
        | { readonly record: number; readonly crc: WrongCrc }
        | { readonly record: number; readonly expected: string; readonly at: number },
    ) => {
      const { record } = facts;
      if ("crc" in facts) return tellCrc(`CRC of record ${record} does not match`, facts.crc);
      const text = `record ${record} cannot be parsed: expected ${facts.expected}`;
      return { text, found: facts.at };
    },
  ),
  IX04: row(
    "index shorter than its record count",
    "critical",
    "cut to whole good records",
    ({ counted, whole }: { readonly counted: number; readonly whole: number }) => ({
      text: `index ends after ${whole} of ${counted} records`,
      field: "num_records",
      expected: counted,
      found: whole,
    }),
  ),
  IX05: row(
    "bytes after the last index record",
    "info",
    "none: records not yet committed",
    ({ bytes }: { readonly bytes: number }) => ({ found: bytes }),
  ),
  IX06: row(
    "UIDs not strictly ascending",
    "critical",
    "drop the later record, add its file anew",
    ({ uid, after }: { readonly uid: number; readonly after: number }) => ({
      text: uid === 0 ? "UID 0" : `UID ${uid} after UID ${after}`,
      field: "uid",
      found: uid,
    }),
  ),
  IX07: row(
    "UID above last_uid",
    "error",
    "raise last_uid",
    ({ maxUid, lastUid }: { readonly maxUid: number; readonly lastUid: number }) => ({
      text: `UID ${maxUid} is above last_uid ${lastUid}`,
      field: "lastUid",
      expected: maxUid,
      found: lastUid,
    }),
  ),
  IX08: row(
    "modseq above highestmodseq",
    "error",
    "raise highestmodseq",
    (
      facts:
        | ({ readonly maxModseq: bigint; readonly highestmodseq: bigint } & Committing)
        | { readonly what: "upper_half" },
    ) => {
      if ("what" in facts) {
        const text = "modseqs in the upper half of their field, as Cyrus 2.5 to 3.0 wrote them";
        return { severity: "warning", text };
      }
      const { maxModseq: expected, highestmodseq: found } = facts;
      const text = `modseq ${expected} is above highestmodseq ${found}`;
      return { ...infoIf(facts.inCommit), text, field: "highestmodseq", expected, found };
    },
  ),
  IX09: row("message counts wrong", "error", "count again", tellSum),
  IX10: row("unseen count wrong", "error", "count again", tellSum),
  IX11: row("quota sums wrong", "error", "sum again", tellSum),
  IX12: row(
    "sync CRC wrong",
    "error",
    "compute again if every record CRC is good",
    (facts: { readonly recorded: number; readonly computed: number } & Committing) => {
      const [expected, found] = [hex32(facts.computed), hex32(facts.recorded)];
      const text = `sync CRC is ${found}, its records say ${expected}`;
      return { ...infoIf(facts.inCommit), text, field: "synccrcs.basic", expected, found };
    },
  ),
  IX13: row(
    "annotation sync CRC wrong",
    "warning",
    "compute again",
    (facts: { readonly recorded: number; readonly computed: readonly number[] } & Committing) => {
      const [expected, found] = [facts.computed.map(hex32).join(" or "), hex32(facts.recorded)];
      const text = `annotation sync CRC is ${found}, its records say ${expected}`;
      return { ...infoIf(facts.inCommit), text, field: "synccrcs.annot", expected, found };
    },
  ),
  IX14: row(
    "cyrus.header does not have the CRC the index recorded",
    "warning",
    "record it anew",
    // A younger cyrus.header is what a crash between the two writes leaves (legal state L7).
    ({ crc, isYounger }: { readonly crc: WrongCrc; readonly isYounger: boolean }) => ({
      ...(isYounger
        ? {
            ...tellCrc("cyrus.header is younger than the CRC that the index recorded of it", crc),
            ...infoIf(true),
          }
        : tellCrc("cyrus.header does not have the CRC the index recorded", crc)),
      field: "header_file_crc",
    }),
  ),
  IX15: row("uidvalidity is 0", "error", "take it from mailboxes.db, or a new one", () => ({
    field: "uidvalidity",
    found: 0,
  })),
  IX16: row(
    "modseq fields contradict each other",
    "warning",
    "clamp",
    (
      facts:
        | { readonly what: "highestmodseq_0" | "createdmodseq" }
        | {
            readonly what: "deletedmodseq";
            readonly highestmodseq: bigint;
            readonly deletedmodseq: bigint;
          },
    ) => {
      switch (facts.what) {
        case "highestmodseq_0":
          return { text: "highestmodseq is 0", field: "highestmodseq", found: 0 };
        case "createdmodseq":
          return { text: "records with createdmodseq above modseq" };
        case "deletedmodseq": {
          const { highestmodseq: expected, deletedmodseq: found } = facts;
          const text = "deletedmodseq above highestmodseq";
          return { text, field: "deletedmodseq", expected, found };
        }
      }
    },
  ),
  IX17: row(
    "spare bytes or reserved bits set",
    "warning",
    "write zeros at the next rewrite",
    (facts: { readonly options: number } | { readonly spareByteAt: number }) =>
      "options" in facts
        ? { text: "reserved option bits set", field: "options", found: hex32(facts.options) }
        : { text: "spare header bytes not zero", found: facts.spareByteAt },
  ),
  IX18: row(
    "user flag bit without a name",
    "warning",
    "clear the bit",
    ({ bit }: { readonly bit: number }) => ({ field: "user_flags", found: bit }),
  ),
  IX19: row(
    "first_expunged wrong",
    "info",
    "compute again",
    ({ expected, found }: { readonly expected: number; readonly found: number }) => ({
      field: "firstExpunged",
      expected,
      found,
    }),
  ),
  IX20: row(
    "internal flags contradict the record",
    "warning",
    "set or clear by the annotation",
    ({ what }: { readonly what: keyof typeof FLAG_WORDS }) => ({
      text: FLAG_WORDS[what],
      field: "system_flags",
    }),
  ),
  IX21: row(
    "absurd time",
    "info",
    "take it from the message",
    (facts: {
      readonly what: "zero" | "future" | "subseconds";
      readonly of: "internaldate" | "lastUpdated";
    }) => {
      if (facts.what === "subseconds") return { text: "records with parts of seconds" };
      return { text: `records with ${facts.of} ${facts.what === "zero" ? "0" : "in the future"}` };
    },
  ),
};
