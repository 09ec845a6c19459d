/** What a plan would come to before anything is done: for --dry-run, and for the brake on deleting. */
import { isIntermediate, type MailboxState, type UserState } from "../../model/mailbox.ts";
import { parseName } from "../../model/names.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { alone } from "../mailbox/alone.ts";
import { type ContentCounts, prepareMailbox, type Work } from "../mailbox/run_mailbox.ts";
import type { ContentPlan } from "../plan/plan_mailbox.ts";
import type { Rename } from "../plan/renames.ts";
import type { MailboxStep, Plan, Step } from "../plan/steps.ts";

export interface SurveyedStep {
  readonly step: Step;
  /** The side that is written, where both are. */
  readonly side?: "a" | "b";
  /** Of a mailbox that could be read at both sides. */
  readonly content?: ContentPlan;
  readonly counts?: ContentCounts;
  readonly refusal?: Refusal;
}

/** Reads both sides of every mailbox step, and writes nothing. */
export async function surveyPlan(plan: Plan, work: Work): Promise<SurveyedStep[]> {
  const steps: SurveyedStep[] = [];
  for (const step of plan.steps) {
    steps.push(step.kind === "mailbox" ? await surveyMailbox(step, work) : { step });
  }
  return steps;
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
  /** Per cent of the target's messages or mailboxes that may be deleted. */
  readonly allowDelete: number;
  /** Whose, for the refusal. */
  readonly who: string;
  /** The side, where both are written. Neither is a mere copy then: what the other records as deleted counts. */
  readonly at?: "A" | "B";
}

/**
 * Refuses as `permissionDenied` a plan that deletes too much. What the source records as deleted is not counted: that is
 * known, while what is merely missing there may be missing because something is wrong with it.
 */
export async function brake(
  steps: readonly SurveyedStep[],
  { target, theirs, allowDelete, who, at }: BrakeOptions,
): Promise<Outcome> {
  const all = theirs.mailboxes.length;
  const where = at === undefined ? "" : ` at ${at}`;
  const deletesUser = steps.some(({ step }) => step.kind === "deleteUser");
  if (deletesUser && allowDelete < 100) {
    return refused("permissionDenied", `${who} would be deleted, with ${all} mailboxes`);
  }
  const gone = new Set(
    steps.flatMap(({ step }) => (at === undefined ? deletedBy(step) : movedAwayBy(step))),
  );
  const deletes = steps.reduce((sum, { content }) => sum + (content?.deletes ?? 0), 0);
  if (gone.size === 0 && deletes === 0) return DONE;
  if (gone.size * 100 > all * allowDelete) {
    const text = `${gone.size} of ${all} mailboxes of ${who} would be deleted${where}`;
    return refused("permissionDenied", text);
  }
  const messages = await countLiving(target, theirs.mailboxes);
  if (messages.kind === "refused") return messages;
  const doomed = theirs.mailboxes.filter(({ uniqueid }) => gone.has(uniqueid));
  const inGone = await countLiving(target, doomed);
  if (inGone.kind === "refused") return inGone;
  const lost = deletes + inGone.value;
  if (lost * 100 <= messages.value * allowDelete) return DONE;
  const text = `${lost} of ${messages.value} messages of ${who} would be deleted${where}`;
  return refused("permissionDenied", text);
}

/** The mailbox that a step deletes for good. */
function deletedBy(step: Step): string[] {
  return step.kind === "delete" ? [step.state.uniqueid] : [];
}

/** The mailbox that a step moves to DELETED, as the other side has done. Only empty ones are deleted otherwise. */
function movedAwayBy(step: Step): string[] {
  return step.kind === "rename" && isMoveToDeleted(step.rename) ? [step.rename.uniqueid] : [];
}

/** True for a rename that deletes. */
export function isMoveToDeleted({ oldName, newName }: Rename): boolean {
  return parseName(newName).isDeleted && !parseName(oldName).isDeleted;
}

async function countLiving(
  target: Place,
  mailboxes: readonly MailboxState[],
): Promise<Outcome<number>> {
  let living = 0;
  for (const { name } of mailboxes.filter((state) => !isIntermediate(state))) {
    const reading = await target.readMailbox(name);
    if (reading.kind === "refused") return reading;
    for await (const batch of reading.value.records.batches()) {
      living += batch.filter(({ expunged }) => !expunged).length;
    }
  }
  return ok(living);
}
