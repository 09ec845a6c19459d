/**
 * Mailboxes one after the other, in such a way that both ends have something to do: while one is applied at the target
 * the messages of the next are sent, of as many as there is time for, and the one before is proven. The target answers
 * in the order in which it was asked.
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

  constructor(sending: Sending, events: LineEvents) {
    this.#sending = sending;
    this.#events = events;
  }

  /** Begins the mailbox of `step`; it is applied when those before it are, or by `settle` at the latest. */
  async take(step: MailboxStep, moved: ReadonlySet<string>): Promise<void> {
    const begun = await beginMoved(step, this.#sending, moved);
    if (begun.kind === "refused") {
      this.#events.told(step, begun);
      return;
    }
    this.#waiting.push(begun.value);
    this.#mustFlush ||= begun.value.prepared.counts.messages > 0;
    while (this.#waiting.length > 0 && (this.#hasRoom || this.#isFull)) await this.#applyNext();
  }

  /** Waits until all that were taken are applied, and has them proven. */
  async settle(): Promise<void> {
    while (this.#waiting.length > 0) await this.#applyNext();
    while (this.#applying.length > 0) await this.#settleFirst();
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
    await Promise.race([sent.promise, answer]);
  }

  /** Takes the answer that is due next. */
  async #settleFirst(): Promise<void> {
    const [first] = this.#applying;
    if (first === undefined) return;
    const { begun } = first;
    const answer = await first.answer;
    this.#applying.shift();
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
