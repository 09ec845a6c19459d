/**
 * Mailboxes one after the other, in such a way that both ends have something to do: while one is applied at the target
 * the messages of the next are sent, and the one before is proven. One that fails stops no other.
 */
import { type Outcome, refused } from "../model/outcome.ts";
import { alone } from "./alone.ts";
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
  /** An error was thrown: nobody knows what the session has staged. */
  #isUnsure = false;

  constructor(sending: Sending, events: LineEvents) {
    this.#sending = sending;
    this.#events = events;
  }

  /** Brings the mailbox of `step`; its answer is waited for when the next one is at the same point, or by `settle`. */
  async take(step: MailboxStep, moved: ReadonlySet<string>): Promise<void> {
    let begun = await this.#begin(step, { moved });
    await this.settle();
    // What it has sent is forgotten with the rest; it was told of when it was begun.
    if ((await this.#recover()) && begun.kind === "ok") {
      begun = await this.#begin(step, { moved, attempt: 2 });
    }
    if (begun.kind === "refused") {
      this.#events.told(step, begun);
      return;
    }
    const sent = Promise.withResolvers<void>();
    const answer = applyMailbox(begun.value, this.#sending, sent.resolve);
    answer.catch(() => undefined); // it is thrown where it is waited for
    this.#applying = { begun: begun.value, answer };
    await Promise.race([sent.promise, answer.catch(() => undefined)]);
  }

  /** Does a step that is no mailbox, after those before it. */
  async other(name: string, work: () => Promise<Outcome>): Promise<Outcome> {
    await this.settle();
    const done = await this.#alone(name, work);
    await this.#recover();
    return done;
  }

  /** Waits for the answer of the mailbox that was taken last, and has it proven. */
  async settle(): Promise<void> {
    const applying = this.#applying;
    if (applying === undefined) return;
    this.#applying = undefined;
    const { begun, answer } = applying;
    const { step } = begun;
    const done = await this.#alone(step.name, async () =>
      endMailbox(begun, await answer, this.#sending),
    );
    await this.#proof;
    this.#proof = undefined;
    const { leave, told } = this.#events;
    if (done.kind === "refused") {
      told(step, done);
      return;
    }
    for (const leftover of done.value.content.leftovers) leave(leftover);
    this.#proof = alone(step.name, done.value.prove).then((outcome) => told(step, outcome));
    // What it throws is thrown where it is waited for.
    this.#proof.catch(() => undefined);
  }

  /** Waits for what is under way; throws what the last proof has thrown. */
  async end(): Promise<void> {
    await Promise.allSettled([this.#applying?.answer]);
    await this.#proof;
  }

  /** Begins a mailbox. If the connection breaks meanwhile it may be the fault of the one before. */
  async #begin(step: MailboxStep, options: MoveOptions): Promise<Outcome<BegunMailbox>> {
    try {
      return await this.#alone(step.name, () => beginMoved(step, this.#sending, options));
    } catch (error) {
      await this.settle();
      throw error;
    }
  }

  async #alone<Value>(name: string, work: () => Promise<Outcome<Value>>): Promise<Outcome<Value>> {
    const done = await alone(name, work, this.#sending);
    if (done.kind === "refused" && done.cause !== undefined) this.#isUnsure = true;
    return done;
  }

  /** After an error: begins with nothing staged. True if that was needed. */
  async #recover(): Promise<boolean> {
    if (!this.#isUnsure) return false;
    this.#isUnsure = false;
    await this.#sending.session.restart();
    this.#sending.staged.clear();
    return true;
  }
}

interface MoveOptions {
  /** Uniqueids of mailboxes that were renamed a moment ago. */
  readonly moved: ReadonlySet<string>;
  readonly attempt?: number;
}

/** Begins a mailbox; one that was renamed a moment ago may have new numbers. */
async function beginMoved(
  step: MailboxStep,
  sending: Sending,
  { moved, attempt }: MoveOptions,
): Promise<Outcome<BegunMailbox>> {
  if (!moved.has(step.ours.uniqueid)) return beginMailbox(step, sending, attempt);
  const now = await sending.target.mailboxes([step.name]);
  if (now.kind === "refused") return now;
  const [theirs] = now.value;
  if (theirs === undefined || theirs.uniqueid !== step.theirs?.uniqueid) {
    return refused("moved", `${step.name} could not be renamed at the target`);
  }
  return beginMailbox({ ...step, theirs }, sending, attempt);
}
