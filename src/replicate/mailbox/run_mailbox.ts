/**
 * One mailbox, done: prepared, its messages sent, its records applied, the result verified. Where
 * the target refuses because it is not as it was thought to be, it is asked again and every record
 * is compared (sync-protocol.md 5.6).
 */
import { DONE, type Outcome, ok, type Refusal } from "../../model/outcome.ts";
import type { ContentPlan } from "../plan/plan_mailbox.ts";
import type { MailboxStep } from "../plan/steps.ts";
import { applyContent, rebuildMailbox } from "./apply_mailbox.ts";
import type { Budget } from "./budget.ts";
import { patient } from "./patient.ts";
import { type Prepared, prepareMailbox, type Work } from "./prepare_mailbox.ts";
import { type Parcel, sendParcel, type Transport } from "./send_messages.ts";
import { verifyMailbox } from "./verify_mailbox.ts";

export interface Sending extends Work, Omit<Transport, "source"> {
  readonly budget: Budget;
  /** Before anything of this mailbox is written. */
  readonly begins: (step: MailboxStep, prepared: Prepared) => void;
}

/** Attempts for a mailbox: from the third on without the annotation sum, the last without SINCE. */
const ATTEMPTS = 4;
const WITHOUT_ANNOTATION_SUM = 3;

/** A mailbox that was brought. */
export interface Brought {
  /** What was carried out. */
  readonly content: ContentPlan;
  /** Looks at it at the target; must be called, and may go on while the next mailbox is sent. */
  readonly prove: () => Promise<Outcome>;
}

/** A mailbox whose messages are on their way to the target, and its records not yet. */
export interface BegunMailbox {
  readonly step: MailboxStep;
  readonly attempt: number;
  readonly prepared: Prepared;
}

/** The messages of a mailbox that the target may lack. */
export function parcelOf({ content, messages }: Prepared): Parcel {
  return { messages, partition: content.state.partition ?? "default" };
}

/** Sends its records. From when `sent` is called, the next mailbox may be begun. */
export async function applyMailbox(
  { step, attempt, prepared }: BegunMailbox,
  sending: Sending,
  sent?: () => void,
): Promise<Outcome> {
  const { content } = prepared;
  if (content.isNothing) return DONE;
  const { session, budget } = sending;
  const flushed = await flushMessages(sending);
  if (flushed.kind === "refused") return flushed;
  if (attempt === 1) sending.begins(step, prepared);
  const state =
    attempt < WITHOUT_ANNOTATION_SUM ? content.state : { ...content.state, syncCrcAnnot: 0 };
  if (content.rebuild !== undefined) {
    return rebuildMailbox(prepared, state, { ...sending, old: content.rebuild });
  }
  const since = attempt < ATTEMPTS ? step.theirs?.highestmodseq : undefined;
  return applyContent(prepared, state, { session, budget, since, sent });
}

/** Takes the answer to its records, and tries again where that may help. */
export async function endMailbox(
  first: BegunMailbox,
  answer: Outcome,
  sending: Sending,
): Promise<Outcome<Brought>> {
  let begun = first;
  let done = await patient(() => applyMailbox(first, sending), answer);
  while (done.kind === "refused") {
    if (!mayTryAgain(done) || begun.attempt === ATTEMPTS) return done;
    const step = await lookAgain(begun.step, sending);
    if (step.kind === "refused") return step;
    const again = await beginMailbox(step.value, sending, begun.attempt + 1);
    if (again.kind === "refused") return again;
    const next = again.value;
    begun = next;
    done = await patient(() => applyMailbox(next, sending));
  }
  const { step, prepared } = begun;
  const { content, reading } = prepared;
  if (content.isNothing) return ok({ content, prove: () => Promise.resolve(DONE) });
  const { target, holds } = sending;
  const records = step.records === "compare";
  return ok({ content, prove: () => verifyMailbox(reading, { target, content, holds, records }) });
}

/** Brings one mailbox, and proves it. */
export async function runMailbox(step: MailboxStep, sending: Sending): Promise<Outcome> {
  const begun = await beginMailbox(step, sending, 1);
  if (begun.kind === "refused") return begun;
  const answer = await applyMailbox(begun.value, sending);
  const done = await endMailbox(begun.value, answer, sending);
  return done.kind === "refused" ? done : done.value.prove();
}

async function beginMailbox(
  step: MailboxStep,
  sending: Sending,
  attempt: number,
): Promise<Outcome<BegunMailbox>> {
  const prepared = await prepareMailbox(step, step.name, sending);
  if (prepared.kind === "refused") return prepared;
  const sent = await sendParcel(parcelOf(prepared.value), sending);
  return sent.kind === "refused" ? sent : ok({ step, attempt, prepared: prepared.value });
}

/** True if the target was only found in another state than was planned for. */
export function mayTryAgain({ reason }: Refusal): boolean {
  return reason === "changed" || reason === "checksum";
}

/** The same step by what the target has now, every record of it. */
async function lookAgain(step: MailboxStep, { target }: Work): Promise<Outcome<MailboxStep>> {
  const states = await target.mailboxes([step.name]);
  if (states.kind === "refused") return states;
  const [theirs] = states.value;
  return ok({ ...step, theirs, records: theirs === undefined ? "all" : "compare" });
}

/** `ok` when the target has taken every message sent since this was last asked. */
export async function flushMessages({
  session,
  staged,
}: Pick<Transport, "session" | "staged">): Promise<Outcome> {
  const flushed = await session.flush();
  if (flushed.kind === "refused") staged.clear(); // nobody knows what of it the target has
  return flushed;
}
