/**
 * What has to be done so that the target holds what the source holds of one owner: two states in,
 * steps out, nothing touched. Mailboxes are paired by uniqueid (sync-protocol.md 5.4). *Merge*
 * leaves what only the target has, and names it; *mirror* makes the target equal. What goes on
 * inside a mailbox is planned from its records, by `plan_mailbox.ts`.
 */
import { pushAll } from "../../core/lists.ts";
import {
  isIntermediate,
  isSieveMailbox,
  type MailboxState,
  type UserState,
} from "../../model/mailbox.ts";
import { isBelow, isInbox, parseName } from "../../model/names.ts";
import type { Holds } from "../../places/place.ts";
import { planMeta, planQuotas } from "./plan_meta.ts";
import { orderRenames, type Rename } from "./renames.ts";
import type { Leftover, MailboxStep, Plan, PlanRequest, Step } from "./steps.ts";
import { differingFields, differingSums, stateToSend } from "./target_state.ts";

/** The steps for one owner, in the order in which they are to be done. */
export function planOwner(request: PlanRequest): Plan {
  const { owner, mode, source, target } = request;
  const isGone = source.mailboxes.length === 0 && (source.unreadable ?? []).length === 0;
  if (isGone && owner.kind === "user") {
    const mailboxes = target.mailboxes.map(({ name }) => leftoverMailbox(name));
    if (mode === "merge" || mailboxes.length === 0) {
      const settings = planMeta({ ...request, mode: "merge", userid: owner.userid });
      return { steps: [], leftovers: [...mailboxes, ...settings.leftovers] };
    }
    return { steps: [{ kind: "deleteUser", userid: owner.userid }], leftovers: [] };
  }
  const mailboxes = planMailboxes(request);
  const careful: PlanRequest = { ...request, mode: mayDelete(request) ? "mirror" : "merge" };
  const meta =
    owner.kind === "shared" ? planQuotas(careful) : planMeta({ ...careful, userid: owner.userid });
  return {
    steps: [...mailboxes.steps, ...meta.steps],
    leftovers: [...mailboxes.leftovers, ...meta.leftovers],
  };
}

/**
 * What cannot be read and has no uniqueid may be anything that the source seems to lack: a mirror
 * then deletes nothing.
 */
function mayDelete({ mode, source }: PlanRequest): boolean {
  const isAny = (source.unreadable ?? []).some(({ uniqueid }) => uniqueid === undefined);
  return mode === "mirror" && !isAny;
}

function leftoverMailbox(name: string, text = "only the target has this mailbox"): Leftover {
  return { kind: "mailbox", name, text };
}

interface Pair {
  readonly ours: MailboxState;
  readonly theirs: MailboxState | undefined;
}

function planMailboxes(request: PlanRequest): Plan {
  const { pairs, unpaired } = pairMailboxes(request);
  const deletes = mayDelete(request);
  const names = new Set(pairs.map(({ ours }) => ours.name));
  const inTheWay = unpaired.filter(({ name }) => names.has(name));
  const others = unpaired.filter((one) => !names.has(one.name) && !isPlaceOnly(one, request));
  // What never held mail gives way; a client may have made it before the first replication.
  const giveWay = inTheWay.filter((state) => deletes || isEmpty(state));
  const staying = inTheWay.filter((state) => !giveWay.includes(state));
  const { renames, blocked } = planRenames(pairs, {
    staying: [...staying, ...(deletes ? [] : others)],
  });
  // What cannot be renamed keeps its old name, which another one may be waiting for.
  const kept = [
    ...staying.map(({ name }) => name),
    ...blocked.flatMap(({ oldName, newName }) => [oldName, newName]),
  ];
  const held = new Set(kept.filter((name) => names.has(name)));
  const steps: Step[] = [
    ...childrenFirst(giveWay).map((state): Step => ({ kind: "delete", state })),
    ...renames,
  ];
  for (const { ours, theirs } of [...pairs].sort((a, b) => parentsFirst(a.ours, b.ours))) {
    if (held.has(ours.name)) continue;
    const step = contentStep({ ours, theirs }, request);
    if (step !== undefined) steps.push(step);
  }
  if (deletes) {
    pushAll(
      steps,
      childrenFirst(others).map((state): Step => ({ kind: "delete", state })),
    );
  }
  const leftovers = [...held].map((name) =>
    leftoverMailbox(name, "the target has another mailbox of this name, with another uniqueid"),
  );
  if (!deletes)
    pushAll(
      leftovers,
      others.map(({ name }) => leftoverMailbox(name)),
    );
  return { steps, leftovers };
}

/**
 * True where a server keeps `theirs`, which never held mail, for the sake of what lies below it.
 */
function isPlaceOnly(theirs: MailboxState, { source, target, holds }: PlanRequest): boolean {
  if (holds.gapsInTree || !isEmpty(theirs)) return false;
  const staying = [source.mailboxes, source.unreadable ?? [], target.unreadable ?? []].flat();
  return staying.some(({ name }) => isBelow(name, theirs.name));
}

function isEmpty(state: MailboxState): boolean {
  return isIntermediate(state) || state.lastUid === 0;
}

/** Pairs by uniqueid, or by name where a place has none; without what cannot be read now. */
function pairMailboxes({ source, target, holds }: PlanRequest): {
  readonly pairs: readonly Pair[];
  readonly unpaired: readonly MailboxState[];
} {
  const key = ({ uniqueid, name }: MailboxState): string => (holds.uniqueids ? uniqueid : name);
  const counts = (state: MailboxState): boolean =>
    (holds.deletedMailboxes || !parseName(state.name).isDeleted) &&
    (holds.sieveMailboxes || !isSieveMailbox(state)) &&
    (holds.placeholders || !isIntermediate(state));
  const lost = [...(source.unreadable ?? []), ...(target.unreadable ?? [])];
  const lostIds = new Set(lost.map(({ uniqueid }) => uniqueid));
  const lostNames = new Set(lost.map(({ name }) => name));
  const isLost = ({ name, uniqueid }: MailboxState): boolean =>
    lostNames.has(name) || lostIds.has(uniqueid);
  const ours = source.mailboxes.filter((state) => counts(state) && !isLost(state));
  const theirs = target.mailboxes.filter((state) => counts(state) && !isLost(state));
  const byKey = new Map(theirs.map((state) => [key(state), state]));
  const wanted = new Set(ours.map(key));
  return {
    pairs: ours.map((state) => ({ ours: state, theirs: byKey.get(key(state)) })),
    unpaired: theirs.filter((state) => !wanted.has(key(state))),
  };
}

function planRenames(
  pairs: readonly Pair[],
  { staying }: { readonly staying: readonly MailboxState[] },
): { readonly renames: readonly Step[]; readonly blocked: readonly Rename[] } {
  const moving = new Map<string, Required<Pair>>();
  const names = new Set(staying.map(({ name }) => name));
  for (const { ours, theirs } of pairs) {
    if (theirs === undefined) continue;
    if (theirs.name === ours.name) names.add(ours.name);
    else moving.set(ours.uniqueid, { ours, theirs });
  }
  const wanted = [...moving.values()].map(({ ours, theirs }) => ({
    ...{ uniqueid: ours.uniqueid, oldName: theirs?.name ?? "", newName: ours.name },
  }));
  const { renames, blocked } = orderRenames(wanted, names);
  const steps = renames.map((rename): Step => {
    const pair = moving.get(rename.uniqueid);
    const { oldName, newName } = rename;
    const partition = pair?.theirs?.partition ?? "default";
    const uidvalidity = pair?.ours.uidvalidity ?? 0;
    const given = newName === pair?.ours.name && uidvalidity > 0 ? { uidvalidity } : {};
    return {
      ...{ kind: "rename", rename },
      command: { kind: "rename", oldName, newName, partition, ...given },
    };
  });
  return { renames: steps, blocked };
}

/** Undefined where both are the same already. */
function contentStep(
  { ours, theirs }: Pair,
  { mode, holds, target }: PlanRequest,
): MailboxStep | undefined {
  const nameBefore = theirs?.name ?? ours.name;
  const step = { kind: "mailbox", name: ours.name, ours, nameBefore } as const;
  const becomesMailbox = theirs !== undefined && isIntermediate(theirs) && !isIntermediate(ours);
  if (theirs === undefined || becomesMailbox) return { ...step, theirs: undefined, records: "all" };
  const renamed = { ...theirs, name: ours.name };
  const wanted = stateToSend(ours, { holds, theirs, partition: partitionFor(ours, target) });
  const isSame =
    differingFields(wanted, theirs, holds).length === 0 && differingSums(ours, theirs).length === 0;
  if (isSame) return undefined;
  // A mirror must know what it deletes before it begins.
  const isNewer = mode === "merge" && isBehind(ours, theirs, holds);
  return { ...step, theirs: renamed, records: isNewer ? "newer" : "compare" };
}

/**
 * True where all that the source has and the target has not lies above the target's highestmodseq.
 */
function isBehind(ours: MailboxState, theirs: MailboxState, holds: Holds): boolean {
  if (!holds.modseqs || !holds.uids || !holds.tombstones) return false;
  if (isIntermediate(ours) || isIntermediate(theirs)) return false;
  if (theirs.highestmodseq === ours.highestmodseq) return differingSums(ours, theirs).length === 0;
  return (
    theirs.highestmodseq < ours.highestmodseq &&
    theirs.lastUid <= ours.lastUid &&
    theirs.uidvalidity <= ours.uidvalidity &&
    (ours.deletedmodseq ?? 0n) <= theirs.highestmodseq
  );
}

/** Where a new mailbox goes: only the target knows its partitions, so one of those that it uses. */
export function partitionFor(ours: MailboxState, { mailboxes }: UserState): string {
  const { partition } = ours;
  if (partition !== null && mailboxes.some((one) => one.partition === partition)) return partition;
  const inbox = mailboxes.find((one) => one.partition !== null && isInbox(one.name));
  return inbox?.partition ?? partition ?? "default";
}

/** The INBOX first, parents before what lies below them, deleted mailboxes last. */
export function parentsFirst(
  left: Pick<MailboxState, "name">,
  right: Pick<MailboxState, "name">,
): number {
  const [a, b] = [left, right].map(({ name }) => parseName(name).isDeleted);
  if (a !== b) return a === true ? 1 : -1;
  if (isInbox(left.name) !== isInbox(right.name)) return isInbox(left.name) ? -1 : 1;
  if (isBelow(left.name, right.name)) return 1;
  if (isBelow(right.name, left.name)) return -1;
  return left.name < right.name ? -1 : 1;
}

function childrenFirst(states: readonly MailboxState[]): MailboxState[] {
  return [...states].sort((left, right) => parentsFirst(right, left));
}
