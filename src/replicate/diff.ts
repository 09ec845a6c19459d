/**
 * In what two places differ about an owner: the plan of a mirror read as a list of differences,
 * then the records of each mailbox that differs, then, if asked for, the bytes of every message.
 * Neither place is changed.
 */
import type { MailboxState, UserState } from "../model/mailbox.ts";
import { type Owner, ownerName } from "../model/names.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../model/outcome.ts";
import type { MailRecord } from "../model/record.ts";
import { type Holds, type MailboxReading, type Place, releaseMessage } from "../places/place.ts";
import { alone } from "./mailbox/alone.ts";
import { type Effort, watchEffort } from "./owner/effort.ts";
import { identified } from "./owner/identified_place.ts";
import { readOwnerState, withHidden } from "./owner/owner_state.ts";
import { withScriptsAlike } from "./owner/script_forms.ts";
import type { FailedKind } from "./owner/tally.ts";
import { compareRecords, isLiving, textOf, uidOf } from "./plan/compare_records.ts";
import { commonHolds, holdsOf } from "./plan/holds.ts";
import { planOwner } from "./plan/plan_owner.ts";
import { SIDES } from "./plan/sides.ts";
import { type MailboxStep, nameOfStep, type Step } from "./plan/steps.ts";
import { differingFields, differingSums, stateToSend } from "./plan/target_state.ts";

export interface Difference {
  readonly kind: "user" | "mailbox" | "state" | "record" | "message" | "setting";
  /** An internal name, or that of a script, a quota root, a user. */
  readonly name: string;
  readonly uid?: number;
  readonly text: string;
}

export interface DiffOptions {
  /** Every record is compared and every message is read at both sides. */
  readonly deep: boolean;
  readonly difference: (difference: Difference) => void;
  /** What could not be compared: a mailbox unless another `kind` is said. */
  readonly failed: (name: string, refusal: Refusal, kind?: FailedKind) => void;
  /** So much of what is to be compared of the owner is done. */
  readonly part?: (done: number, of: number) => void;
}

/** What was looked at. */
export interface DiffResult {
  readonly mailboxes: number;
  readonly messages: number;
}

/** Tells every difference. A refusal is one of the whole owner. */
export async function diffOwner(
  owner: Owner,
  places: { readonly source: Place; readonly target: Place },
  options: DiffOptions,
): Promise<Outcome<DiffResult>> {
  const [one, other] = [identified(places.source), identified(places.target)];
  const isAsked = owner.kind === "shared" && !one.holds.userList;
  const known = isAsked ? await readOwnerState(other, owner) : undefined;
  if (known?.kind === "refused") return known;
  const read = await readOwnerState(one, owner, known?.value);
  if (read.kind === "refused") return read;
  const found = known ?? (await readOwnerState(other, owner, read.value));
  if (found.kind === "refused") return found;
  const { a, b } = await withScriptsAlike(
    owner,
    { a: { place: one, state: read.value }, b: { place: other, state: found.value } },
    { beside: SIDES },
  );
  const { place: source } = a;
  const { place: target, state: theirs } = b;
  const ours = await withHidden(a.state, theirs, { source, owner });
  const who = ownerName(owner);
  if (countOf(ours) + countOf(theirs) === 0) {
    return refused("nonexistent", `There is no ${who} at ${source.locator} and ${target.locator}`);
  }
  for (const { unreadable = [], salvaged = [], flawed = [] } of [ours, theirs]) {
    for (const { name, refusal } of [...unreadable, ...salvaged]) options.failed(name, refusal);
    for (const { setting, refusal } of flawed) options.failed(setting, refusal, "setting");
  }
  const holds = holdsOf(commonHolds(source.holds, target.holds), [ours, theirs]);
  const request = {
    owner,
    mode: "mirror",
    source: ours,
    target: theirs,
    holds,
  } as const;
  const { steps } = planOwner(request);
  const names = new Set(ours.mailboxes.map(({ name }) => name));
  const same = options.deep ? samePairs(ours, theirs, holds) : [];
  const differing = new Set(steps.flatMap((step) => pairOf(step)?.ours.uniqueid ?? []));
  const others = same.filter((pair) => !differing.has(pair.ours.uniqueid));
  const weights = [...steps.map(pairOf), ...others].map(messagesOf);
  const effort = watchEffort(weights, (done, of) => options.part?.(done, of));
  const result = { mailboxes: Math.max(countOf(ours), countOf(theirs)), messages: 0 };
  const work = { source, target, holds, options, result, effort };
  for (const [at, step] of steps.entries()) {
    effort.reach(at);
    const difference = differenceOf(step, names);
    if (difference !== undefined) options.difference(difference);
    const pair = pairOf(step);
    if (pair !== undefined) await diffMailbox(pair, work);
  }
  for (const [at, pair] of others.entries()) {
    effort.reach(steps.length + at);
    await diffMailbox(pair, work);
  }
  return ok(work.result);
}

function countOf({ mailboxes, unreadable = [] }: UserState): number {
  return mailboxes.length + unreadable.length;
}

/** The difference that a step of the plan would end; undefined where that is inside a mailbox. */
function differenceOf(step: Step, names: ReadonlySet<string>): Difference | undefined {
  const name = nameOfStep(step);
  switch (step.kind) {
    case "mailbox":
      return step.theirs === undefined ? { kind: "mailbox", name, text: "only at A" } : undefined;
    case "rename":
      // A ring is resolved by way of a name that neither has.
      if (!names.has(name)) return undefined;
      return { kind: "mailbox", name, text: `has the name ${step.rename.oldName} at B` };
    case "delete":
      return { kind: "mailbox", name, text: "only at B" };
    case "deleteUser":
      return { kind: "user", name, text: "only at B" };
    case "sieve":
      return { kind: "setting", name, text: "this script differs" };
    case "apply":
      return { kind: "setting", name, text: SETTING_TEXTS[step.command.kind] ?? "differs" };
  }
}

const SETTING_TEXTS: Readonly<Record<string, string>> = {
  quota: "the quota differs",
  unquota: "has a quota at B only",
  sub: "is subscribed at A only",
  unsub: "is subscribed at B only",
  seen: "what was seen differs",
  unsieve: "this script is at B only",
  activateSieve: "this script is active at A only",
  unactivateSieve: "a script is active at B only",
};

interface Pair {
  readonly step?: MailboxStep;
  readonly ours: MailboxState;
  readonly theirs: MailboxState;
}

/** The mailbox of a step that both have and that differs. */
function pairOf(step: Step): Pair | undefined {
  if (step.kind !== "mailbox" || step.theirs === undefined) return undefined;
  return { step, ours: step.ours, theirs: step.theirs };
}

/** The messages, at most, that are looked at in both mailboxes of a pair. */
function messagesOf(pair: Pair | undefined): number {
  return pair === undefined ? 0 : pair.ours.lastUid + pair.theirs.lastUid;
}

function samePairs(ours: UserState, theirs: UserState, holds: Holds): Pair[] {
  const key = ({ uniqueid, name }: MailboxState): string => (holds.uniqueids ? uniqueid : name);
  const byKey = new Map(theirs.mailboxes.map((state) => [key(state), state]));
  return ours.mailboxes.flatMap((state) => {
    const other = byKey.get(key(state));
    return other === undefined ? [] : [{ ours: state, theirs: other }];
  });
}

interface DiffWork {
  readonly source: Place;
  readonly target: Place;
  readonly holds: Holds;
  readonly options: DiffOptions;
  readonly result: { mailboxes: number; messages: number };
  readonly effort: Effort;
}

/** Compares a mailbox; one that cannot be is told of, and the rest goes on. */
async function diffMailbox(pair: Pair, work: DiffWork): Promise<void> {
  const { name } = pair.ours;
  const done = await alone(name, async () => {
    await compareMailbox(pair, work);
    return DONE;
  });
  if (done.kind === "refused") work.options.failed(name, done);
}

async function compareMailbox({ step, ours, theirs }: Pair, work: DiffWork): Promise<void> {
  const { source, target, holds, options } = work;
  const { name } = ours;
  const wanted = stateToSend(ours, { holds, theirs, partition: theirs.partition ?? "" });
  const fields: string[] = differingFields(wanted, theirs, holds);
  const left = await source.readMailbox(name);
  const right = await target.readMailbox(step?.nameBefore ?? theirs.name);
  for (const side of [left, right]) if (side.kind === "refused") options.failed(name, side);
  if (left.kind === "refused" || right.kind === "refused") return;
  let count = 0;
  for await (const one of compareRecords(left.value.records, right.value.records, holds)) {
    if (!isLiving(one)) continue;
    count += 1;
    options.difference({ kind: "record", name, uid: uidOf(one), text: textOf(one) });
  }
  // Sums of records that are alike: how annotations are summed up differs between versions.
  const sums = differingSums(left.value.state, right.value.state);
  if (count === 0 && sums.includes("syncCrc")) fields.push("syncCrc");
  if (fields.length > 0) options.difference({ kind: "state", name, text: fields.join(", ") });
  if (options.deep) {
    await readMessages("A", left.value, { place: source, work });
    await readMessages("B", right.value, { place: target, work });
  }
}

/** Reads every living message: a place gives out only what has the SHA-1 that the record says. */
async function readMessages(
  side: "A" | "B",
  { state, records }: MailboxReading,
  { place, work }: { readonly place: Place; readonly work: DiffWork },
): Promise<void> {
  const { name: mailbox, uniqueid, partition } = state;
  for await (const batch of records.batches()) {
    for (const record of batch) {
      if (record.expunged) continue;
      const { uid, guid } = record;
      const content = await place.message({ mailbox, uniqueid, partition, uid, guid });
      work.result.messages += 1;
      work.effort.add(1);
      if (content.kind === "ok") {
        await releaseMessage(content.value);
        continue;
      }
      tellMessage({ side, mailbox, record, refusal: content }, work.options);
    }
  }
}

interface BadMessage {
  readonly side: "A" | "B";
  readonly mailbox: string;
  readonly record: MailRecord;
  readonly refusal: Refusal;
}

function tellMessage({ side, mailbox, record, refusal }: BadMessage, options: DiffOptions): void {
  const { uid } = record;
  const isData = refusal.reason === "damaged" || refusal.reason === "nonexistent";
  if (!isData) options.failed(mailbox, refusal);
  else
    options.difference({
      kind: "message",
      name: mailbox,
      uid,
      text: `at ${side}: ${refusal.text}`,
    });
}
