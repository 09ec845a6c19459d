/**
 * Two sides that are both written: what both are to hold is agreed upon (agree_user.ts,
 * conflicts.ts), and the one planner gives the steps that bring each of them there. In the end both
 * are read and planned again: nothing may be left.
 */
import { pushAll } from "../../core/lists.ts";
import type { MailboxState, UserState } from "../../model/mailbox.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import { DONE, type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import type { Place, PlaceSession } from "../../places/place.ts";
import { alone } from "../mailbox/alone.ts";
import { patient } from "../mailbox/patient.ts";
import type { Work } from "../mailbox/prepare_mailbox.ts";
import { runMailbox, type Sending } from "../mailbox/run_mailbox.ts";
import { isNobody, tellSurvey } from "../owner/bring_owner.ts";
import { type Effort, newSince, watchEffort } from "../owner/effort.ts";
import { identified } from "../owner/identified_place.ts";
import { type Pass, type RunOptions, runPasses } from "../owner/passes.ts";
import { commandOf } from "../owner/step_command.ts";
import { notListed } from "../owner/strangers.ts";
import {
  brake,
  isMoveToDeleted,
  type SurveyedStep,
  surveyCommand,
  surveyMailbox,
} from "../owner/survey.ts";
import { type FailedKind, keyOf, mailboxKey, type Tally } from "../owner/tally.ts";
import { unchanged } from "../owner/unchanged.ts";
import { commonHolds } from "../plan/holds.ts";
import { partitionFor } from "../plan/plan_owner.ts";
import { type Both, nameOf, OTHER_SIDE, SIDES, type Side } from "../plan/sides.ts";
import { type Decision, nameOfStep, namesMailbox, type Step } from "../plan/steps.ts";
import {
  type PairSending,
  type PairStep,
  type PairWork,
  type PreparedPair,
  preparePair,
  runPair,
  stepFor,
} from "./two_way_mailbox.ts";
import { type BringStep, planBoth, type TwoWayPlan } from "./two_way_plan.ts";

export interface TwoWaySide {
  readonly place: Place;
  /** Undefined for a dry run. */
  readonly session: PlaceSession | undefined;
}

/** What a place must keep for the rules to have a meaning. */
const NEEDED = [
  ...(["uniqueids", "uids", "uidvalidity"] as const),
  ...(["modseqs", "lastUpdated", "tombstones"] as const),
];

/** Brings both sides of `owner` to the same. A refusal is one of the whole owner. */
export async function reconcileOwner(
  owner: Owner,
  { a, b }: Both<TwoWaySide>,
  options: RunOptions,
): Promise<Outcome> {
  const places = { a: identified(a.place), b: identified(b.place) };
  const holds = commonHolds(a.place.holds, b.place.holds);
  const missing = NEEDED.filter((fact) => !holds[fact]);
  if (missing.length > 0) {
    const text = `both ways need places that keep ${missing.join(", ")}`;
    return refused("permissionDenied", `${a.place.locator} and ${b.place.locator}: ${text}`);
  }
  const sessions =
    a.session === undefined || b.session === undefined ? undefined : { a: a.session, b: b.session };
  return runPasses(options, (pass) => {
    const now = Math.floor(Date.now() / 1000);
    return reconcileOnce({ ...pass, owner, places, holds, now, sessions, options });
  });
}

interface TwoWayWork extends PairWork, Pass {
  readonly owner: Owner;
  /** Undefined for a dry run. */
  readonly sessions: Both<PlaceSession> | undefined;
  readonly options: RunOptions;
}

async function reconcileOnce(given: TwoWayWork): Promise<Outcome> {
  const { owner, sessions, tally, options } = given;
  const planned = await planBoth(given);
  if (planned.kind === "refused") return planned;
  const plan = planned.value;
  const work = { ...given, holds: plan.holds, places: plan.places };
  const { places } = plan;
  if (isNobody(plan.states.a) && isNobody(plan.states.b)) {
    const text = `There is no ${ownerName(owner)} at ${places.a.locator} and ${places.b.locator}`;
    return refused("nonexistent", text);
  }
  tally.plan([
    ...SIDES.flatMap((side) => plan.steps[side].map((step) => keyOf(step, side))),
    ...plan.mailboxes.map(({ name }) => name),
  ]);
  for (const { name, refusal } of plan.agreed.state.unreadable ?? []) tally.fail(name, refusal);
  for (const { setting, refusal } of SIDES.flatMap((side) => plan.states[side].flawed ?? []))
    tally.fail(setting, refusal, "setting");
  for (const { filename, refusal } of plan.left) tally.fail(filename, refusal, "other");
  for (const leftover of plan.agreed.leftovers) tally.leave(leftover);
  for (const decision of plan.agreed.decisions) tally.decide(decision);
  const { budgets } = options;
  if (sessions === undefined || !(budgets.a.isUnlimited && budgets.b.isUnlimited)) {
    const surveyed = await surveyBoth(plan, work);
    let allowed: Outcome = DONE;
    for (const side of SIDES) {
      if (allowed.kind === "refused") break;
      allowed = await brake(surveyed[side], {
        ...{ target: places[side], theirs: plan.states[side], budget: budgets[side] },
        ...{ who: ownerName(owner), at: nameOf(side) },
      });
    }
    const dryRun = sessions === undefined;
    if (dryRun || allowed.kind === "refused") {
      for (const { name } of plan.mailboxes) tally.ended(name);
      for (const decision of surveyed.decisions) tally.decide(decision);
      const all = [...surveyed.a, ...surveyed.b, ...surveyed.refused];
      tellSurvey(all, { tally, dryRun, allowed });
    }
    if (allowed.kind === "refused") return allowed;
  }
  if (sessions !== undefined) await doBoth(plan, work, sessions);
  return DONE;
}

interface SurveyedBoth extends Both<SurveyedStep[]> {
  /** Steps for mailboxes that cannot be read at both sides. */
  readonly refused: SurveyedStep[];
  readonly decisions: Decision[];
}

/** What each side would get. */
async function surveyBoth(plan: TwoWayPlan, work: TwoWayWork): Promise<SurveyedBoth> {
  const surveyed: SurveyedBoth = { a: [], b: [], refused: [], decisions: [] };
  for (const side of SIDES) {
    for (const step of plan.steps[side]) {
      const source = work.places[OTHER_SIDE[side]];
      surveyed[side].push({ ...(await surveyCommand(step, ownerName(work.owner), source)), side });
    }
  }
  for (const one of plan.mailboxes) {
    if (one.kind === "bring") {
      const { to, step, sourceName } = one;
      const counted = await surveyMailbox(
        { ...step, name: sourceName },
        bringWork(one, plan, work),
      );
      const list = counted.refusal === undefined ? surveyed[to] : surveyed.refused;
      list.push({ ...counted, step, side: to });
      continue;
    }
    const names = { a: one.states.a.name, b: one.states.b.name };
    const prepare = () => preparePair(one, names, work);
    const prepared = await alone(one.name, prepare, work.options);
    if (prepared.kind === "refused") {
      const { name, states } = one;
      const step = { kind: "mailbox", name, ours: states.a, theirs: states.b } as const;
      surveyed.refused.push({
        step: { ...step, nameBefore: states.b.name, records: "compare" },
        refusal: prepared,
      });
      continue;
    }
    pushAll(surveyed.decisions, prepared.value.agreement.decisions);
    for (const side of SIDES) {
      const { content, counts } = prepared.value[side];
      if (content.isNothing) continue;
      surveyed[side].push({
        step: stepFor(side, one, prepared.value[side]),
        content,
        counts,
        side,
      });
    }
  }
  return surveyed;
}

/** The work of bringing a mailbox from the side that has it. */
function bringWork(
  { to }: BringStep,
  { states }: TwoWayPlan,
  { places, holds, gone }: TwoWayWork,
): Work {
  return {
    ...{ source: places[OTHER_SIDE[to]], target: places[to], holds, mode: "merge", gone },
    partitionFor: (state) => partitionFor(state, states[to]),
  };
}

async function doBoth(
  plan: TwoWayPlan,
  work: TwoWayWork,
  sessions: Both<PlaceSession>,
): Promise<void> {
  const seen = { failed: false, written: false, brought: new Set<string>() };
  const effort = watchEffort(plan.mailboxes.map(messagesOf), work.tally.part);
  const doing: Doing = { plan, work, sending: sendingOf(plan, { work, sessions, effort }), seen };
  const steps = SIDES.flatMap((side) => plan.steps[side].map((step) => ({ side, step })));
  for (const { side, step } of steps) if (isMove(step)) await doCommand(side, step, doing);
  for (const [at, one] of plan.mailboxes.entries()) {
    effort.reach(at);
    const bring = () => (one.kind === "pair" ? doPair(one, doing) : doBring(one, doing));
    const done = await alone(one.name, bring, work.options);
    endMailbox(one, done.kind === "ok", work.tally);
    if (done.kind === "ok" && one.kind === "bring") seen.brought.add(one.step.ours.uniqueid);
    if (done.kind === "refused") fail(one.name, done, doing);
    if (done.kind === "refused" && done.cause !== undefined) await beginAnew(doing.sending);
  }
  for (const { side, step } of steps) if (!isMove(step)) await doCommand(side, step, doing);
  await proveBoth(doing);
}

function isMove({ kind }: Step): boolean {
  return kind === "rename" || kind === "delete";
}

/** What is new at either side. */
function messagesOf(one: PairStep | BringStep): number {
  if (one.kind === "bring") return newSince(one.step.ours, one.step.theirs);
  const { a, b } = one.states;
  return newSince(a, b) + newSince(b, a);
}

/** At which side it was told of is known only where its records were read. */
function endMailbox({ name }: PairStep | BringStep, isDone: boolean, tally: Tally): void {
  tally.ended(name);
  for (const side of SIDES) tally.ended(mailboxKey(name, side), isDone);
}

interface Failing extends Pick<Doing, "work" | "seen"> {
  readonly kind?: FailedKind;
}

/** After an error nobody knows what the sessions have staged. */
async function beginAnew({ sessions, staged }: PairSending): Promise<void> {
  for (const side of SIDES) {
    await sessions[side].restart();
    staged[side].clear();
  }
}

interface Doing {
  readonly plan: TwoWayPlan;
  readonly work: TwoWayWork;
  readonly sending: PairSending;
  /** What has happened so far. */
  readonly seen: {
    failed: boolean;
    written: boolean;
    /** Uniqueids of the mailboxes that were made. */
    readonly brought: Set<string>;
  };
}

function fail(name: string, refusal: Refusal, { work, seen, kind }: Failing): void {
  seen.failed = true;
  work.tally.fail(name, refusal, kind);
}

interface SendingOptions {
  readonly work: TwoWayWork;
  readonly sessions: Both<PlaceSession>;
  readonly effort: Effort;
}

function sendingOf(
  { agreed }: TwoWayPlan,
  { work, sessions, effort }: SendingOptions,
): PairSending {
  const { tally, options } = work;
  const names = agreed.state.mailboxes.filter(({ lastUid }) => lastUid > 0).map(({ name }) => name);
  return {
    ...{ ...work, sessions, staged: { a: new Map(), b: new Map() }, budgets: options.budgets },
    reservable: { a: names, b: names },
    sent: async (messages, bytes) => {
      tally.sent(messages, bytes);
      effort.add(messages);
      await options.sent(messages, bytes);
    },
  };
}

async function doCommand(
  side: Side,
  step: TwoWayPlan["steps"]["a"][number],
  doing: Doing,
): Promise<void> {
  const { plan, work, sending } = doing;
  const { owner, places, tally } = work;
  const taken = takenBy(step, plan.states[side]);
  if (taken !== undefined && !(await isUnchanged(taken, { side, doing }))) return;
  // A script is fetched from the side that has the later one.
  const command = await commandOf(step, ownerName(owner), places[OTHER_SIDE[side]]);
  if (command.kind === "ok") tally.step({ step, side });
  const done =
    command.kind === "refused"
      ? command
      : await patient(() => sending.sessions[side].apply(command.value));
  const kind = namesMailbox(step) ? "mailbox" : "other";
  tally.ended(keyOf(step, side), done.kind === "ok");
  if (done.kind === "refused") fail(nameOfStep(step), done, { ...doing, kind });
  else if (step.kind === "rename" && taken !== undefined) {
    const planned = { ...taken, name: step.rename.newName };
    if (await isUnchanged(planned, { side, doing })) work.options.budgets[side].spendMailbox(taken);
    else await takeBack(step, { side, doing });
  }
}

/** The mailbox that a step takes away: one without mail gives way, one deleted is moved. */
function takenBy(step: Step, { mailboxes }: UserState): MailboxState | undefined {
  if (step.kind === "delete") return step.state;
  if (step.kind !== "rename" || !isMoveToDeleted(step.rename)) return undefined;
  return mailboxes.find(({ name }) => name === step.rename.oldName);
}

/** Where it has changed since, the next pass sees to it. */
async function isUnchanged(
  taken: MailboxState,
  { side, doing }: { readonly side: Side; readonly doing: Doing },
): Promise<boolean> {
  const looked = await unchanged(taken, doing.work.places[side]);
  if (looked.kind === "ok") return true;
  fail(taken.name, looked, doing);
  if (looked.reason === "changed") doing.work.gone.add(taken.name);
  return false;
}

/** A message that came before the move to DELETED has moved with it: that is undone. */
async function takeBack(
  { rename, command }: Extract<Step, { kind: "rename" }>,
  { side, doing }: { readonly side: Side; readonly doing: Doing },
): Promise<void> {
  if (command.kind !== "rename") return;
  const back = { ...command, oldName: rename.newName, newName: rename.oldName };
  const done = await doing.sending.sessions[side].apply(back);
  if (done.kind === "refused") fail(rename.newName, done, doing);
}

async function doPair(pair: PairStep, { work, sending, seen }: Doing): Promise<Outcome> {
  const begins = (prepared: PreparedPair): void => {
    seen.written = true;
    for (const side of SIDES) {
      const { content, counts } = prepared[side];
      if (content.isNothing) continue;
      work.tally.step({ step: stepFor(side, pair, prepared[side]), content, counts, side });
    }
  };
  const done = await runPair(pair, { ...sending, begins });
  if (done.kind === "refused") return done;
  for (const decision of done.value?.decisions ?? []) work.tally.decide(decision);
  return DONE;
}

async function doBring(one: BringStep, { plan, work, sending, seen }: Doing): Promise<Outcome> {
  const { to, step } = one;
  const { sessions, reservable, staged, budgets, sent } = sending;
  let isTold = false;
  const oneWay: Sending = {
    ...{ ...bringWork(one, plan, work), sent, session: sessions[to] },
    ...{ reservable: reservable[to], staged: staged[to], budget: budgets[to] },
    begins: (begun, { content, counts }) => {
      seen.written = true;
      if (!isTold) work.tally.step({ step: begun, content, counts, side: to });
      isTold = true;
    },
  };
  return runMailbox(step, oneWay);
}

/**
 * Plans again from what both sides now have: any step but of mailboxes has not come about.
 * Mailboxes were proven when they were written; those that differ again have changed since, or were
 * made, perhaps by the server itself as a place in the tree for another: they are for the next
 * pass.
 */
async function proveBoth(doing: Doing): Promise<void> {
  const { work, seen } = doing;
  const planned = await planBoth(work);
  if (planned.kind === "refused") {
    fail(ownerName(work.owner), planned, { ...doing, kind: "other" });
    return;
  }
  const { mailboxes, steps, places } = planned.value;
  for (const one of mailboxes) {
    if (one.kind === "bring" && seen.brought.has(one.step.ours.uniqueid))
      fail(one.name, notListed(one.name, places[one.to]), doing);
  }
  if (seen.failed) return; // what failed has been told
  if (seen.written) for (const { name } of mailboxes) work.gone.add(name);
  for (const name of new Set(SIDES.flatMap((side) => steps[side].map(nameOfStep)))) {
    const text = `${name} is not at both sides what was agreed upon`;
    fail(name, refused("checksum", text), doing);
  }
}
