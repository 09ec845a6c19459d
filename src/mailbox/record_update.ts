/**
 * A record as replication sees it (`MailRecord`), and as cyrus.index and cyrus.annotations keep it. What
 * an index version has no field for stays an annotation of the message, and what it has a field for
 * goes out as one; the sync CRCs do not see the difference (sync-protocol.md 4.4).
 */
import { type MessageAnnotation, OWNER_TOKEN } from "../formats/cyrus/annotations_db.ts";
import { hasBit, INTERNAL_FLAG, SYSTEM_FLAGS } from "../formats/cyrus/index/index_flags.ts";
import type { IndexRecord } from "../formats/cyrus/index/index_record.ts";
import type { Annotation } from "../model/annotation.ts";
import { orderFlags } from "../model/flags.ts";
import {
  foldAnnotations,
  type MailRecord,
  NO_VIRTUAL_FIELDS,
  virtualAnnotations,
} from "../model/record.ts";

/** What a new record holds beside what the peer says of it: found in its message. */
export interface Arrived {
  readonly headerSize: number;
  readonly size: number;
}

const DAY_SECONDS = 24 * 60 * 60;

/** A new record; without `arrived` the message has no file, and the record is an unlinked tombstone. */
export function newRecord(
  record: MailRecord,
  arrived: Arrived | undefined,
  slotOf: (flag: string) => number,
): IndexRecord {
  const blank: IndexRecord = {
    ...{ uid: record.uid, internaldate: 0, internaldateNsec: 0, lastUpdated: 0, savedate: 0 },
    sentdate: record.internaldate - (record.internaldate % DAY_SECONDS),
    gmtime: record.internaldate,
    size: arrived?.size ?? record.size,
    headerSize: arrived?.headerSize ?? 0,
    ...{ contentOffset: 0, contentLines: 0, cacheOffset: 0, cacheVersion: 0 },
    ...{ cacheCrc: 0, recordCrc: 0, modseq: 0n, cid: 0n, createdmodseq: 0n, basecid: 0n },
    systemFlags: arrived === undefined ? INTERNAL_FLAG.unlinked : 0,
    userFlags: [0, 0, 0, 0],
    guid: record.guid,
  };
  return updatedRecord(blank, record, slotOf);
}

/** `before` with what the peer says of it now. Cyrus' own notes in it stay. */
export function updatedRecord(
  before: IndexRecord,
  record: MailRecord,
  slotOf: (flag: string) => number,
): IndexRecord {
  const { modseq, lastUpdated, internaldate, cid, savedate, createdmodseq } = record;
  return {
    ...before,
    ...{ modseq, lastUpdated, internaldate, cid, savedate, createdmodseq },
    internaldateNsec: record.internaldateNsec,
    basecid: record.basecid,
    ...flagWords(before.systemFlags, record, slotOf),
  };
}

function flagWords(
  before: number,
  record: MailRecord,
  slotOf: (flag: string) => number,
): Pick<IndexRecord, "systemFlags" | "userFlags"> {
  let system = before & ~INTERNAL_FLAG.expunged & 0xffff_0000;
  if (record.expunged) system |= INTERNAL_FLAG.expunged;
  const user: [number, number, number, number] = [0, 0, 0, 0];
  for (const flag of orderFlags(record.flags)) {
    if (flag.startsWith("\\")) {
      system |= SYSTEM_FLAGS.find(({ name }) => name === flag)?.mask ?? 0;
      continue;
    }
    const slot = slotOf(flag);
    user[slot >>> 5] = ((user[slot >>> 5] ?? 0) | (1 << (slot & 31))) >>> 0;
  }
  return { systemFlags: system >>> 0, userFlags: user };
}

/** Fields that version 17 has no place for, and 20 has. */
const SINCE_20 = 20;

/** The annotations that the mailbox's file keeps for a record. `owner` is the owner's userid. */
export function keptAnnotations(
  record: MailRecord,
  context: { readonly indexVersion: number; readonly owner: string },
): MessageAnnotation[] {
  const { basecid, internaldateNsec } = record;
  const beyond = { ...NO_VIRTUAL_FIELDS, basecid, internaldateNsec };
  const virtual = context.indexVersion >= SINCE_20 ? [] : virtualAnnotations(beyond);
  return [...record.annotations, ...virtual].map(({ entry, userid, modseq, value }) => ({
    ...{ uid: record.uid, entry, modseq, value, deleted: false },
    userid:
      userid === null
        ? undefined
        : userid !== "" && userid === context.owner
          ? OWNER_TOKEN
          : userid,
  }));
}

/** The record as it goes out; `names` are the mailbox's user flags by slot. */
export function mailRecord(
  record: IndexRecord,
  beside: {
    readonly annotations: readonly MessageAnnotation[];
    readonly names: readonly (string | undefined)[];
    readonly owner: string;
  },
): MailRecord {
  const { systemFlags } = record;
  const flags = SYSTEM_FLAGS.filter(({ mask }) => hasBit(systemFlags, mask)).map(
    ({ name }) => name,
  );
  for (const [slot, name] of beside.names.entries()) {
    const word = record.userFlags[slot >>> 5] ?? 0;
    if (name !== undefined && hasBit(word, 1 << (slot & 31))) flags.push(name);
  }
  const kept = beside.annotations.map(
    ({ entry, userid, modseq, value }): Annotation => ({
      ...{ entry, modseq, value },
      userid: userid === OWNER_TOKEN ? beside.owner : (userid ?? null),
    }),
  );
  const folded = foldAnnotations(kept);
  const { uid, modseq, lastUpdated, internaldate, size, guid, cid, savedate, createdmodseq } =
    record;
  return {
    ...{ uid, modseq, lastUpdated, internaldate, size, guid, cid, savedate, createdmodseq },
    flags: orderFlags(flags),
    expunged: hasBit(systemFlags, INTERNAL_FLAG.expunged),
    unlinked: hasBit(systemFlags, INTERNAL_FLAG.unlinked),
    internaldateNsec: record.internaldateNsec || folded.internaldateNsec,
    basecid: record.basecid || folded.basecid,
    annotations: folded.annotations,
  };
}

/** Cyrus' option letters in their order, and their bits in cyrus.index (spool-format 1.3). */
const OPTION_BITS: readonly (readonly [letter: string, mask: number])[] = [
  ["P", 0x01],
  ["S", 0x04],
  ["D", 0x08],
  ["A", 0x10],
];

/** The bits of `P`, `S`, `D`, `A`; other letters are ignored, as Cyrus does. */
export function optionBits(letters: string): number {
  let bits = 0;
  for (const [letter, mask] of OPTION_BITS) if (letters.includes(letter)) bits |= mask;
  return bits;
}

/** The letters of option bits. */
export function optionLetters(bits: number): string {
  return OPTION_BITS.filter(([, mask]) => hasBit(bits, mask))
    .map(([letter]) => letter)
    .join("");
}
