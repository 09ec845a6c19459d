/**
 * Does a plan: brings one owner from a place to another. One mailbox that fails is told and stops
 * no other. What the target has in the end is proven against what was read of the source.
 */
import { isIntermediate, type UserState } from "../../model/mailbox.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import { DONE, isGone, type Outcome, ok, refused } from "../../model/outcome.ts";
import type { Place, PlaceSession, WritablePlace } from "../../places/place.ts";
import { patient } from "../mailbox/patient.ts";
import { MailboxPipeline } from "../mailbox/pipeline.ts";
import type { Work } from "../mailbox/prepare_mailbox.ts";
import type { Sending } from "../mailbox/run_mailbox.ts";
import { counterpartOf } from "../plan/counterpart.ts";
import { commonHolds, holdsOf } from "../plan/holds.ts";
import { partitionFor, planOwner } from "../plan/plan_owner.ts";
import { type MailboxStep, type Mode, nameOfStep, type Plan, type Step } from "../plan/steps.ts";
import { compiledScripts, type LeftScript } from "./compiled_scripts.ts";
import { newSince, watchEffort } from "./effort.ts";
import { identified } from "./identified_place.ts";
import { readOwnerState, takenBy, withHidden } from "./owner_state.ts";
import { type Pass, type RunOptions, runPasses } from "./passes.ts";
import { withScriptsAlike } from "./script_forms.ts";
import { commandOf } from "./step_command.ts";
import { notListed, refuseStranger, withoutMoved } from "./strangers.ts";
import { brake, type SurveyedStep, surveyPlan } from "./survey.ts";
import { keyOf, type Tally } from "./tally.ts";
import { unchanged } from "./unchanged.ts";

export interface ReplicateOptions extends RunOptions {
  readonly mode: Mode;
  /** Whom the target has under the user's name must be a copy of him. */
  readonly mustBeCopy?: boolean;
  /** The source gives a part of each owner: what else the target has is not looked at. */
  readonly isPart?: boolean;
}

/** The two places, and the session that writes; none for a dry run. */
export interface Sides {
  readonly source: Place;
  readonly target: Place & Pick<WritablePlace, "finished">;
  /** Gives the session, once there is something to write; none for a dry run. */
  readonly session: (() => Promise<PlaceSession>) | undefined;
}

/** Brings what the source holds of `owner` to the target. A refusal is one of the whole owner. */
export async function replicateOwner(
  owner: Owner,
  sides: Sides,
  options: ReplicateOptions,
): Promise<Outcome> {
  const known = { ...sides, source: identified(sides.source) };
  let uniqueids = new Map<string, string>();
  const done = await runPasses(options, (pass) => {
    uniqueids = new Map();
    return replicateOnce(owner, known, { ...pass, options, uniqueids });
  });
  if (done.kind === "refused" || options.dryRun) return done;
  await sides.target.finished?.(owner, options.tally.missing(uniqueids));
  return DONE;
}

interface OneWayPass extends Pass {
  readonly options: ReplicateOptions;
  /** Those of the source's mailboxes by name; added to. */
  readonly uniqueids: Map<string, string>;
}

/** What both sides hold of an owner, made comparable. */
interface Comparable {
  readonly source: Place;
  readonly target: Place;
  readonly ours: UserState;
  readonly theirs: UserState;
  /** All that the target has of the owner, also where only a part of him is brought. */
  readonly allTheirs: UserState;
  readonly left: readonly LeftScript[];
}

async function readSides(
  owner: Owner,
  { source, target }: Omit<Sides, "session">,
  { mode, isPart = false }: ReplicateOptions,
): Promise<Outcome<Comparable>> {
  const read = await readOwnerState(source, owner);
  if (read.kind === "refused") return read;
  const found = await readOwnerState(target, owner, read.value);
  if (found.kind === "refused") return found;
  const theirs = isPart ? counterpartOf(read.value, found.value) : found.value;
  const places = { a: source, b: target };
  const both = { a: read.value, b: theirs };
  const moved = await withoutMoved(both, { owner, places, sides: ["a"] });
  if (moved.kind === "refused") return moved;
  const { a, b } = await withScriptsAlike(
    owner,
    { a: { place: source, state: moved.value.a }, b: { place: target, state: theirs } },
    { beside: ["a"] },
  );
  const alike = { source: a.place, target: b.place, theirs: b.state };
  const taken = takenBy(b.place, a.state);
  const known =
    mode === "mirror" ? await withHidden(taken, b.state, { source: a.place, owner }) : taken;
  const compiled = await compiledScripts(known, { owner, ...alike });
  return ok({ ...alike, ...compiled, allTheirs: found.value });
}

async function replicateOnce(
  owner: Owner,
  sides: Sides,
  { options, tally, gone, uniqueids }: OneWayPass,
): Promise<Outcome> {
  const { mode, dryRun, budgets, isPart = false } = options;
  const read = await readSides(owner, sides, options);
  if (read.kind === "refused") return read;
  const { source, target, ours, theirs, allTheirs, left } = read.value;
  const who = ownerName(owner);
  if (isNobody(ours) && (isPart || isNobody(theirs))) {
    const what = isPart ? `no such mailbox of ${who}` : `no ${who}`;
    return refused("nonexistent", `There is ${what} at ${source.locator}`);
  }
  if (options.mustBeCopy === true) {
    const same = refuseStranger(ours, theirs, { owner, target });
    if (same.kind === "refused") return same;
  }
  const holds = holdsOf(commonHolds(source.holds, target.holds), [ours, theirs]);
  const takesBytecode = target.bytecode !== undefined;
  const request = { owner, mode, source: ours, target: theirs, holds, takesBytecode };
  const plan = planOwner(request);
  tally.plan(plan.steps.map((step) => keyOf(step)));
  const work: Work = {
    ...{ source, target, holds, mode, gone, broken: options.broken },
    partitionFor: (state) => partitionFor(state, allTheirs),
  };
  for (const { name, uniqueid } of [...ours.mailboxes, ...(ours.unreadable ?? [])]) {
    if (uniqueid !== undefined) uniqueids.set(name, uniqueid);
  }
  for (const place of [ours, theirs]) {
    for (const { name, refusal } of [place.unreadable ?? [], place.salvaged ?? []].flat()) {
      tally.fail(name, refusal);
    }
    for (const { setting, refusal } of place.flawed ?? []) tally.fail(setting, refusal, "setting");
  }
  for (const { name, refusal } of ours.unreadable ?? []) if (isGone(refusal)) gone.add(name);
  for (const { filename, refusal } of left) tally.fail(filename, refusal, "other");
  for (const leftover of plan.leftovers) tally.leave(leftover);
  if (dryRun || (mode === "mirror" && !budgets.b.isUnlimited)) {
    const surveyed = await surveyPlan(plan, ownerName(owner), work);
    const braking = { target, theirs: theirs, budget: budgets.b, who };
    const allowed = mode === "mirror" ? await brake(surveyed, braking) : DONE;
    if (dryRun || allowed.kind === "refused") tellSurvey(surveyed, { tally, dryRun, allowed });
    if (allowed.kind === "refused") return allowed;
  }
  if (!dryRun && sides.session !== undefined && plan.steps.length > 0) {
    const session = await sides.session();
    await doSteps(plan, { ...request, allTheirs, work, session, tally, options });
  }
  return DONE;
}

/** True for a user who has no mailbox there, not even one that cannot be read. */
export function isNobody({ mailboxes, unreadable = [] }: UserState): boolean {
  return mailboxes.length + unreadable.length === 0;
}

export interface SurveyEnd {
  readonly tally: Tally;
  readonly dryRun: boolean;
  /** Whether the brake lets it pass. */
  readonly allowed: Outcome;
}

/** Ends a run with its survey: a dry run tells each step, and where it is braked all are left. */
export function tellSurvey(
  surveyed: readonly SurveyedStep[],
  { tally, dryRun, allowed }: SurveyEnd,
): void {
  for (const one of surveyed) {
    const { step, side, refusal, content } = one;
    for (const leftover of content?.leftovers ?? []) tally.leave(leftover);
    if (refusal !== undefined) {
      tally.failStep(step, refusal, side);
      continue;
    }
    const isNothing = content?.isNothing === true;
    if (dryRun && !isNothing) tally.step(one);
    if (dryRun || isNothing) tally.ended(keyOf(step, side));
    if (allowed.kind === "refused" && !isNothing) tally.leaveStep(keyOf(step, side));
  }
}

interface Doing {
  readonly owner: Owner;
  readonly mode: Mode;
  readonly source: UserState;
  readonly target: UserState;
  readonly allTheirs: UserState;
  readonly work: Work;
  readonly session: PlaceSession;
  readonly tally: Tally;
  readonly options: ReplicateOptions;
}

async function doSteps(plan: Plan, doing: Doing): Promise<void> {
  const { work, session, tally, allTheirs, options } = doing;
  const [moved, begun, brought] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let hasFailed = false;
  let done = 0;
  const sending: Sending = {
    ...{ ...work, session, staged: new Map(), budget: options.budgets.b },
    reservable: allTheirs.mailboxes.filter(({ lastUid }) => lastUid > 0).map(({ name }) => name),
    sent: async (messages, bytes) => {
      tally.sent(messages, bytes);
      effort.add(messages);
      await options.sent(messages, bytes);
    },
    // A mailbox that has to be sent again is told of once.
    begins: (step, { content, counts }) => {
      if (!begun.has(step.name)) tally.step({ step, content, counts });
      begun.add(step.name);
    },
  };
  const told = (step: Step, outcome: Outcome): void => {
    if (outcome.kind === "ok") {
      tally.ended(keyOf(step));
      if (step.kind === "mailbox") brought.add(step.ours.uniqueid);
    } else tally.failStep(step, outcome);
    hasFailed ||= outcome.kind === "refused";
  };
  const effort = watchEffort(plan.steps.map(messagesOf), tally.part);
  const part = (left: number) => effort.reach(done - left);
  const pipeline = new MailboxPipeline(sending, { leave: tally.leave, told, part });
  try {
    for (const run of runsOf(plan.steps)) {
      if (Array.isArray(run)) {
        done += run.length;
        await pipeline.run(run, moved);
        continue;
      }
      done += 1;
      part(1);
      told(run, await pipeline.other(nameOfStep(run), () => doCommand(run, doing)));
      if (run.kind === "rename") moved.add(run.rename.uniqueid);
    }
  } finally {
    await pipeline.end();
  }
  await proveOwner(plan, doing, { hasFailed, brought });
}

function messagesOf(step: Step): number {
  return step.kind === "mailbox" ? newSince(step.ours, step.theirs) : 0;
}

/**
 * The steps in their order: mailboxes that follow each other together, any other step by itself.
 */
function runsOf(steps: readonly Step[]): (MailboxStep[] | Exclude<Step, MailboxStep>)[] {
  const runs: (MailboxStep[] | Exclude<Step, MailboxStep>)[] = [];
  for (const step of steps) {
    const last = runs.at(-1);
    if (step.kind !== "mailbox") runs.push(step);
    else if (Array.isArray(last)) last.push(step);
    else runs.push([step]);
  }
  return runs;
}

async function doCommand(
  step: Exclude<Step, MailboxStep>,
  { owner, work, session, tally, options }: Doing,
): Promise<Outcome> {
  if (step.kind === "delete") {
    const looked = await unchanged(step.state, work.target);
    if (looked.kind === "refused") {
      if (looked.reason === "changed") work.gone.add(step.state.name);
      return looked;
    }
  }
  const command = await commandOf(step, ownerName(owner), work.source);
  if (command.kind === "refused") return command;
  tally.step({ step });
  const done = await patient(() => session.apply(command.value));
  if (step.kind === "delete" && done.kind === "ok") options.budgets.b.spendMailbox(step.state);
  // A place in the tree goes by itself with the last mailbox below it.
  const isGoneAlready = step.kind === "delete" && isIntermediate(step.state) && isNothing(done);
  return isGoneAlready ? DONE : done;
}

function isNothing(done: Outcome): boolean {
  return done.kind === "refused" && done.reason === "nonexistent";
}

/** Plans again from what the target now has: anything left to do has not come about. */
async function proveOwner(
  done: Plan,
  doing: Doing,
  { hasFailed, brought }: { readonly hasFailed: boolean; readonly brought: ReadonlySet<string> },
): Promise<void> {
  const { owner, mode, source, work, tally, options } = doing;
  const proven = new Set(
    done.steps.flatMap((step) => (step.kind === "mailbox" ? [step.ours.uniqueid] : [])),
  );
  const now = await readOwnerState(work.target, owner, source);
  if (now.kind === "refused") {
    tally.fail(ownerName(owner), now, "other");
    return;
  }
  const { b } = await withScriptsAlike(owner, {
    a: { place: work.source, state: source },
    b: {
      place: work.target,
      state: options.isPart === true ? counterpartOf(source, now.value) : now.value,
    },
  });
  const plan = planOwner({
    ...{ owner, mode, source, target: b.state, holds: work.holds },
    takesBytecode: work.target.bytecode !== undefined,
  });
  for (const step of plan.steps) {
    if (step.kind === "mailbox" && step.theirs === undefined && brought.has(step.ours.uniqueid)) {
      tally.failStep(step, notListed(step.name, work.target));
      continue;
    }
    // Mailboxes that were sent are proven one by one, and what failed has been told.
    if (step.kind === "mailbox" ? proven.has(step.ours.uniqueid) : hasFailed) continue;
    const text = `${nameOfStep(step)} is not at the target what it is at the source`;
    tally.failStep(step, refused("checksum", text));
  }
}
