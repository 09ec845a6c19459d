/**
 * Mailboxes one after the other, in such a way that both ends have something to do: while one is applied at the target
 * the messages of the next are sent, and the one before is proven.
 */
import { type Outcome, refused } from "../model/outcome.ts";
import type { Leftover, MailboxStep } from "./plan.ts";
import {
  applyMailbox,
  type BegunMailbox,
  beginMailbox,
  endMailbox,
  type Sending,
} from "./run_mailbox.ts";

export interface LineEvents {
  readonly leave: (leftover: Leftover) => void;
  /** How a mailbox came out. */
  readonly told: (step: MailboxStep, done: Outcome) => void;
}

/** The mailboxes of one owner. It must be ended, whatever was thrown. */
export class MailboxLine {
  readonly #sending: Sending;
  readonly #events: LineEvents;
  #applying: { readonly begun: BegunMailbox; readonly answer: Promise<Outcome> } | undefined;
  #proof: Promise<void> | undefined;

  constructor(sending: Sending, events: LineEvents) {
    this.#sending = sending;
    this.#events = events;
  }

  /** Brings the mailbox of `step`; its answer is waited for when the next one is at the same point, or by `settle`. */
  async take(step: MailboxStep, moved: ReadonlySet<string>): Promise<void> {
    const begun = await beginMoved(step, this.#sending, moved);
    await this.settle();
    if (begun.kind === "refused") {
      this.#events.told(step, begun);
      return;
    }
    const sent = Promise.withResolvers<void>();
    const answer = applyMailbox(begun.value, this.#sending, sent.resolve);
    answer.catch(() => undefined); // it is thrown where it is waited for
    this.#applying = { begun: begun.value, answer };
    await Promise.race([sent.promise, answer]);
  }

  /** Waits for the answer of the mailbox that was taken last, and has it proven. */
  async settle(): Promise<void> {
    const applying = this.#applying;
    if (applying === undefined) return;
    const { begun } = applying;
    const answer = await applying.answer;
    this.#applying = undefined;
    const done = await endMailbox(begun, answer, this.#sending);
    await this.#proof;
    this.#proof = undefined;
    const { leave, told } = this.#events;
    if (done.kind === "refused") {
      told(begun.step, done);
      return;
    }
    for (const leftover of done.value.content.leftovers) leave(leftover);
    this.#proof = done.value.prove().then((outcome) => told(begun.step, outcome));
    // What it throws is thrown where it is waited for.
    this.#proof.catch(() => undefined);
  }

  /** Waits for what is under way; throws what the last proof has thrown. */
  async end(): Promise<void> {
    await Promise.allSettled([this.#applying?.answer]);
    await this.#proof;
  }
}

/** Begins a mailbox; one that was renamed a moment ago may have new numbers. */
async function beginMoved(
  step: MailboxStep,
  sending: Sending,
  moved: ReadonlySet<string>,
): Promise<Outcome<BegunMailbox>> {
  if (!moved.has(step.ours.uniqueid)) return beginMailbox(step, sending);
  const now = await sending.target.mailboxes([step.name]);
  if (now.kind === "refused") return now;
  const [theirs] = now.value;
  if (theirs === undefined || theirs.uniqueid !== step.theirs?.uniqueid) {
    return refused("moved", `${step.name} could not be renamed at the target`);
  }
  return beginMailbox({ ...step, theirs }, sending);
}
