/**
 * Does a plan: brings one owner from a place to another. One mailbox that fails is told and stops no other. What
 * the target has in the end is proven against what was read of the source.
 */
import type { AppError } from "../../core/errors.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { isIntermediate, type UnreadableMailbox, type UserState } from "../../model/mailbox.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import { DONE, isGone, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { Place, PlaceSession, WritablePlace } from "../../places/place.ts";
import { patient } from "../mailbox/patient.ts";
import { MailboxLine } from "../mailbox/pipeline.ts";
import type { Sending, Work } from "../mailbox/run_mailbox.ts";
import { commonHolds } from "../plan/holds.ts";
import { partitionFor, planOwner } from "../plan/plan_owner.ts";
import {
  type Decision,
  type Leftover,
  type MailboxStep,
  type Mode,
  nameOfStep,
  namesMailbox,
  type Plan,
  type Step,
} from "../plan/steps.ts";
import { identified } from "./identified_place.ts";
import { readOwnerState, withHidden } from "./owner_state.ts";
import { brake, type SurveyedStep, surveyPlan } from "./survey.ts";
import { unchanged } from "./unchanged.ts";

export interface ReplicateEvents {
  /** Before a step is done, or instead of it in a dry run. */
  readonly step: (step: SurveyedStep) => void;
  readonly leftover: (leftover: Leftover) => void;
  /** What was decided where both sides are written and disagree. */
  readonly decided: (decision: Decision) => void;
  /** A step that could not be done, or a mailbox that could not be read. */
  readonly failed: (name: string, refusal: Refusal, isMailbox: boolean) => void;
  /** So much of the steps of the owner is done. */
  readonly part?: (done: number, of: number) => void;
  /** Bytes of messages have been sent. */
  readonly sent?: (bytes: number) => void;
}

export interface ReplicateOptions {
  readonly mode: Mode;
  /** Nothing is written, and no session is needed. */
  readonly dryRun: boolean;
  /** Per cent of the target's messages or mailboxes that may be deleted. */
  readonly allowDelete: number;
  readonly events: ReplicateEvents;
  /** After each batch of messages; may wait, or throw where the time is up. */
  readonly sent: (messages: number, bytes: number) => Promise<void>;
  /** Names that are left out, for the connection was lost over each of them again and again, and how. */
  readonly broken?: ReadonlyMap<string, AppError>;
}

export interface ReplicateResult {
  readonly steps: number;
  readonly leftovers: number;
  readonly failures: number;
  readonly messages: number;
  readonly bytes: number;
}

/** The two places, and the session that writes; none for a dry run. */
export interface Sides {
  readonly source: Place;
  readonly target: Place & Pick<WritablePlace, "finished">;
  /** Gives the session, once there is something to write; none for a dry run. */
  readonly session: (() => Promise<PlaceSession>) | undefined;
}

/** How often an owner is begun again whose mailboxes are renamed or deleted meanwhile; Cyrus' own number. */
const PASSES = 3;

/** Brings what the source holds of `owner` to the target. A refusal is one of the whole owner. */
export async function replicateOwner(
  owner: Owner,
  sides: Sides,
  options: ReplicateOptions,
): Promise<Outcome<ReplicateResult>> {
  const known = { ...sides, source: identified(sides.source) };
  const tally = newTally(options);
  for (let pass = 1; ; pass++) {
    tally.begin();
    const gone = new Set<string>();
    const uniqueids = new Map<string, string>();
    const done = await replicateOnce(owner, known, { options, tally, gone, uniqueids });
    const mayRepeat = !options.dryRun && pass < PASSES;
    if (done.kind === "ok" && gone.size > 0 && mayRepeat) continue;
    tally.tell();
    if (done.kind === "refused") return done;
    if (!options.dryRun) await sides.target.finished?.(owner, tally.missing(uniqueids));
    return ok(tally.result());
  }
}

interface Pass {
  readonly options: ReplicateOptions;
  readonly tally: Tally;
  /** Mailboxes that the source had when the pass began and has no more. */
  readonly gone: Set<string>;
  /** Those of the source's mailboxes by name; added to. */
  readonly uniqueids: Map<string, string>;
}

async function replicateOnce(
  owner: Owner,
  { source, target, session }: Sides,
  { options, tally, gone, uniqueids }: Pass,
): Promise<Outcome> {
  const { mode, dryRun, allowDelete } = options;
  const read = await readOwnerState(source, owner);
  if (read.kind === "refused") return read;
  const theirs = await readOwnerState(target, owner, read.value.mailboxes);
  if (theirs.kind === "refused") return theirs;
  const ours =
    mode === "mirror" ? await withHidden(read.value, theirs.value, { source, owner }) : read.value;
  const who = ownerName(owner);
  if (isNobody(ours) && isNobody(theirs.value)) {
    return refused("nonexistent", `There is no ${who} at ${source.locator}`);
  }
  const holds = commonHolds(source.holds, target.holds);
  const request = { owner, mode, source: ours, target: theirs.value, holds };
  const plan = planOwner(request);
  const work: Work = {
    ...{ source, target, holds, mode, gone, broken: options.broken },
    partitionFor: (state) => partitionFor(state, theirs.value),
  };
  for (const { name, uniqueid } of [...ours.mailboxes, ...(ours.unreadable ?? [])]) {
    if (uniqueid !== undefined) uniqueids.set(name, uniqueid);
  }
  for (const place of [ours, theirs.value]) {
    for (const { name, refusal } of place.unreadable ?? []) tally.fail(name, refusal);
  }
  for (const { name, refusal } of ours.unreadable ?? []) if (isGone(refusal)) gone.add(name);
  for (const leftover of plan.leftovers) tally.leave(leftover);
  if (dryRun || mode === "mirror") {
    const surveyed = await surveyPlan(plan, work);
    const braked = await brake(surveyed, { target, theirs: theirs.value, allowDelete, who });
    if (dryRun || session === undefined) tellSurvey(surveyed, tally);
    if (braked.kind === "refused") return braked;
  }
  if (!dryRun && session !== undefined && plan.steps.length > 0) {
    await doSteps(plan, { ...request, work, session: await session(), tally, options });
  }
  return DONE;
}

/** True for a user who has no mailbox there, not even one that cannot be read. */
export function isNobody({ mailboxes, unreadable = [] }: UserState): boolean {
  return mailboxes.length + unreadable.length === 0;
}

export interface Tally {
  /** Forgets what an earlier pass has left and failed: this one looks at it again. */
  readonly begin: () => void;
  /** Tells what the last pass has left and failed. */
  readonly tell: () => void;
  readonly step: (step: SurveyedStep) => void;
  readonly decide: (decision: Decision) => void;
  readonly leave: (leftover: Leftover) => void;
  /** `isMailbox` unless it is said: of a script, a user … the name is something else. */
  readonly fail: (name: string, refusal: Refusal, isMailbox?: boolean) => void;
  readonly sent: (messages: number, bytes: number) => void;
  readonly result: () => ReplicateResult;
  /** What has failed, with the uniqueids of those that have one. */
  readonly missing: (uniqueids: ReadonlyMap<string, string>) => readonly UnreadableMailbox[];
}

export function newTally({ events }: Pick<ReplicateOptions, "events">): Tally {
  const count = { steps: 0, messages: 0, bytes: 0 };
  const leftovers: Leftover[] = [];
  const failures: { name: string; refusal: Refusal; isMailbox: boolean }[] = [];
  return {
    begin: () => {
      leftovers.length = 0;
      failures.length = 0;
    },
    tell: () => {
      for (const leftover of leftovers) events.leftover(leftover);
      for (const { name, refusal, isMailbox } of failures) events.failed(name, refusal, isMailbox);
    },
    step: (step) => {
      count.steps += 1;
      events.step(step);
    },
    decide: (decision) => events.decided(decision),
    leave: (leftover) => void leftovers.push(leftover),
    fail: (name, refusal, isMailbox = true) => void failures.push({ name, refusal, isMailbox }),
    sent: (messages, bytes) => {
      events.sent?.(bytes);
      count.messages += messages;
      count.bytes += bytes;
    },
    result: () => ({ ...count, leftovers: leftovers.length, failures: failures.length }),
    missing: (uniqueids) =>
      failures.map((one) => {
        const uniqueid = uniqueids.get(one.name);
        return uniqueid === undefined ? one : { ...one, uniqueid };
      }),
  };
}

function tellSurvey(surveyed: readonly SurveyedStep[], tally: Tally): void {
  for (const one of surveyed) {
    if (one.refusal !== undefined) failStep(one.step, one.refusal, tally);
    else if (one.content?.isNothing !== true) tally.step(one);
    for (const leftover of one.content?.leftovers ?? []) tally.leave(leftover);
  }
}

interface Doing {
  readonly owner: Owner;
  readonly mode: Mode;
  readonly source: UserState;
  readonly target: UserState;
  readonly work: Work;
  readonly session: PlaceSession;
  readonly tally: Tally;
  readonly options: ReplicateOptions;
}

async function doSteps(plan: Plan, doing: Doing): Promise<void> {
  const { work, session, tally, target, options } = doing;
  const [moved, begun] = [new Set<string>(), new Set<string>()];
  let hasFailed = false;
  const sending: Sending = {
    ...{ ...work, session, staged: new Map() },
    reservable: target.mailboxes.filter(({ lastUid }) => lastUid > 0).map(({ name }) => name),
    sent: async (messages, bytes) => {
      tally.sent(messages, bytes);
      await options.sent(messages, bytes);
    },
    // One that has to be sent again is told of once.
    begins: (step, { content, counts }) => {
      if (!begun.has(step.name)) tally.step({ step, content, counts });
      begun.add(step.name);
    },
  };
  const told = (step: Step, done: Outcome): void => {
    if (done.kind === "ok") return;
    hasFailed = true;
    failStep(step, done, tally);
  };
  const line = new MailboxLine(sending, { leave: tally.leave, told });
  try {
    for (const [at, step] of plan.steps.entries()) {
      options.events.part?.(at, plan.steps.length);
      if (step.kind === "mailbox") {
        // What has its name at the target stays, and is for the next pass.
        if (!work.gone.has(step.name)) await line.take(step, moved);
        continue;
      }
      told(step, await line.other(nameOfStep(step), () => doCommand(step, doing)));
      if (step.kind === "rename") moved.add(step.rename.uniqueid);
    }
    await line.settle();
  } finally {
    await line.end();
  }
  await proveOwner(plan, doing, hasFailed);
}

async function doCommand(
  step: Exclude<Step, MailboxStep>,
  { owner, work, session, tally }: Doing,
): Promise<Outcome> {
  if (step.kind === "delete") {
    const looked = await unchanged(step.state, work.target);
    if (looked.kind === "refused") {
      if (looked.reason === "changed") work.gone.add(step.state.name);
      return looked;
    }
  }
  tally.step({ step });
  const command = await commandOf(step, ownerName(owner), work.source);
  if (command.kind === "refused") return command;
  const done = await patient(() => session.apply(command.value));
  // A place in the tree goes by itself with the last mailbox below it.
  const isGoneAlready = step.kind === "delete" && isIntermediate(step.state) && isNothing(done);
  return isGoneAlready ? DONE : done;
}

function isNothing(done: Outcome): boolean {
  return done.kind === "refused" && done.reason === "nonexistent";
}

/** What a step asks the target for. */
export async function commandOf(
  step: Exclude<Step, MailboxStep>,
  userid: string,
  source: Place,
): Promise<Outcome<ApplyCommand>> {
  switch (step.kind) {
    case "rename":
    case "apply":
      return ok(step.command);
    case "delete":
      return ok({ kind: "unmailbox", name: step.state.name });
    case "deleteUser":
      return ok({ kind: "unuser", userid });
    case "sieve": {
      const { filename, lastUpdate } = step;
      const script = await source.sieveScript(userid, filename);
      if (script.kind === "refused") return script;
      return ok({ kind: "sieve", userid, filename, lastUpdate, content: script.value });
    }
  }
}

/** Plans again from what the target now has: anything left to do has not come about. */
async function proveOwner(done: Plan, doing: Doing, hasFailed: boolean): Promise<void> {
  const { owner, mode, source, work, tally } = doing;
  const proven = new Set(
    done.steps.flatMap((step) => (step.kind === "mailbox" ? [step.ours.uniqueid] : [])),
  );
  const now = await readOwnerState(work.target, owner, source.mailboxes);
  if (now.kind === "refused") {
    tally.fail(ownerName(owner), now, false);
    return;
  }
  const plan = planOwner({ owner, mode, source, target: now.value, holds: work.holds });
  for (const step of plan.steps) {
    // Mailboxes that were sent are proven one by one, and what failed has been told.
    if (step.kind === "mailbox" ? proven.has(step.ours.uniqueid) : hasFailed) continue;
    const text = `${nameOfStep(step)} is not at the target what it is at the source`;
    failStep(step, refused("checksum", text), tally);
  }
}

function failStep(step: Step, refusal: Refusal, tally: Tally): void {
  tally.fail(nameOfStep(step), refusal, namesMailbox(step));
}
