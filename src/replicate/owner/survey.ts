/** What a plan would do, counted before anything is done, for --dry-run and for the brake. */
import { plural } from "../../core/counts.ts";
import { isIntermediate, type MailboxState, type UserState } from "../../model/mailbox.ts";
import { parseName } from "../../model/names.ts";
import { DONE, type Outcome, ok, type Refusal } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { alone } from "../mailbox/alone.ts";
import { type Budget, braked } from "../mailbox/budget.ts";
import { type ContentCounts, prepareMailbox, type Work } from "../mailbox/prepare_mailbox.ts";
import type { ContentPlan } from "../plan/plan_mailbox.ts";
import type { Rename } from "../plan/renames.ts";
import type { MailboxStep, Plan, Step } from "../plan/steps.ts";
import { commandOf } from "./step_command.ts";

export interface SurveyedStep {
  readonly step: Step;
  /** The side that is written, where both are. */
  readonly side?: "a" | "b";
  /** Of a mailbox that could be read at both sides. */
  readonly content?: ContentPlan;
  readonly counts?: ContentCounts;
  readonly refusal?: Refusal;
}

/** Reads both sides of every mailbox step and all scripts to be sent, and writes nothing. */
export async function surveyPlan(plan: Plan, userid: string, work: Work): Promise<SurveyedStep[]> {
  const steps: SurveyedStep[] = [];
  for (const step of plan.steps) {
    const isMailbox = step.kind === "mailbox";
    steps.push(
      isMailbox ? await surveyMailbox(step, work) : await surveyCommand(step, userid, work.source),
    );
  }
  return steps;
}

/** Looks whether a step can be sent, and reads what it brings. */
export async function surveyCommand(
  step: Exclude<Step, MailboxStep>,
  userid: string,
  source: Place,
): Promise<SurveyedStep> {
  const command = await commandOf(step, userid, source);
  return command.kind === "refused" ? { step, refusal: command } : { step };
}

/** Reads the mailbox at both places: at the source as `name`, at the target as `nameBefore`. */
export async function surveyMailbox(step: MailboxStep, work: Work): Promise<SurveyedStep> {
  const prepare = () => prepareMailbox(step, step.nameBefore, work);
  const prepared = await alone(step.name, prepare, work);
  if (prepared.kind === "refused") return { step, refusal: prepared };
  const { content, counts } = prepared.value;
  return { step, content, counts };
}

export interface BrakeOptions {
  readonly target: Place;
  readonly theirs: UserState;
  /** It is given what the plan deletes, where that may be done. */
  readonly budget: Budget;
  /** Whose, for the refusal. */
  readonly who: string;
  /** The side, where both are written: then what the other records as deleted counts. */
  readonly at?: "A" | "B";
}

/**
 * Refuses as `permissionDenied` a plan that deletes too much, with what the run has deleted
 * already. What the source records as deleted is not counted: that is known, while what is merely
 * missing there may be missing because something is wrong with it.
 */
export async function brake(
  steps: readonly SurveyedStep[],
  { target, theirs, budget, who, at }: BrakeOptions,
): Promise<Outcome> {
  const { percent, spent } = budget;
  const all = theirs.mailboxes.length + spent.mailboxes;
  const where = at === undefined ? "" : ` at ${at}`;
  const deletesUser = steps.some(({ step }) => step.kind === "deleteUser");
  const whole = plural(all, "mailbox", "mailboxes");
  if (deletesUser && percent < 100) return braked(`${who} would be deleted, with ${whole}`);
  const goneIds = new Set(
    steps.flatMap(({ step }) => (at === undefined ? deletedBy(step) : movedAwayBy(step))),
  );
  const planned = new Map<string, number>();
  let lost = spent.messages;
  const add = (uniqueid: string, messages: number): void => {
    planned.set(uniqueid, (planned.get(uniqueid) ?? 0) + messages);
    lost += messages;
  };
  for (const { content } of steps)
    if (content?.deletes) add(content.state.uniqueid, content.deletes);
  const goneMailboxes = goneIds.size === 0 ? 0 : goneIds.size + spent.mailboxes;
  if (goneMailboxes * 100 > all * percent) {
    return braked(`${goneMailboxes} of ${whole} of ${who} would be deleted${where}`);
  }
  const [doomed, staying] = [
    theirs.mailboxes.filter(({ uniqueid }) => goneIds.has(uniqueid)),
    theirs.mailboxes.filter(({ uniqueid }) => !goneIds.has(uniqueid)),
  ];
  let messages = spent.messages;
  for (const state of doomed) {
    const living = await countLiving(target, state);
    if (living.kind === "refused") return living;
    add(state.uniqueid, living.value);
    messages += living.value;
  }
  const isAllowed = (): boolean => lost * 100 <= messages * percent;
  for (const state of staying) {
    if (planned.size === 0 || isAllowed()) break; // what is not counted cannot forbid it any more
    const living = await countLiving(target, state);
    if (living.kind === "refused") return living;
    messages += living.value;
  }
  if (planned.size > 0 && !isAllowed()) {
    return braked(`${lost} of ${plural(messages, "message")} of ${who} would be deleted${where}`);
  }
  budget.begin(planned);
  return DONE;
}

/** The mailbox that a step deletes for good. */
function deletedBy(step: Step): string[] {
  return step.kind === "delete" ? [step.state.uniqueid] : [];
}

/** The mailbox that a step moves to DELETED. A two-way run deletes only empty mailboxes. */
function movedAwayBy(step: Step): string[] {
  return step.kind === "rename" && isMoveToDeleted(step.rename) ? [step.rename.uniqueid] : [];
}

/** True for a rename that deletes. */
export function isMoveToDeleted({ oldName, newName }: Rename): boolean {
  return parseName(newName).isDeleted && !parseName(oldName).isDeleted;
}

/** Messages of a mailbox that are not expunged. */
async function countLiving(target: Place, state: MailboxState): Promise<Outcome<number>> {
  if (isIntermediate(state)) return ok(0);
  const reading = await target.readMailbox(state.name);
  if (reading.kind === "refused") return reading;
  let living = 0;
  for await (const batch of reading.value.records.batches()) {
    living += batch.filter(({ expunged }) => !expunged).length;
  }
  return ok(living);
}
