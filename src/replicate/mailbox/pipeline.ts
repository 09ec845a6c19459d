/**
 * The mailboxes of one owner in four stages, which work at the same time so that neither place
 * waits for the other: the mailbox is *read* at the source, the messages that the target lacks are
 * *sent*, the records are *applied*, and what the target has then is *proven*. The queues between
 * the stages are bounded. The target answers in the order in which it was asked. One mailbox that
 * fails stops no other.
 */
import { pushAll } from "../../core/lists.ts";
import { DONE, type Outcome, ok, refused } from "../../model/outcome.ts";
import type { Leftover, MailboxStep } from "../plan/steps.ts";
import { alone } from "./alone.ts";
import { prepareMailbox } from "./prepare_mailbox.ts";
import {
  applyMailbox,
  type BegunMailbox,
  endMailbox,
  parcelOf,
  type Sending,
} from "./run_mailbox.ts";
import { sendParcels } from "./send_messages.ts";

/** The most that a queue holds: mailboxes, and UIDs in them, as their records are in memory. */
const AHEAD_MAILBOXES = 16;
const AHEAD_UIDS = 100_000;
/** Mailboxes with unanswered records: the target reads one while it applies another. */
const IN_FLIGHT = 2;

export interface PipelineEvents {
  readonly leave: (leftover: Leftover) => void;
  /** How a mailbox came out. */
  readonly told: (step: MailboxStep, done: Outcome) => void;
  /** So many mailboxes of a run have been sent. */
  readonly part: (done: number) => void;
}

interface Reading {
  readonly step: MailboxStep;
  readonly begun: Promise<Outcome<BegunMailbox>>;
  isRead: boolean;
}

interface Applying {
  readonly begun: BegunMailbox;
  readonly answer: Promise<Outcome>;
  isAnswered: boolean;
}

/** One for each owner. `end` must be called, whatever was thrown. */
export class MailboxPipeline {
  readonly #sending: Sending;
  readonly #events: PipelineEvents;
  /** Mailboxes that have not been begun. */
  readonly #todo: MailboxStep[] = [];
  /** Between *read* and *send*: mailboxes that are being read, or have been. */
  readonly #reading: Reading[] = [];
  /** Between *send* and *apply*: mailboxes whose messages are sent. */
  readonly #sent: BegunMailbox[] = [];
  readonly #applying: Applying[] = [];
  #proof: Promise<void> | undefined;
  /** Messages were sent whose flush waits for the answers to all records sent before them. */
  #mustFlush = false;
  /** Uniqueids of mailboxes that were renamed a moment ago. */
  #moved: ReadonlySet<string> = new Set();
  /** An error was thrown: nobody knows what the session has staged. */
  #isUnsure = false;

  constructor(sending: Sending, events: PipelineEvents) {
    this.#sending = sending;
    this.#events = events;
  }

  /** Brings `steps`, all but the last proof. `moved`: uniqueids of mailboxes just renamed. */
  async run(steps: readonly MailboxStep[], moved: ReadonlySet<string>): Promise<void> {
    this.#moved = moved;
    pushAll(this.#todo, steps);
    for (;;) {
      this.#read();
      if (this.#reading.length > 0) await this.#send();
      else if (this.#sent.length > 0) await this.#applyNext();
      else if (this.#applying.length > 0) await this.#settleFirst();
      else return;
      await this.#recover();
    }
  }

  /** Does a step that is no mailbox. */
  async other(name: string, work: () => Promise<Outcome>): Promise<Outcome> {
    const done = await this.#alone(name, work);
    await this.#recover();
    return done;
  }

  /** Waits for what is under way; throws what the last proof has thrown. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#reading.map(({ begun }) => begun));
    await Promise.allSettled(this.#applying.map(({ answer }) => answer));
    await this.#proof;
  }

  /** Begins to read as many mailboxes as the queue may hold. */
  #read(): void {
    for (let [step] = this.#todo; step !== undefined; [step] = this.#todo) {
      if (isFull(this.#reading.map(({ step: { ours } }) => ours.lastUid))) return;
      this.#todo.shift();
      // What has its name at the target stays, and is for the next pass.
      if (!this.#sending.gone.has(step.name)) this.#reading.push(this.#readingOf(step));
    }
  }

  #readingOf(step: MailboxStep): Reading {
    const read = () => readMailbox(step, this.#sending, this.#moved);
    const begun = alone(step.name, read, this.#sending);
    const reading: Reading = { step, begun, isRead: false };
    const settled = () => {
      reading.isRead = true;
    };
    begun.then(settled, settled); // what it throws is thrown where it is waited for
    return reading;
  }

  /** Sends the messages of all mailboxes that have been read, as one stream. */
  async #send(): Promise<void> {
    const group = await this.#takeRead();
    const stream = sendParcels(
      group.map(({ prepared }) => parcelOf(prepared)),
      this.#sending,
    );
    try {
      while (group.length > 0 && !this.#isUnsure) await this.#sendNext(group, stream);
    } finally {
      await stream.return();
      this.#reading.unshift(
        ...group.map((begun) => ({
          ...{ step: begun.step, begun: Promise.resolve(ok(begun)), isRead: true },
        })),
      );
    }
  }

  async #sendNext(group: BegunMailbox[], stream: AsyncGenerator<Outcome, void>): Promise<void> {
    const begun = group.shift();
    if (begun === undefined) return;
    const { step, prepared } = begun;
    this.#read();
    const send = async () => (await stream.next()).value ?? DONE;
    const done = await this.#orEarlier(this.#alone(step.name, send));
    this.#events.part(this.#todo.length + this.#reading.length + group.length);
    if (done.kind === "refused") {
      this.#events.told(step, done);
      return;
    }
    this.#sent.push(begun);
    this.#mustFlush ||= prepared.counts.messages > 0;
    while (this.#sent.length > 0 && !this.#isUnsure && (this.#hasRoom || this.#isSentFull)) {
      await this.#applyNext();
    }
  }

  /** The first mailbox that is being read, once it is, and those after it that are read by then. */
  async #takeRead(): Promise<BegunMailbox[]> {
    const group: BegunMailbox[] = [];
    for (let [first] = this.#reading; first !== undefined; [first] = this.#reading) {
      if (group.length > 0 && !first.isRead) break;
      this.#reading.shift();
      const { step } = first;
      const begun = await this.#orEarlier(first.begun);
      if (begun.kind === "refused") this.#events.told(step, begun);
      else group.push(begun.value);
    }
    return group;
  }

  /** Where the connection broke, throws the error of a mailbox that was being applied, if any. */
  async #orEarlier<Value>(work: Promise<Value>): Promise<Value> {
    try {
      return await work;
    } catch (error) {
      while (this.#applying.length > 0) await this.#settleFirst();
      throw error;
    }
  }

  /** Another mailbox can be applied without waiting. */
  get #hasRoom(): boolean {
    const unanswered = this.#applying.filter(({ isAnswered }) => !isAnswered).length;
    return unanswered < (this.#mustFlush ? 1 : IN_FLIGHT);
  }

  get #isSentFull(): boolean {
    return isFull(this.#sent.map(({ prepared }) => prepared.reading.state.lastUid));
  }

  /** Sends the records of the mailbox that waits longest. */
  async #applyNext(): Promise<void> {
    while (!this.#hasRoom || this.#applying[0]?.isAnswered === true) await this.#settleFirst();
    if (this.#isUnsure) return;
    const begun = this.#sent.shift();
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

  /** Takes the answer that is due next, and begins the proof. */
  async #settleFirst(): Promise<void> {
    const [first] = this.#applying;
    if (first === undefined) return;
    this.#applying.shift();
    const { begun, answer } = first;
    const { step } = begun;
    const end = async () => endMailbox(begun, await answer, this.#sending);
    const done = await this.#alone(step.name, end);
    await this.#proof;
    this.#proof = undefined;
    const { leave, told } = this.#events;
    if (done.kind === "refused") {
      told(step, done);
      return;
    }
    for (const leftover of done.value.content.leftovers) leave(leftover);
    this.#proof = alone(step.name, done.value.prove).then((outcome) => told(step, outcome));
    this.#proof.catch(() => undefined); // what it throws is thrown where it is waited for
  }

  async #alone<Value>(name: string, work: () => Promise<Outcome<Value>>): Promise<Outcome<Value>> {
    const done = await alone(name, work, this.#sending);
    if (done.kind === "refused" && done.cause !== undefined) this.#isUnsure = true;
    return done;
  }

  /** After an error nothing is staged any more: mailboxes without an answer are begun again. */
  async #recover(): Promise<void> {
    while (this.#isUnsure) {
      const again = await this.#takeBack();
      this.#isUnsure = false;
      await this.#sending.session.restart();
      this.#sending.staged.clear();
      this.#reading.unshift(...again.map((step) => this.#readingOf(step)));
    }
  }

  /** Empties the later stages: answered mailboxes are ended, the steps of others are returned. */
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
    return [...back, ...this.#sent.splice(0).map(({ step }) => step)];
  }
}

/** True for a queue of mailboxes with these last UIDs. */
function isFull(lastUids: readonly number[]): boolean {
  const uids = lastUids.reduce((sum, lastUid) => sum + lastUid, 0);
  return lastUids.length >= AHEAD_MAILBOXES || uids > AHEAD_UIDS;
}

/** Reads a mailbox. One that was renamed just now may have new numbers at the target. */
async function readMailbox(
  step: MailboxStep,
  sending: Sending,
  moved: ReadonlySet<string>,
): Promise<Outcome<BegunMailbox>> {
  const known = moved.has(step.ours.uniqueid) ? await lookAgain(step, sending) : ok(step);
  if (known.kind === "refused") return known;
  const prepared = await prepareMailbox(known.value, step.name, sending);
  if (prepared.kind === "refused") return prepared;
  return ok({ step: known.value, attempt: 1, prepared: prepared.value });
}

async function lookAgain(step: MailboxStep, { target }: Sending): Promise<Outcome<MailboxStep>> {
  const now = await target.mailboxes([step.name]);
  if (now.kind === "refused") return now;
  const [theirs] = now.value;
  if (theirs !== undefined && theirs.uniqueid === step.theirs?.uniqueid)
    return ok({ ...step, theirs });
  return refused("moved", `${step.name} could not be renamed at the target`);
}
