/**
 * Mailboxes one after the other, in such a way that both ends have something to do: while one is applied at the target
 * the messages of the next are sent, of as many as there is time for, and the one before is proven. The target answers
 * in the order in which it was asked. One that fails stops no other.
 */
import { type Outcome, refused } from "../../model/outcome.ts";
import type { Leftover, MailboxStep } from "../plan/steps.ts";
import { alone } from "./alone.ts";
import {
  applyMailbox,
  type BegunMailbox,
  beginMailbox,
  endMailbox,
  type Sending,
} from "./run_mailbox.ts";

/** What may wait for its turn, its messages sent: mailboxes, and UIDs in them, for their indexes are in memory. */
const AHEAD_MAILBOXES = 16;
const AHEAD_UIDS = 100_000;
/** Mailboxes whose records are sent and whose answers are not there: the target reads one while it applies the other. */
const IN_FLIGHT = 2;

export interface LineEvents {
  readonly leave: (leftover: Leftover) => void;
  /** How a mailbox came out. */
  readonly told: (step: MailboxStep, done: Outcome) => void;
}

interface Applying {
  readonly begun: BegunMailbox;
  readonly answer: Promise<Outcome>;
  isAnswered: boolean;
}

/** The mailboxes of one owner. It must be ended, whatever was thrown. */
export class MailboxLine {
  readonly #sending: Sending;
  readonly #events: LineEvents;
  /** Begun, in the order in which they are to be applied. */
  readonly #waiting: BegunMailbox[] = [];
  readonly #applying: Applying[] = [];
  /** Messages have been sent, and whether they have come is answered behind all that is applied. */
  #mustFlush = false;
  #proof: Promise<void> | undefined;
  /** Uniqueids of mailboxes that were renamed a moment ago. */
  #moved: ReadonlySet<string> = new Set();
  /** An error was thrown: nobody knows what the session has staged. */
  #isUnsure = false;

  constructor(sending: Sending, events: LineEvents) {
    this.#sending = sending;
    this.#events = events;
  }

  /** Begins the mailbox of `step`; it is applied when those before it are, or by `settle` at the latest. */
  async take(step: MailboxStep, moved: ReadonlySet<string>): Promise<void> {
    this.#moved = moved;
    await this.#enter(step);
    await this.#recover();
    while (this.#waiting.length > 0 && (this.#hasRoom || this.#isFull)) {
      await this.#applyNext();
      await this.#recover();
    }
  }

  /** Does a step that is no mailbox, after those before it. */
  async other(name: string, work: () => Promise<Outcome>): Promise<Outcome> {
    await this.settle();
    const done = await this.#alone(name, work);
    await this.#recover();
    return done;
  }

  /** Waits until all that were taken are applied, and has them proven. */
  async settle(): Promise<void> {
    while (this.#waiting.length + this.#applying.length > 0) {
      await (this.#waiting.length > 0 ? this.#applyNext() : this.#settleFirst());
      await this.#recover();
    }
  }

  /** Waits for what is under way; throws what the last proof has thrown. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#applying.map(({ answer }) => answer));
    await this.#proof;
  }

  /** Another one can be applied without waiting. */
  get #hasRoom(): boolean {
    const unanswered = this.#applying.filter(({ isAnswered }) => !isAnswered).length;
    return unanswered < (this.#mustFlush ? 1 : IN_FLIGHT);
  }

  get #isFull(): boolean {
    const uids = this.#waiting.reduce(
      (sum, { prepared }) => sum + prepared.reading.state.lastUid,
      0,
    );
    return this.#waiting.length > AHEAD_MAILBOXES || uids > AHEAD_UIDS;
  }

  /** Sends the records of the mailbox that waits longest. */
  async #applyNext(): Promise<void> {
    while (!this.#hasRoom || this.#applying[0]?.isAnswered === true) await this.#settleFirst();
    if (this.#isUnsure) return;
    const begun = this.#waiting.shift();
    if (begun === undefined) return;
    this.#mustFlush = false;
    const sent = Promise.withResolvers<void>();
    const answer = applyMailbox(begun, this.#sending, sent.resolve);
    const applying: Applying = { begun, answer, isAnswered: false };
    const answered = () => {
      applying.isAnswered = true;
    };
    answer.then(answered, answered); // what it throws is thrown where it is waited for
    this.#applying.push(applying);
    await Promise.race([sent.promise, answer.catch(() => undefined)]);
  }

  /** Takes the answer that is due next. */
  async #settleFirst(): Promise<void> {
    const [first] = this.#applying;
    if (first === undefined) return;
    this.#applying.shift();
    const { begun, answer } = first;
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

  async #enter(step: MailboxStep): Promise<void> {
    const begun = await this.#begin(step);
    if (begun.kind === "refused") {
      this.#events.told(step, begun);
      return;
    }
    this.#waiting.push(begun.value);
    this.#mustFlush ||= begun.value.prepared.counts.messages > 0;
  }

  async #begin(step: MailboxStep): Promise<Outcome<BegunMailbox>> {
    try {
      return await this.#alone(step.name, () => beginMoved(step, this.#sending, this.#moved));
    } catch (error) {
      // If the connection broke it may be the fault of one that is being applied: that one's error is thrown then.
      while (this.#applying.length > 0) await this.#settleFirst();
      throw error;
    }
  }

  async #alone<Value>(name: string, work: () => Promise<Outcome<Value>>): Promise<Outcome<Value>> {
    const done = await alone(name, work, this.#sending);
    if (done.kind === "refused" && done.cause !== undefined) this.#isUnsure = true;
    return done;
  }

  /** After an error: goes on with nothing staged, so what has not had its own answer is begun again. */
  async #recover(): Promise<void> {
    const again: MailboxStep[] = [];
    while (this.#isUnsure || again.length > 0) {
      if (this.#isUnsure) {
        again.unshift(...(await this.#takeBack()));
        this.#isUnsure = false;
        await this.#sending.session.restart();
        this.#sending.staged.clear();
      }
      const step = again.shift();
      if (step !== undefined) await this.#enter(step);
    }
  }

  /** Empties the line: those in it that have an answer of their own are ended, and the others given. */
  async #takeBack(): Promise<MailboxStep[]> {
    const back: MailboxStep[] = [];
    for (let [first] = this.#applying; first !== undefined; [first] = this.#applying) {
      const [answered] = await Promise.allSettled([first.answer]);
      if (answered.status === "fulfilled") {
        await this.#settleFirst();
      } else {
        back.push(first.begun.step);
        this.#applying.shift();
      }
    }
    return [...back, ...this.#waiting.splice(0).map(({ step }) => step)];
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
