/**
 * A message's record in both of its forms, and the one place that says what a field means in the
 * other: `MailRecord` is what replication sees, cyrus.index and cyrus.annotations are what a
 * mailbox keeps (spool-format 2, sync-protocol.md 4.4). A fact for which the version of the index
 * has no field is kept as an annotation; the sync checksums do not see the difference.
 */
import { type MessageAnnotation, OWNER_TOKEN } from "../formats/cyrus/annotations_db.ts";
import { hasBit, INTERNAL_FLAG, SYSTEM_FLAGS } from "../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../formats/cyrus/index/index_header.ts";
import { effectiveModseq, type IndexRecord } from "../formats/cyrus/index/index_record.ts";
import type { Annotation } from "../model/annotation.ts";
import { FLAG_ORDER, orderFlags } from "../model/flags.ts";
import type { RecordSource } from "../model/mailbox.ts";
import {
  foldAnnotations,
  type MailRecord,
  virtualAnnotations,
  withVirtualFields,
} from "../model/record.ts";
import { isVirtualAnnotation } from "../model/sync_crc.ts";
import type { IndexImage } from "./index_image.ts";

/** The mailbox that a record belongs to. */
export interface RecordContext {
  readonly header: Pick<IndexHeader, "minorVersion" | "highestmodseq">;
  /** Names of the user flags by their bit. */
  readonly userFlags: readonly (string | undefined)[];
  /** The owner's user id; "" where the mailbox belongs to nobody. */
  readonly owner: string;
}

/** The system flags of a record in the order in which Cyrus prints them. */
const SYSTEM_BITS = FLAG_ORDER.flatMap((name) => SYSTEM_FLAGS.filter((bit) => bit.name === name));

/** The record as replication sees it; `kept` are its annotations in cyrus.annotations. */
export function mailRecord(
  record: IndexRecord,
  kept: readonly MessageAnnotation[],
  context: RecordContext,
): MailRecord {
  const expunged = hasBit(record.systemFlags, INTERNAL_FLAG.expunged);
  const unlinked = hasBit(record.systemFlags, INTERNAL_FLAG.unlinked);
  const folded = foldAnnotations(annotationsOf(kept, context));
  return {
    uid: record.uid,
    modseq: effectiveModseq(record, context.header),
    lastUpdated: record.lastUpdated,
    flags: flagNames(record, context.userFlags),
    expunged,
    ...(unlinked && { unlinked }),
    internaldate: record.internaldate,
    internaldateNsec: record.internaldateNsec || folded.internaldateNsec,
    size: record.size,
    guid: record.guid,
    cid: record.cid || folded.cid,
    basecid: record.basecid || folded.basecid,
    savedate: record.savedate || folded.savedate,
    createdmodseq: record.createdmodseq || folded.createdmodseq,
    annotations: folded.annotations,
  };
}

/** Records of a batch: enough to keep its cost low, few enough for little memory. */
const BATCH_RECORDS = 1000;

/** All records of a mailbox, tombstones included. Each pass parses them again: nothing is kept. */
export function mailRecords(
  index: IndexImage,
  annotations: (uid: number) => readonly MessageAnnotation[],
  context: RecordContext,
): RecordSource {
  function* batches(): Generator<readonly MailRecord[], void> {
    let batch: MailRecord[] = [];
    for (const record of index.records()) {
      batch.push(mailRecord(record, annotations(record.uid), context));
      if (batch.length < BATCH_RECORDS) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }
  return { batches };
}

/** System flags in Cyrus' order, then keywords by slot; a bit without a name means nothing. */
function flagNames(record: IndexRecord, userFlags: readonly (string | undefined)[]): string[] {
  const names: string[] = [];
  for (const { mask, name } of SYSTEM_BITS) {
    if (hasBit(record.systemFlags, mask)) names.push(name);
  }
  for (let word = 0; word < 4; word++) {
    for (let bits = record.userFlags[word] ?? 0; bits !== 0; bits &= bits - 1) {
      const name = userFlags[32 * word + 31 - Math.clz32(bits & -bits)];
      if (name !== undefined) names.push(name);
    }
  }
  return names;
}

const NO_ANNOTATIONS: readonly Annotation[] = [];

/**
 * Without those that an index of this version holds in its records: in the database they are stale.
 */
function annotationsOf(
  kept: readonly MessageAnnotation[],
  { header, owner }: RecordContext,
): readonly Annotation[] {
  if (kept.length === 0) return NO_ANNOTATIONS;
  return kept
    .filter(({ entry }) => !isVirtualAnnotation(entry, header.minorVersion))
    .map(({ entry, userid, modseq, value }) => ({
      ...{ entry, modseq, value },
      userid: userid === OWNER_TOKEN ? owner : (userid ?? null),
    }));
}

/** What is found in the message of a new record. Bytes. */
export interface Arrived {
  readonly headerSize: number;
  readonly size: number;
}

const DAY_SECONDS = 24 * 60 * 60;

/** The index record of a new message; without `arrived`, the tombstone of one that has no file. */
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

/** A record as a mailbox keeps it: what is to stand in the index, and what beside it. */
export interface KeptRecord {
  readonly record: MailRecord;
  /** Of cyrus.annotations: what somebody has set, and what the index has no field for. */
  readonly annotations: readonly MessageAnnotation[];
}

/** `record` as a mailbox of this index version keeps it; `owner` is the owner's user id. */
export function keptRecord(
  record: MailRecord,
  { indexVersion, owner }: { readonly indexVersion: number; readonly owner: string },
): KeptRecord {
  const hasField = ({ entry }: Annotation): boolean => isVirtualAnnotation(entry, indexVersion);
  const inFields = record.annotations.some(hasField) ? withVirtualFields(record, hasField) : record;
  const beside = virtualAnnotations(inFields).filter((one) => !hasField(one));
  const annotations = [...inFields.annotations, ...beside].map(
    ({ entry, userid, modseq, value }): MessageAnnotation => ({
      ...{ uid: record.uid, entry, modseq, value, deleted: false },
      userid: userid !== "" && userid === owner ? OWNER_TOKEN : (userid ?? undefined),
    }),
  );
  return { record: inFields, annotations };
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
