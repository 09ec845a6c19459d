/** Facts and words of the codes IX01 to IX21: cyrus.index. */

import { hex32 } from "../../core/bytes.ts";
import { plural } from "../../core/counts.ts";
import type { Unreadable } from "../../core/files.ts";
import type { HeaderField } from "../../formats/cyrus/index/index_table.ts";
import {
  faultWords,
  INFO,
  type Malformed,
  type Pair,
  pair,
  type Telling,
  tellCrc,
  type WrongCrc,
} from "./telling.ts";

/**
 * `inCommit` is true of records that are newer than the header, all of them sound: what a crash
 * between the two writes leaves. Cyrus makes the header right when it next writes.
 */
interface OfHeader {
  inCommit: boolean;
}

const FIELD_WORDS: Partial<Record<HeaderField, string>> = {
  quotaMailboxUsed: "quota_mailbox_used",
  quotaDeletedUsed: "quota_deleted_used",
  quotaExpungedUsed: "quota_expunged_used",
};

function tellSum(facts: OfHeader & Pair<number | bigint> & { field: HeaderField }): Telling {
  const { field, expected, found, inCommit } = facts;
  const text = `${FIELD_WORDS[field] ?? field} is ${found}, its records say ${expected}`;
  return { ...(inCommit && INFO), text, field, expected, found };
}

function tellSyncCrc(title: string, field: string, facts: OfHeader & Pair<string>): Telling {
  const { expected, found, inCommit } = facts;
  const text = `${title} is ${found}, its records say ${expected}`;
  return { ...(inCommit && INFO), text, field, expected, found };
}

const FLAG_WORDS = {
  unlinked: "UNLINKED but not EXPUNGED",
  split: "SPLITCONVERSATION without a basecid",
} as const;

export const INDEX_WORDS = {
  IX01: ({ fault }: { fault: Unreadable | Malformed }) => ({
    text: `cyrus.index ${faultWords(fault)}`,
  }),
  IX02: (crc: WrongCrc) => tellCrc("index header CRC does not match", crc),
  /** Records are counted from 1; `at` is a byte of the file. */
  IX03: (facts: { record: number } & ({ crc: WrongCrc } | { expected: string; at: number })) => {
    const { record } = facts;
    if ("crc" in facts) return tellCrc(`CRC of record ${record} does not match`, facts.crc);
    const text = `record ${record} cannot be parsed: expected ${facts.expected}`;
    return { text, found: facts.at };
  },
  IX04: ({ expected, found }: Pair<number>) => ({
    text: `index ends after ${found} of ${plural(expected, "record")}`,
    field: "num_records",
    expected,
    found,
  }),
  IX05: ({ bytes }: { bytes: number }) => ({ found: bytes }),
  IX06: ({ uid, after }: { uid: number; after: number }) => ({
    text: uid === 0 ? "UID 0" : `UID ${uid} after UID ${after}`,
    field: "uid",
    found: uid,
  }),
  IX07: ({ expected, found }: Pair<number>) => ({
    text: `UID ${expected} is above last_uid ${found}`,
    field: "lastUid",
    expected,
    found,
  }),
  IX08: (facts: { what: "upper_half" } | ({ what: "header" } & OfHeader & Pair<bigint>)) => {
    if (facts.what === "upper_half") {
      const text = "modseqs in the upper half of their field, as Cyrus 2.5 to 3.0 wrote them";
      return { severity: "warning", text } as const;
    }
    const { expected, found, inCommit } = facts;
    const text = `modseq ${expected} is above highestmodseq ${found}`;
    return { ...(inCommit && INFO), text, field: "highestmodseq", expected, found };
  },
  IX09: tellSum,
  IX10: tellSum,
  IX11: tellSum,
  IX12: ({ expected, found, inCommit }: OfHeader & Pair<number>) =>
    tellSyncCrc("sync CRC", "synccrcs.basic", {
      ...{ expected: hex32(expected), found: hex32(found), inCommit },
    }),
  /** More than one value can be right, by the spelling of thrid. */
  IX13: (facts: OfHeader & { expected: readonly number[]; found: number }) =>
    tellSyncCrc("annotation sync CRC", "synccrcs.annot", {
      expected: facts.expected.map(hex32).join(" or "),
      ...{ found: hex32(facts.found), inCommit: facts.inCommit },
    }),
  /** A younger cyrus.header is what a crash between the two writes leaves. */
  IX14: ({ crc, isYounger }: { crc: WrongCrc; isYounger: boolean }) => {
    const title = isYounger
      ? "cyrus.header is younger than the CRC that the index recorded of it"
      : "cyrus.header does not have the CRC the index recorded";
    return { ...(isYounger && INFO), ...tellCrc(title, crc), field: "header_file_crc" };
  },
  IX15: () => ({ field: "uidvalidity", found: 0 }),
  IX16: (
    facts: { what: "no_highest" | "createdmodseq" } | ({ what: "deletedmodseq" } & Pair<bigint>),
  ) => {
    if (facts.what === "deletedmodseq") {
      const { what: field, expected, found } = facts;
      return { text: "deletedmodseq above highestmodseq", field, expected, found };
    }
    return facts.what === "no_highest"
      ? { text: "highestmodseq is 0", field: "highestmodseq", found: 0 }
      : { text: "records with createdmodseq above modseq" };
  },
  IX17: (facts: { options: number } | { spareByteAt: number }) =>
    "options" in facts
      ? { text: "reserved option bits set", field: "options", found: hex32(facts.options) }
      : { text: "spare header bytes not zero", found: facts.spareByteAt },
  IX18: ({ bit }: { bit: number }) => ({ field: "user_flags", found: bit }),
  IX19: pair<number>("firstExpunged"),
  IX20: ({ what }: { what: keyof typeof FLAG_WORDS }) => ({
    text: FLAG_WORDS[what],
    field: "system_flags",
  }),
  IX21: (facts: { what: "0" | "in the future"; of: string } | { what: "subseconds" }) => ({
    text:
      facts.what === "subseconds"
        ? "records with parts of seconds"
        : `records with ${facts.of} ${facts.what}`,
  }),
};
