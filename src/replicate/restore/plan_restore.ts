/**
 * What a mailbox of an archive becomes at the target: both in, the mailbox as it is to be out,
 * nothing touched. One that is gone comes back as it was. One that lives, or lies below DELETED,
 * keeps all that it has and gets the messages that it lacks, as new ones: a UID or a modseq that
 * mail programs have seen never means anything else afterwards.
 */
import { pushAll } from "../../core/lists.ts";
import type { Guid } from "../../model/guid.ts";
import {
  isIntermediate,
  type MailboxState,
  type RecordSource,
  recordsOf,
} from "../../model/mailbox.ts";
import { parseName } from "../../model/names.ts";
import type { MailRecord } from "../../model/record.ts";
import { basicRecordCrc, flagsCrc } from "../../model/sync_crc.ts";
import type { MailboxReading } from "../../places/place.ts";

/** Messages that are wanted alone, whether they are expunged or not. */
export interface MessageChoice {
  readonly guids: ReadonlySet<Guid>;
  readonly uids: ReadonlySet<number>;
}

/** Where a mailbox of the archive comes back. */
export interface Destination {
  /** Its name afterwards. */
  readonly name: string;
  /** What the target has of it now: living, or to be renamed back; undefined where it is gone. */
  readonly theirs: MailboxState | undefined;
}

/**
 * Finds `wanted` among the mailboxes of the target: by its uniqueid, under whatever name it lives
 * now, or by its name, where that one has had mail. What never had any gives way (plan_owner.ts).
 */
export function destinationOf(
  wanted: Pick<MailboxState, "name" | "uniqueid">,
  theirs: readonly MailboxState[],
): Destination {
  const { name } = wanted;
  const same = theirs.find(({ uniqueid }) => uniqueid === wanted.uniqueid);
  if (same !== undefined && !parseName(same.name).isDeleted) {
    return { name: same.name, theirs: same };
  }
  const named = theirs.find((state) => state.name === name);
  const isUsed = named !== undefined && !isIntermediate(named) && named.lastUid > 0;
  return { name, theirs: isUsed ? named : same };
}

/** The name that a mailbox below DELETED had before. */
export function nameInLife(name: string): string {
  const { isDeleted, domain, local } = parseName(name);
  if (!isDeleted) return name;
  return domain === undefined ? local : `${domain}!${local}`;
}

/** A message that was chosen, or that a mailbox at the target lacks. */
export interface RestoredMessage {
  readonly guid: Guid;
  /** In the archive. */
  readonly uid: number;
  /** At the target. */
  readonly newUid: number;
}

/** A mailbox as it is to be at the target. */
export interface RestoredMailbox extends MailboxReading {
  /** Those that come back, each told by both UIDs; none of a whole mailbox that comes back. */
  readonly restored: readonly RestoredMessage[];
  /** Wanted messages that live there already, with their UID there as `newUid`. */
  readonly present: readonly RestoredMessage[];
}

export interface RestoreOptions {
  /** Undefined: all that live in the archive. */
  readonly messages: MessageChoice | undefined;
  /** Unix seconds. */
  readonly now: number;
}

/** The mailbox where it is gone at the target. `archived` has its state as it is to be named. */
export async function restoreGone(
  archived: MailboxReading,
  { messages, now }: RestoreOptions,
): Promise<RestoredMailbox> {
  if (messages === undefined) return { ...archived, restored: [], present: [] };
  const chosen = await chosenRecords(archived.records, messages);
  const [expunged, living] = [true, false].map((is) => chosen.filter((one) => one.expunged === is));
  const state = { ...archived.state, syncCrc: 0, syncCrcAnnot: 0 };
  const mailbox = appended({ state, records: recordsOf(living ?? []) }, expunged ?? [], now);
  const same = (living ?? []).map(({ guid, uid }) => ({ guid, uid, newUid: uid }));
  return { ...mailbox, restored: [...same, ...mailbox.restored] };
}

/** The mailbox where the target has it: its own records, and behind them what it lacks. */
export async function restoreInto(
  theirs: MailboxReading,
  archived: RecordSource,
  { messages, now }: RestoreOptions,
): Promise<RestoredMailbox> {
  const living = new Map<Guid, number>();
  for await (const batch of theirs.records.batches()) {
    for (const { guid, uid, expunged } of batch) if (!expunged) living.set(guid, uid);
  }
  const chosen = await chosenRecords(archived, messages);
  const missing = chosen.filter(({ guid }) => !living.has(guid));
  const present = chosen.flatMap(({ guid, uid }) => {
    const newUid = living.get(guid);
    return newUid === undefined ? [] : [{ guid, uid, newUid }];
  });
  return { ...appended(theirs, missing, now), present };
}

/** A message named by its GUID comes back once: the living one, else the one expunged last. */
async function chosenRecords(
  source: RecordSource,
  messages: MessageChoice | undefined,
): Promise<MailRecord[]> {
  const chosen: MailRecord[] = [];
  const byGuid = new Map<Guid, MailRecord>();
  for await (const batch of source.batches()) {
    if (messages === undefined) {
      pushAll(
        chosen,
        batch.filter(({ expunged }) => !expunged),
      );
      continue;
    }
    for (const record of batch) {
      if (messages.uids.has(record.uid)) chosen.push(record);
      else if (messages.guids.has(record.guid)) {
        const before = byGuid.get(record.guid);
        if (before?.expunged !== false) byGuid.set(record.guid, record);
      }
    }
  }
  return [...chosen, ...byGuid.values()].sort((left, right) => left.uid - right.uid);
}

/** `mailbox` with `records` behind its own, all with the next modseq. */
function appended(
  mailbox: MailboxReading,
  records: readonly MailRecord[],
  now: number,
): RestoredMailbox {
  const { state } = mailbox;
  if (records.length === 0) return { state, records: mailbox.records, restored: [], present: [] };
  const modseq = state.highestmodseq + 1n;
  const renewed = records.map((record, at) =>
    renewedRecord(record, { uid: state.lastUid + 1 + at, modseq, now }),
  );
  const sum = renewed.reduce((crc, one) => crc ^ basicRecordCrc(one, flagsCrc(one.flags)), 0);
  const { userflags, lastAppenddate } = state;
  const keywords = renewed.flatMap(({ flags }) => flags.filter((flag) => !flag.startsWith("\\")));
  return {
    state: {
      ...state,
      lastUid: state.lastUid + records.length,
      highestmodseq: modseq,
      // 0 is not compared: then the proof reads the records.
      syncCrc: state.syncCrc ? (state.syncCrc ^ sum) >>> 0 : 0,
      syncCrcAnnot: 0,
      ...(lastAppenddate !== undefined && { lastAppenddate: now }),
      ...(userflags !== undefined && { userflags: [...new Set([...userflags, ...keywords])] }),
    },
    records: {
      batches: async function* () {
        yield* mailbox.records.batches();
        yield renewed;
      },
    },
    restored: records.map(({ guid, uid }, at) => ({ guid, uid, newUid: state.lastUid + 1 + at })),
    present: [],
  };
}

/** What is told of a message anew where it comes into a mailbox again. */
interface Renewal {
  readonly uid: number;
  readonly modseq: bigint;
  /** Unix seconds. */
  readonly now: number;
}

/** The record of a message that comes back, with what a person knows of it unchanged. */
function renewedRecord(record: MailRecord, { uid, modseq, now }: Renewal): MailRecord {
  const { unlinked: _, expunged, flags, savedate, createdmodseq, annotations, ...kept } = record;
  return {
    ...{ ...kept, uid, modseq, lastUpdated: now, expunged: false },
    // Or the next EXPUNGE of any mail program would remove it again.
    flags: expunged ? flags.filter((flag) => flag !== "\\Deleted") : flags,
    savedate: savedate === 0 ? 0 : now,
    createdmodseq: createdmodseq === 0n ? 0n : modseq,
    annotations: annotations.map((one) => ({ ...one, modseq })),
  };
}
