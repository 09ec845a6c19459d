/**
 * What has to be done so that B holds what A holds of one user: two states in, steps out, nothing touched.
 * Mailboxes are paired by uniqueid (sync-protocol.md 5.4). This is the merge: what only B has stays and
 * is named as extra. Records are not looked at here: of a mailbox that differs, those that B cannot
 * know yet are sent, and a B that is ahead of A refuses.
 */
import { sameAnnotations } from "../model/annotation.ts";
import type { ApplyCommand } from "../model/apply.ts";
import type { MailboxState, SeenState, UserState } from "../model/mailbox.ts";
import type { Holds } from "../places/place.ts";

/** Brings one mailbox up to date: records above these two, and all of the state. */
export interface MailboxStep {
  readonly kind: "mailbox";
  readonly name: string;
  readonly uniqueid: string;
  /** B has it not yet. */
  readonly isNew: boolean;
  /** Records up to this modseq are known to B; 0 sends all. */
  readonly knownModseq: bigint;
  /** Messages up to this UID are at B. */
  readonly knownUid: number;
}

export type Step = MailboxStep | { readonly kind: "apply"; readonly command: ApplyCommand };

/** Something that only B has. */
export interface Extra {
  readonly kind: "mailbox" | "subscription" | "sieve script" | "quota";
  readonly name: string;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly extras: readonly Extra[];
}

export interface PlanRequest {
  readonly userid: string;
  readonly source: UserState;
  readonly target: UserState;
  /** What both places hold: nothing else is compared or asked for. */
  readonly holds: Holds;
}

/** The steps for one user, in the order in which they must be done. */
export function planUser(request: PlanRequest): Plan {
  const mailboxes = planMailboxes(request);
  const meta = planMeta(request);
  return {
    steps: [...mailboxes.steps, ...meta.steps],
    extras: [...mailboxes.extras, ...meta.extras],
  };
}

/** What two places both hold. */
export function commonHolds(left: Holds, right: Holds): Holds {
  const both = Object.fromEntries(
    Object.entries(left).map(([key, value]) => {
      const other = right[key as keyof Holds]; // both have the same keys
      return [key, typeof value === "boolean" ? value && other === true : value];
    }),
  ) as unknown as Holds;
  return {
    ...both,
    keywords: Math.min(left.keywords, right.keywords),
    quotas: left.quotas.filter((resource) => right.quotas.includes(resource)),
  };
}

function planMailboxes({ source, target, holds }: PlanRequest): Plan {
  const byId = new Map(target.mailboxes.map((state) => [state.uniqueid, state]));
  const steps: Step[] = [];
  const renames: MailboxState[] = [];
  const sorted = [...source.mailboxes].sort(inboxFirst);
  for (const state of sorted) {
    const theirs = byId.get(state.uniqueid);
    if (theirs !== undefined && theirs.name !== state.name) renames.push(state);
    if (theirs !== undefined && isUnchanged(state, theirs, holds)) continue;
    steps.push({
      kind: "mailbox",
      name: state.name,
      uniqueid: state.uniqueid,
      isNew: theirs === undefined,
      knownModseq: theirs?.highestmodseq ?? 0n,
      knownUid: theirs?.lastUid ?? 0,
    });
  }
  const wanted = new Set(source.mailboxes.map(({ uniqueid }) => uniqueid));
  // A mailbox of A that cannot be read now is not one that A has not.
  for (const { uniqueid } of source.unreadable ?? [])
    if (uniqueid !== undefined) wanted.add(uniqueid);
  const unreadable = new Set((source.unreadable ?? []).map(({ name }) => name));
  const extras = target.mailboxes
    .filter(({ uniqueid, name }) => !wanted.has(uniqueid) && !unreadable.has(name))
    .map(({ name }): Extra => ({ kind: "mailbox", name }));
  return { steps: [...orderRenames(renames, byId), ...steps], extras };
}

/** The INBOX before what lies below it, deleted mailboxes last. */
function inboxFirst(left: MailboxState, right: MailboxState): number {
  const [a, b] = [left, right].map(({ name }) => (/^([^!]*!)?DELETED\./.test(name) ? 1 : 0));
  if (a !== b) return (a ?? 0) - (b ?? 0);
  return left.name < right.name ? -1 : 1;
}

/** Renames one at a time, each to a name that is free by then; a ring goes by way of a name of its own. */
function orderRenames(
  renames: readonly MailboxState[],
  byId: ReadonlyMap<string, MailboxState>,
): Step[] {
  const steps: Step[] = [];
  const now = new Map(renames.map(({ uniqueid }) => [uniqueid, byId.get(uniqueid)?.name ?? ""]));
  let waiting = [...renames];
  const rename = (state: MailboxState, newName: string): void => {
    const oldName = now.get(state.uniqueid) ?? "";
    const partition = state.partition ?? byId.get(state.uniqueid)?.partition ?? "default";
    steps.push({ kind: "apply", command: { kind: "rename", oldName, newName, partition } });
    now.set(state.uniqueid, newName);
  };
  while (waiting.length > 0) {
    const taken = new Set(now.values());
    const free = waiting.filter((state) => !taken.has(state.name));
    for (const state of free) rename(state, state.name);
    const [first] = waiting;
    if (free.length === 0 && first !== undefined) rename(first, `${first.name}-${first.uniqueid}`);
    waiting = waiting.filter((state) => now.get(state.uniqueid) !== state.name);
  }
  return steps;
}

/** True when B needs nothing sent for this mailbox (sync-protocol.md 5.6). */
export function isUnchanged(ours: MailboxState, theirs: MailboxState, holds: Holds): boolean {
  const same = (field: keyof MailboxState): boolean =>
    (ours[field] ?? null) === (theirs[field] ?? null);
  const given = (field: keyof MailboxState): boolean => ours[field] === undefined || same(field);
  const crc = (field: "syncCrc" | "syncCrcAnnot"): boolean =>
    !ours[field] || !theirs[field] || same(field);
  if (holds.uids && !same("lastUid")) return false;
  if (holds.modseqs && !same("highestmodseq")) return false;
  if (holds.uidvalidity && !same("uidvalidity")) return false;
  if (holds.acls && !same("acl")) return false;
  if (holds.mailboxDetails) {
    const details = ["recentUid", "recentTime", "pop3LastLogin", "options"] as const;
    if (!details.every(same) || !given("pop3ShowAfter") || !given("foldermodseq")) return false;
    if (
      !given("raclmodseq") ||
      !given("xconvmodseq") ||
      (ours.type ?? "") !== (theirs.type ?? "")
    ) {
      return false;
    }
  }
  if (holds.mailboxAnnotations && !sameAnnotations(ours.annotations, theirs.annotations))
    return false;
  return crc("syncCrc") && crc("syncCrcAnnot");
}

function planMeta({ userid, source, target, holds }: PlanRequest): Plan {
  const steps: Step[] = [];
  const extras: Extra[] = [];
  const add = (command: ApplyCommand): void => {
    steps.push({ kind: "apply", command });
  };
  if (holds.quotas.length > 0) {
    const theirs = new Map(target.quotas.map((quota) => [quota.root, quota]));
    for (const quota of source.quotas) {
      const other = theirs.get(quota.root);
      const same =
        other !== undefined &&
        holds.quotas.every((name) => quota.limits[name] === other.limits[name]);
      if (!same) add({ kind: "quota", quota });
      theirs.delete(quota.root);
    }
    for (const root of theirs.keys()) extras.push({ kind: "quota", name: root });
  }
  if (holds.subscriptions) {
    const theirs = new Set(target.subscriptions);
    for (const name of source.subscriptions)
      if (!theirs.delete(name)) add({ kind: "sub", userid, name });
    for (const name of theirs) extras.push({ kind: "subscription", name });
  }
  if (holds.seen) {
    const theirs = new Map(target.seen.map((seen) => [seen.uniqueid, seen]));
    for (const seen of source.seen) {
      if (!sameSeen(seen, theirs.get(seen.uniqueid))) add({ kind: "seen", userid, seen });
    }
  }
  return { steps, extras };
}

function sameSeen(ours: SeenState, theirs: SeenState | undefined): boolean {
  return (
    theirs !== undefined &&
    ours.lastRead === theirs.lastRead &&
    ours.lastUid === theirs.lastUid &&
    ours.lastChange === theirs.lastChange &&
    ours.seenUids === theirs.seenUids
  );
}
