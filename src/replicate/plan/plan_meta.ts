/**
 * The plan for what belongs to a user beside mailboxes: quotas, subscriptions, sieve scripts, what
 * was seen.
 */
import { FormatError } from "../../core/errors.ts";
import { pushAll } from "../../core/lists.ts";
import { bytecodeOf, type Quota, type SeenState, type SieveFile } from "../../model/mailbox.ts";
import { isOwnedBy } from "../../model/names.ts";
import { joinRanges, parseSequenceSet, printSequenceSet } from "../../model/sequence_set.ts";
import type { Holds } from "../../places/place.ts";
import {
  activeScript,
  areInMailbox,
  bytecodeIn,
  haveSameContent,
  SCRIPT,
  scriptsOf,
} from "./scripts.ts";
import type { Leftover, Plan, PlanRequest, Step } from "./steps.ts";

interface MetaRequest extends PlanRequest {
  readonly userid: string;
}

/** In the order of Cyrus' own client (sync-protocol.md 5.3). */
export function planMeta(request: MetaRequest): Plan {
  const { holds } = request;
  const plans = [
    planQuotas(request),
    ...(holds.subscriptions ? [planSubscriptions(request)] : []),
    ...(holds.sieveFiles ? [planSieve(request)] : []),
    ...(holds.seen ? [planSeen(request)] : []),
  ];
  return {
    steps: plans.flatMap(({ steps }) => steps),
    leftovers: plans.flatMap(({ leftovers }) => leftovers),
  };
}

/** A thing that only the target has: a step that removes it, or its name. */
interface Only {
  readonly mode: PlanRequest["mode"];
  readonly steps: Step[];
  readonly leftovers: Leftover[];
}

function only({ mode, steps, leftovers }: Only, leftover: Leftover, remove: Step): void {
  if (mode === "mirror") steps.push(remove);
  else leftovers.push(leftover);
}

/** All that a shared toplevel has beside its mailboxes. */
export function planQuotas({ owner, source, target, mode, holds }: PlanRequest): Plan {
  const found: Only = { mode, steps: [], leftovers: [] };
  if (holds.quotas.length === 0) return found;
  const theirs = new Map(target.quotas.map((quota) => [quota.root, quota]));
  for (const quota of source.quotas) {
    const other = theirs.get(quota.root);
    theirs.delete(quota.root);
    if (other !== undefined && sameLimits(quota, other, holds)) continue;
    found.steps.push({ kind: "apply", command: { kind: "quota", quota } });
  }
  for (const root of theirs.keys()) {
    if (!isOwnedBy(root, owner)) continue; // it is there for others too
    only(
      found,
      { kind: "quota", name: root, text: "only the target has a quota here" },
      { kind: "apply", command: { kind: "unquota", root } },
    );
  }
  return found;
}

function sameLimits(left: Quota, right: Quota, holds: Holds): boolean {
  return holds.quotas.every((resource) => left.limits[resource] === right.limits[resource]);
}

function planSubscriptions({ source, target, mode, userid }: MetaRequest): Plan {
  const found: Only = { mode, steps: [], leftovers: [] };
  const theirs = new Set(target.subscriptions);
  for (const name of source.subscriptions) {
    if (theirs.delete(name)) continue;
    found.steps.push({ kind: "apply", command: { kind: "sub", userid, name } });
  }
  for (const name of theirs) {
    only(
      found,
      { kind: "subscription", name, text: "subscribed at the target only" },
      { kind: "apply", command: { kind: "unsub", userid, name } },
    );
  }
  return found;
}

function planSieve(request: MetaRequest): Plan {
  const { source, target, mode, holds, takesBytecode } = request;
  const found: Only = { mode, steps: [], leftovers: [] };
  if (holds.sieveMailboxes && areInMailbox(source, target)) return found;
  const alike = planScripts(request, found);
  if (takesBytecode === true) pushAll(found.steps, planBytecode(request, alike));
  planActive(request, found);
  return found;
}

/** Gives the names of the scripts that the target will have as the source has them. */
function planScripts({ source, target, mode, userid }: MetaRequest, found: Only): Set<string> {
  const theirs = new Map(scriptsOf(target.sieve).map((file) => [file.filename, file]));
  const alike = new Set<string>();
  for (const file of scriptsOf(source.sieve)) {
    const { filename, lastUpdate } = file;
    const other = theirs.get(filename);
    theirs.delete(filename);
    const isSame = other !== undefined && sameScript(file, other);
    if (!isSame && mode === "merge" && other !== undefined && other.lastUpdate > lastUpdate) {
      found.leftovers.push({ kind: "sieve", name: filename, text: "the target's is newer" });
      continue;
    }
    alike.add(filename);
    if (!isSame) found.steps.push({ kind: "sieve", filename, lastUpdate });
  }
  for (const filename of theirs.keys()) {
    only(
      found,
      { kind: "sieve", name: filename, text: "only the target has this script" },
      { kind: "apply", command: { kind: "unsieve", userid, filename } },
    );
  }
  return alike;
}

/** Bytecode, which follows its script: it is sent, stays and is removed with it. */
function planBytecode(
  { source, target, mode, userid }: MetaRequest,
  alike: ReadonlySet<string>,
): Step[] {
  const theirs = new Map(bytecodeIn(target.sieve).map((file) => [file.filename, file]));
  const wanted = new Set([...alike].map(bytecodeOf));
  const steps: Step[] = [];
  for (const file of bytecodeIn(source.sieve)) {
    const { filename, lastUpdate } = file;
    const other = theirs.get(filename);
    const isKept =
      other !== undefined &&
      (sameScript(file, other) || (mode === "merge" && other.lastUpdate > lastUpdate));
    if (wanted.has(filename) && !isKept) steps.push({ kind: "sieve", filename, lastUpdate });
  }
  if (mode === "merge") return steps;
  for (const filename of theirs.keys()) {
    if (wanted.has(filename)) continue;
    steps.push({ kind: "apply", command: { kind: "unsieve", userid, filename } });
  }
  return steps;
}

function planActive({ source, target, userid }: MetaRequest, found: Only): void {
  const [wanted, active] = [activeScript(source.sieve), activeScript(target.sieve)];
  if (wanted === active) return;
  if (wanted !== undefined) {
    const filename = `${wanted}.bc`;
    found.steps.push({ kind: "apply", command: { kind: "activateSieve", userid, filename } });
  } else {
    only(
      found,
      { kind: "sieve", name: `${active}${SCRIPT}`, text: "active at the target only" },
      { kind: "apply", command: { kind: "unactivateSieve", userid } },
    );
  }
}

/** Else the target's is old if it is older (sync-protocol.md 5.3). */
function sameScript(ours: SieveFile, theirs: SieveFile): boolean {
  return haveSameContent(ours, theirs) ?? theirs.lastUpdate >= ours.lastUpdate;
}

/** Never deletes, as Cyrus does not: a state of a mailbox that is gone harms nobody. */
function planSeen({ source, target, mode, userid }: MetaRequest): Plan {
  const found: Only = { mode, steps: [], leftovers: [] };
  const theirs = new Map(target.seen.map((seen) => [seen.uniqueid, seen]));
  const names = new Map(target.mailboxes.map(({ uniqueid, name }) => [uniqueid, name]));
  for (const seen of source.seen) {
    const { uniqueid } = seen;
    const other = theirs.get(uniqueid);
    if (sameSeen(seen, other)) continue;
    if (mode === "merge" && other !== undefined && wouldLose(seen, other)) {
      const text = "more was seen at the target, and later";
      found.leftovers.push({ kind: "seen", name: names.get(uniqueid) ?? uniqueid, text });
    } else found.steps.push({ kind: "apply", command: { kind: "seen", userid, seen } });
  }
  return found;
}

/** True for the same UIDs, in whatever ranges; what nobody can read is compared as text. */
function sameUids(ours: string, theirs: string): boolean {
  if (ours === theirs) return true;
  try {
    const [own, other] = [ours, theirs].map((text) =>
      printSequenceSet(joinRanges(parseSequenceSet(text))),
    );
    return own === other;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return false;
  }
}

/** True where the target's state is newer and tells of messages that the source's does not. */
function wouldLose(ours: SeenState, theirs: SeenState): boolean {
  if (theirs.lastChange <= ours.lastChange) return false;
  try {
    const [own, other] = [parseSequenceSet(ours.seenUids), parseSequenceSet(theirs.seenUids)];
    const both = joinRanges([...own, ...other]);
    return printSequenceSet(both) !== printSequenceSet(own);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return true; // what nobody can compare is not replaced
  }
}

function sameSeen(ours: SeenState, theirs: SeenState | undefined): boolean {
  return (
    theirs !== undefined &&
    ours.lastRead === theirs.lastRead &&
    ours.lastUid === theirs.lastUid &&
    ours.lastChange === theirs.lastChange &&
    sameUids(ours.seenUids, theirs.seenUids)
  );
}
