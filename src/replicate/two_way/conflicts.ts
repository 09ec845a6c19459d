/**
 * One mailbox at two sides that were both written to since they were last the same: what both are
 * to hold. These are Cyrus' own rules (sync-protocol.md 5.7), A being the master, except that no
 * message is deleted for being absent, only where a record says that it was expunged. Two readings
 * in, an agreement out; nothing is touched.
 */
import { larger } from "../../core/bigints.ts";
import { pushAll } from "../../core/lists.ts";
import type { MailboxState, RecordSource } from "../../model/mailbox.ts";
import type { MailRecord } from "../../model/record.ts";
import { basicRecordCrc, flagsCrc } from "../../model/sync_crc.ts";
import type { Holds, MailboxReading } from "../../places/place.ts";
import {
  compareRecords,
  differingRecordFields,
  type RecordDifference,
  uidOf,
} from "../plan/compare_records.ts";
import { nameOf, OTHER_SIDE, type Side } from "../plan/sides.ts";
import type { Decision } from "../plan/steps.ts";
import { agreeStates, stateDecisions } from "./agree_states.ts";

/** What one side gets. */
export interface SideChange {
  /** Records by UID: changed, expunged, or new to the side. */
  readonly records: ReadonlyMap<number, MailRecord>;
  /** Its living messages that go because the other side has expunged them. */
  readonly expunged: number;
}

export interface Agreement {
  /** Of both, but for uniqueid, name and partition, which are A's. */
  readonly state: MailboxState;
  readonly a: SideChange;
  readonly b: SideChange;
  /** By new UID: where a message that got one lies. Others lie at the other side, as they were. */
  readonly moved: ReadonlyMap<number, { readonly side: Side; readonly uid: number }>;
  readonly decisions: readonly Decision[];
}

export interface ConflictOptions {
  /** What both places hold: at least UIDs, modseqs, expunged records and times of change. */
  readonly holds: Holds;
  /** Unix seconds, for the expunged records of messages that get a new UID. */
  readonly now: number;
}

interface Move {
  readonly side: Side;
  readonly record: MailRecord;
  readonly why: string;
}

/** What the walk over both sides has found so far. */
interface Walk {
  readonly options: ConflictOptions;
  readonly states: { readonly a: MailboxState; readonly b: MailboxState };
  /** For what has to be newer than anything that the clients of a side have heard of. */
  readonly fresh: bigint;
  readonly records: { readonly a: Map<number, MailRecord>; readonly b: Map<number, MailRecord> };
  readonly expunged: { a: number; b: number };
  /** Messages that cannot keep their UID, in the order in which they get new ones. */
  readonly moves: Move[];
  /** Messages that come to a side under their own UID, by what tells them from others. */
  readonly arrivals: { readonly a: Map<string, number[]>; readonly b: Map<string, number[]> };
  readonly decisions: Decision[];
  /** Where the flags of one side are kept: a choice, if the other side's record was changed too. */
  readonly kept: { readonly decision: Decision; readonly loser: MailRecord }[];
  /** UIDs in which the sides differ. */
  readonly differing: Set<number>;
}

/** What both sides are to hold. Throws AppError (bad_data) where UIDs do not ascend. */
export async function agreeMailbox(
  a: MailboxReading,
  b: MailboxReading,
  options: ConflictOptions,
): Promise<Agreement> {
  const states = { a: a.state, b: b.state };
  const highest = larger(a.state.highestmodseq, b.state.highestmodseq);
  const walk: Walk = {
    ...{ options, states, fresh: highest + 1n, expunged: { a: 0, b: 0 } },
    ...{ records: { a: new Map(), b: new Map() }, arrivals: { a: new Map(), b: new Map() } },
    ...{ moves: [], decisions: stateDecisions(a.state, b.state, options.holds) },
    ...{ kept: [], differing: new Set() },
  };
  for await (const difference of compareRecords(a.records, b.records, options.holds)) {
    walk.differing.add(uidOf(difference));
    judge(difference, walk);
  }
  await decideKept(a.records, walk);
  const { moved, lastUid } = giveNewUids(walk);
  const { records, expunged, fresh, decisions } = walk;
  const isFresh = [...records.a.values(), ...records.b.values()].some(
    ({ modseq }) => modseq === fresh,
  );
  const state = agreeStates(a.state, b.state, {
    ...{ lastUid, highestmodseq: isFresh ? fresh : highest },
    syncCrc: await syncCrcOf(withChanges(a.records, records.a)),
  });
  return {
    ...{ state, moved, decisions },
    a: { records: records.a, expunged: expunged.a },
    b: { records: records.b, expunged: expunged.b },
  };
}

function judge(difference: RecordDifference, walk: Walk): void {
  switch (difference.kind) {
    case "onlySource":
      judgeSingle("a", difference.source, walk);
      return;
    case "onlyTarget":
      judgeSingle("b", difference.target, walk);
      return;
    case "guid":
      judgeCollision(difference.source, difference.target, walk);
      return;
    case "expunged":
      judgeExpunged(difference.source, difference.target, walk);
      return;
    case "fields":
      judgeFields(difference.source, difference.target, walk);
  }
}

/** A record of one side goes to the other, under its own UID if that is still free there. */
function judgeSingle(side: Side, record: MailRecord, walk: Walk): void {
  const other = OTHER_SIDE[side];
  const { uid, expunged } = record;
  if (uid <= walk.states[other].lastUid) {
    const why = `only ${nameOf(side)} has this message, and ${nameOf(other)} is past its UID`;
    if (!expunged) walk.moves.push({ side, record, why });
    return;
  }
  if (expunged) {
    walk.records[other].set(uid, record);
    return;
  }
  const key = identityOf(record);
  walk.arrivals[other].set(key, [...(walk.arrivals[other].get(key) ?? []), uid]);
  const sent = { ...record, modseq: modseqFor([record], [other], walk) };
  walk.records[other].set(uid, sent);
  if (sent.modseq !== record.modseq) walk.records[side].set(uid, sent);
}

/** Two messages under one UID: what lives gets a new one, the lower GUID first. */
function judgeCollision(a: MailRecord, b: MailRecord, walk: Walk): void {
  const sides = [
    { side: "a", record: a },
    { side: "b", record: b },
  ] as const;
  const living = sides.filter(({ record }) => !record.expunged);
  const why = "A and B have different messages under this UID";
  const ordered = a.guid < b.guid ? living : living.toReversed();
  pushAll(
    walk.moves,
    ordered.map((one) => ({ ...one, why })),
  );
}

/** What one side has expunged goes, whatever has become of it at the other. */
function judgeExpunged(a: MailRecord, b: MailRecord, walk: Walk): void {
  const side = a.expunged ? "b" : "a";
  const [gone, living] = a.expunged ? [a, b] : [b, a];
  const { uid } = living;
  const modseq = modseqFor([gone, living], [side], walk);
  walk.records[side].set(uid, { ...gone, modseq });
  walk.expunged[side] += 1;
  if (living.modseq <= gone.modseq) return;
  const at = nameOf(OTHER_SIDE[side]);
  const text = `expunged at ${at}, though ${nameOf(side)} has changed it: it goes`;
  walk.decisions.push({ kind: "message", name: walk.states.a.name, uid, text });
}

/** The same message told differently: flags, thread and annotations of one side, dates of A. */
function judgeFields(a: MailRecord, b: MailRecord, walk: Walk): void {
  const { holds } = walk.options;
  const isNewer = b.modseq > a.modseq && b.lastUpdated >= a.lastUpdated;
  const [winner, loser] = isNewer ? [b, a] : [a, b];
  const merged: MailRecord = {
    ...winner,
    lastUpdated: Math.max(a.lastUpdated, b.lastUpdated),
    internaldate: a.internaldate,
    internaldateNsec: a.internaldateNsec || b.internaldateNsec,
    savedate: a.savedate || b.savedate,
    createdmodseq: a.createdmodseq || b.createdmodseq,
    cid: winner.cid || loser.cid,
    basecid: winner.basecid || loser.basecid,
  };
  const differing = (record: MailRecord): string[] =>
    differingRecordFields(merged, record, holds).filter((field) => !BOOKKEEPING.has(field));
  const changed = { a: differing(a), b: differing(b) };
  const sides = (["a", "b"] as const).filter((side) => changed[side].length > 0);
  const modseq = modseqFor([a, b], sides, walk);
  const agreed = { ...merged, modseq };
  for (const [side, record] of [["a", a] as const, ["b", b] as const]) {
    if (differingRecordFields(agreed, record, holds).length > 0)
      walk.records[side].set(record.uid, agreed);
  }
  if (sides.length === 0) return;
  const fields = [...new Set([...changed.a, ...changed.b])].join(", ");
  const modseqs = `modseq ${winner.modseq} against ${loser.modseq}`;
  const text = `${fields}: ${isNewer ? "B" : "A"}'s are kept, ${modseqs}`;
  const decision: Decision = { kind: "flags", name: walk.states.a.name, uid: a.uid, text };
  walk.kept.push({ decision, loser });
}

/**
 * What was no choice is not told: the side that lost has its record as the sides last agreed on it,
 * if it was never changed, or not after something that both still have. Otherwise nobody can know,
 * and it is told.
 */
async function decideKept(
  records: RecordSource,
  { kept, differing, decisions }: Walk,
): Promise<void> {
  if (kept.length === 0) return;
  let agreed = 0n;
  for await (const batch of records.batches()) {
    for (const { uid, modseq } of batch) if (!differing.has(uid)) agreed = larger(agreed, modseq);
  }
  for (const { decision, loser } of kept) {
    const wasChanged = loser.modseq !== loser.createdmodseq && loser.modseq > agreed;
    if (wasChanged) decisions.push(decision);
  }
}

const BOOKKEEPING: ReadonlySet<string> = new Set(["modseq", "lastUpdated"]);

/** A modseq not below any of `records`, and above all that clients of `changed` sides know. */
function modseqFor(
  records: readonly MailRecord[],
  changed: readonly Side[],
  { states, fresh }: Walk,
): bigint {
  const modseq = records.reduce((most, record) => larger(most, record.modseq), 0n);
  return changed.every((side) => modseq > states[side].highestmodseq) ? modseq : fresh;
}

/**
 * Appends the messages that cannot keep their UID, and expunges the old ones. A message that comes
 * from the other side anyway is not appended twice: an earlier run has given it the new UID there
 * and was killed.
 */
function giveNewUids(walk: Walk): Pick<Agreement, "moved"> & { readonly lastUid: number } {
  const { states, records, fresh, options } = walk;
  const moved = new Map<number, { readonly side: Side; readonly uid: number }>();
  let lastUid = Math.max(states.a.lastUid, states.b.lastUid);
  for (const { side, record, why } of walk.moves) {
    const expunged = { ...record, expunged: true, modseq: fresh, lastUpdated: options.now };
    records[side].set(record.uid, expunged);
    let uid = walk.arrivals[side].get(identityOf(record))?.shift();
    if (uid === undefined) {
      lastUid += 1;
      uid = lastUid;
      const createdmodseq = record.createdmodseq === 0n ? 0n : fresh;
      const appended = { ...record, uid, modseq: fresh, createdmodseq };
      records.a.set(uid, appended);
      records.b.set(uid, appended);
      moved.set(uid, { side, uid: record.uid });
    }
    const text = `${why}: ${nameOf(side)}'s becomes UID ${uid}`;
    walk.decisions.push({ kind: "message", name: states.a.name, uid: record.uid, text });
  }
  return { moved, lastUid };
}

/** The same for a message and the copy of it that an earlier run has made. */
function identityOf({ guid, internaldate }: MailRecord): string {
  return `${guid} ${internaldate}`;
}

/** `source` as it is after `changes`. New records have higher UIDs than all that it has. */
export function withChanges(
  source: RecordSource,
  changes: ReadonlyMap<number, MailRecord>,
): RecordSource {
  return {
    batches: async function* () {
      const left = new Set(changes.keys());
      for await (const batch of source.batches()) {
        yield batch.map((record) => {
          left.delete(record.uid);
          return changes.get(record.uid) ?? record;
        });
      }
      const added = [...left].sort((one, two) => one - two);
      if (added.length > 0) yield added.flatMap((uid) => changes.get(uid) ?? []);
    },
  };
}

async function syncCrcOf(source: RecordSource): Promise<number> {
  let sum = 0;
  for await (const batch of source.batches()) {
    for (const record of batch) {
      if (!record.expunged) sum ^= basicRecordCrc(record, flagsCrc(record.flags));
    }
  }
  return sum >>> 0;
}

/** True where `living` has a message that `deleted`, its other side, never heard of. */
export async function hasUnheardOf(
  living: RecordSource,
  deleted: RecordSource,
  holds: Holds,
): Promise<boolean> {
  for await (const difference of compareRecords(living, deleted, holds)) {
    if (difference.kind !== "onlySource" && difference.kind !== "guid") continue;
    if (!difference.source.expunged) return true;
  }
  return false;
}
