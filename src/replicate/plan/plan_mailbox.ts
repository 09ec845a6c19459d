/**
 * The plan for one mailbox from the records of both sides: what is sent, what is expunged at the
 * target, what stays different. UIDs are given once and never again, so a message that the target
 * had no UID for in time cannot be put in its place: a merge leaves it and says so, a mirror makes
 * the mailbox anew.
 */
import { isIntermediate, type Lost, type MailboxState } from "../../model/mailbox.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Holds, MailboxReading } from "../../places/place.ts";
import { compareRecords, type RecordDifference } from "./compare_records.ts";
import type { Leftover, MailboxStep, Mode } from "./steps.ts";
import { differingFields, stateBeside, stateToSend } from "./target_state.ts";

export interface ContentPlan {
  /** What the target's mailbox is to be. */
  readonly state: MailboxState;
  /** True for records of the source that are sent. */
  readonly isSent: (record: MailRecord) => boolean;
  /** True for records sent whose message the target may lack. */
  readonly isNew: (record: MailRecord) => boolean;
  /** UIDs to expunge at the target, ascending. */
  readonly expunge: readonly number[];
  readonly leftovers: readonly Leftover[];
  /** The target's mailbox as it was read, where it is to be deleted and made anew. */
  readonly rebuild: MailboxReading | undefined;
  /**
   * Living messages of the target that go although the source does not say that they were deleted.
   */
  readonly deletes: number;
  /** Nothing has to be done. */
  readonly isNothing: boolean;
}

export interface ContentRequest {
  readonly mode: Mode;
  readonly holds: Holds;
  /** Where a mailbox is made. */
  readonly partition: string;
  /** The target takes records below its last UID. */
  readonly fillsGaps?: boolean | undefined;
}

/** The plan where the target's records need not be looked at: it has none, or is plainly behind. */
export function planNewer(
  step: MailboxStep,
  ours: MailboxState,
  request: ContentRequest,
): ContentPlan {
  const { theirs } = step;
  const state = stateToSend(ours, { ...request, theirs });
  const modseq = theirs?.highestmodseq ?? -1n;
  const uid = theirs?.lastUid ?? 0;
  return {
    ...{ state, expunge: [], leftovers: [], rebuild: undefined, deletes: 0, isNothing: false },
    isSent: (record) => record.modseq > modseq || record.uid > uid,
    isNew: (record) => record.uid > uid,
  };
}

/** What the walk over both sides has found so far. */
interface Findings {
  readonly sent: Set<number>;
  readonly expunge: number[];
  readonly leftovers: Leftover[];
  /** UIDs of those sent that the target lacks below its last UID, if it takes them there. */
  readonly gaps: Set<number> | undefined;
  rebuild: boolean;
  deletes: number;
}

/** The plan after a walk over all records of both sides. */
export async function planCompared(
  source: MailboxReading,
  target: MailboxReading,
  request: ContentRequest,
): Promise<ContentPlan> {
  const { mode, holds, fillsGaps } = request;
  const theirs = target.state;
  const ours = stateToSend(source.state, { ...request, theirs });
  const found: Findings = {
    ...{ sent: new Set(), expunge: [], leftovers: [], rebuild: false, deletes: 0 },
    gaps: fillsGaps === true ? new Set() : undefined,
  };
  const { lost } = source;
  // A damaged mailbox is only ever merged.
  const isMirrored = mode === "mirror" && lost === undefined;
  const judge = isMirrored ? mirrorRecord : mergeRecord;
  for await (const difference of compareRecords(source.records, target.records, holds)) {
    const kept = lost && keptOf(difference, lost);
    if (kept !== undefined) found.leftovers.push({ ...kept, name: ours.name });
    else judge(difference, { ours, theirs }, found);
  }
  if (isMirrored && isAhead(theirs, ours)) found.rebuild = true;
  const { sent, expunge, leftovers, deletes, rebuild, gaps } = found;
  if (rebuild) {
    const all = () => true;
    const anew = { ...ours, partition: theirs.partition ?? request.partition };
    return {
      ...{ state: anew, isSent: all, isNew: all, expunge: [], leftovers: [], deletes },
      ...{ rebuild: target, isNothing: false },
    };
  }
  const isBeside = leftovers.length > 0 || isAhead(theirs, ours);
  const state = isBeside ? stateBeside(ours, theirs) : ours;
  const isSame = differingFields(state, theirs, holds).length === 0;
  return {
    ...{ state, expunge, leftovers, rebuild: undefined, deletes },
    isSent: ({ uid }) => sent.has(uid),
    isNew: ({ uid }) => sent.has(uid) && (uid > theirs.lastUid || gaps?.has(uid) === true),
    isNothing: isSame && sent.size === 0 && expunge.length === 0,
  };
}

/** What the target keeps because the source has lost its word on it. */
function keptOf(difference: RecordDifference, lost: Lost): Omit<Leftover, "name"> | undefined {
  if (difference.kind === "onlyTarget" && !difference.target.expunged) {
    const { uid } = difference.target;
    if (!lost.uids.some(({ first, last }) => first <= uid && uid <= last)) return undefined;
    return { kind: "message", uid, text: "the source has lost the record of this message" };
  }
  if (difference.kind !== "fields" || !lost.fields) return undefined;
  const { uid } = difference.target;
  return { kind: "flags", uid, text: "the source has lost keywords or annotations" };
}

/** True where the target's numbers would have to fall. */
function isAhead(theirs: MailboxState, ours: MailboxState): boolean {
  if (isIntermediate(ours)) return false;
  return (
    theirs.lastUid > ours.lastUid ||
    theirs.highestmodseq > ours.highestmodseq ||
    theirs.uidvalidity > ours.uidvalidity
  );
}

interface States {
  readonly ours: MailboxState;
  readonly theirs: MailboxState;
}

function mergeRecord(difference: RecordDifference, states: States, found: Findings): void {
  const leave = (kind: Leftover["kind"], uid: number, text: string): void => {
    found.leftovers.push({ kind, name: states.ours.name, uid, text });
  };
  switch (difference.kind) {
    case "onlySource": {
      const { uid, expunged } = difference.source;
      if (uid > states.theirs.lastUid) found.sent.add(uid);
      else if (!expunged) leave("message", uid, "the target has given away higher UIDs since");
      return;
    }
    case "onlyTarget": {
      const { target } = difference;
      // The source may have purged it, or never have had it: that it is absent says nothing.
      if (!target.expunged) leave("message", target.uid, "only the target has this message");
      return;
    }
    case "guid": {
      const { source, target } = difference;
      if (source.expunged) leave("message", target.uid, "only the target has this message");
      else if (target.expunged) leave("message", source.uid, "the target deleted another message");
      else leave("message", source.uid, "the target has another message under this UID");
      return;
    }
    case "expunged": {
      const { source, target } = difference;
      if (target.expunged) leave("message", target.uid, "deleted at the target");
      else if (source.modseq >= target.modseq) found.sent.add(source.uid);
      else found.expunge.push(target.uid);
      return;
    }
    case "fields": {
      const { source, target, fields } = difference;
      if (source.modseq >= target.modseq) found.sent.add(source.uid);
      else leave("flags", target.uid, `the target's ${fields.join(", ")} are newer`);
    }
  }
}

function mirrorRecord(difference: RecordDifference, states: States, found: Findings): void {
  const { ours, theirs } = states;
  switch (difference.kind) {
    case "onlySource": {
      const { uid, expunged } = difference.source;
      if (uid > theirs.lastUid) found.sent.add(uid);
      else if (!expunged && found.gaps === undefined) found.rebuild = true;
      else if (!expunged) {
        found.sent.add(uid);
        found.gaps?.add(uid);
      }
      return;
    }
    case "onlyTarget": {
      const { target } = difference;
      if (target.expunged) return;
      found.deletes += 1;
      if (target.uid <= ours.lastUid) found.expunge.push(target.uid);
      else found.rebuild = true;
      return;
    }
    case "guid": {
      const { source, target } = difference;
      if (!target.expunged) found.deletes += 1;
      if (source.expunged) found.expunge.push(target.uid);
      else found.rebuild = true;
      return;
    }
    case "expunged": {
      const { source, target } = difference;
      if (target.expunged) found.rebuild = true;
      else if (source.modseq >= target.modseq) found.sent.add(source.uid);
      else found.expunge.push(target.uid);
      return;
    }
    case "fields": {
      const { source, target } = difference;
      if (source.modseq >= target.modseq) found.sent.add(source.uid);
      else found.rebuild = true;
    }
  }
}
