/**
 * The one connection that all reads of a sync place share. Several commands are under way on it at
 * a time, for each answer takes a round trip: the server takes them one by one from what it has
 * received, and answers in that order. Reads change nothing, so what a lost connection leaves
 * unanswered is asked again, after growing pauses. But a command over which the server has gone
 * twice is not asked a third time: it may be what the server dies of. A server that has stayed away
 * so long is tried once a read from then on, until it answers.
 */
import { before } from "../../core/before.ts";
import { AppError } from "../../core/errors.ts";
import { type GetCommand, printGet } from "../../formats/sync/get_command.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import { asAsked, asKnown, domainLeftOut } from "./default_domain.ts";
import { type FileTaker, mayHaveDied, type Reply } from "./dialogue.ts";
import { refusalIn, requireFit } from "./refusals.ts";
import { type Link, openLink } from "./sign_in.ts";
import type { SyncOptions } from "./sync_options.ts";

const RETRIES = { count: 5, firstMs: 500 };
const LONGEST_PAUSE_MS = 30_000;
/** For a server that was gone a moment ago. */
const GONE_CONNECT_MS = 5_000;

/** A round trip of 100 ms then costs no more than 0.4 ms a message. */
const COMMANDS_UNDER_WAY = 256;
/** How often the server may go over one command. */
const DEATHS = 2;

export interface ReadOptions {
  readonly files?: FileTaker | undefined;
  /** Until when somebody wants the answer. */
  readonly signal?: AbortSignal | undefined;
}

/** What a command threw. A lost connection may be another's fault: it is sent again. */
interface Failed {
  readonly error: unknown;
  readonly isLost: boolean;
  /** It was the first of its connection that failed, so it is what the server was at. */
  readonly isFirst: boolean;
}

/** A connection, and the first thing that went wrong with it. */
interface Reading {
  readonly link: Promise<Link>;
  failure?: unknown;
}

export class ReadLink {
  readonly #options: SyncOptions;
  /** What error messages call the place. */
  readonly #locator: string;
  readonly #pending = new Set<Promise<unknown>>();
  /** Commands over which the server has gone, and how often. */
  readonly #deaths = new Map<string, number>();
  #reading: Reading | undefined;
  /** Settled once the command before has been sent. */
  #turn: Promise<void> = Promise.resolve();
  #underWay = 0;
  /** How many commands may be under way: after a loss one alone, to know what kills a server. */
  #window = COMMANDS_UNDER_WAY;
  #answered: (() => void) | undefined;
  #isClosed = false;
  #isGone = false;
  /** The domain that the server leaves out of names, once an answer has shown it. */
  #defaultDomain: string | undefined;

  constructor(link: Link, { options, locator }: { options: SyncOptions; locator: string }) {
    this.#options = options;
    this.#locator = locator;
    this.#reading = { link: Promise.resolve(link) };
  }

  /** Sends a GET after those before it, and gives the answer to it. */
  get(command: GetCommand, options: ReadOptions = {}): Promise<Outcome<Reply>> {
    const work = this.#persistently(command, options);
    const settled = () => void this.#pending.delete(work);
    this.#pending.add(work);
    work.then(settled, settled); // its own caller is told
    return before(work, options.signal);
  }

  /** Waits for what is under way, and ends the connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#pending);
    const reading = this.#reading;
    this.#reading = undefined;
    await reading?.link.then((link) => link.dialogue.connection.close());
  }

  async #persistently(command: GetCommand, options: ReadOptions): Promise<Outcome<Reply>> {
    const { signal } = options;
    const { count, firstMs } = this.#options.retries ?? RETRIES;
    const key = JSON.stringify(command);
    for (let attempt = 0; ; attempt++) {
      if ((this.#deaths.get(key) ?? 0) >= DEATHS) return this.#deadly(command);
      const done = await this.#inTurn(command, options);
      if (!("error" in done)) return done;
      signal?.throwIfAborted();
      const { error, isLost, isFirst } = done;
      if (isFirst && mayHaveDied(error)) this.#deaths.set(key, (this.#deaths.get(key) ?? 0) + 1);
      if (isLost && attempt >= count) this.#isGone = true;
      if (!isLost || this.#isGone || this.#isClosed) throw error;
      await before(Bun.sleep(Math.min(firstMs * 2 ** attempt, LONGEST_PAUSE_MS)), signal);
    }
  }

  #deadly(command: GetCommand): Refusal {
    const what = `${this.#locator}: ${whatOf(command)}`;
    const text = `${what}: the server closes the connection each time it is asked for this`;
    return { ...refused("failed", text), cause: new AppError("unreachable", text) };
  }

  /** Sends when the one before is sent and the window has room; waits for the answer. */
  async #inTurn(command: GetCommand, options: ReadOptions): Promise<Outcome<Reply> | Failed> {
    const before = this.#turn;
    const { promise, resolve: sent } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    while (this.#underWay >= this.#window) {
      const { promise: answered, resolve } = Promise.withResolvers<void>();
      this.#answered = resolve;
      await answered;
    }
    this.#underWay += 1;
    try {
      return await this.#once(command, { ...options, sent });
    } finally {
      this.#underWay -= 1;
      sent();
      this.#answered?.();
    }
  }

  async #once(
    command: GetCommand,
    { files, signal, sent }: ReadOptions & { readonly sent: () => void },
  ): Promise<Outcome<Reply> | Failed> {
    if (signal?.aborted === true) return { error: signal.reason, isLost: false, isFirst: false };
    const reading: Reading = this.#reading ?? { link: this.#open(signal) };
    this.#reading = reading;
    let link: Link | undefined;
    const cut = () => link?.dialogue.connection.destroy();
    signal?.addEventListener("abort", cut, { once: true });
    try {
      link = await reading.link;
      const entry = printGet(asKnown(command, this.#defaultDomain));
      const answer = await link.dialogue.command("GET", entry, { files, sent });
      const reply = asAsked(answer, command);
      this.#defaultDomain ??= domainLeftOut(answer, reply);
      requireFit(reply, command, this.#locator);
      this.#isGone = false;
      this.#window = Math.min(COMMANDS_UNDER_WAY, this.#window * 2);
      return refusalIn(reply.status, `${this.#locator}: ${whatOf(command)}`) ?? ok(reply);
    } catch (error) {
      // What is wrong with one answer is no fault of those that would have come after it.
      const isOther = reading.failure !== undefined;
      reading.failure ??= error;
      if (this.#reading === reading) this.#reading = undefined;
      this.#window = 1;
      cut();
      const isGone = error instanceof AppError && error.code === "unreachable";
      return { error, isLost: isOther || isGone, isFirst: !isOther };
    } finally {
      signal?.removeEventListener("abort", cut);
    }
  }

  #open(signal: AbortSignal | undefined): Promise<Link> {
    const options = this.#isGone ? { connectMs: GONE_CONNECT_MS } : {};
    return before(openLink({ ...options, ...this.#options }, "read"), signal, (late) =>
      late.dialogue.connection.destroy(),
    );
  }
}

function whatOf(command: GetCommand): string {
  switch (command.kind) {
    case "user":
    case "meta":
      return `user ${command.userid}`;
    case "fetchSieve":
      return `script ${command.filename} of ${command.userid}`;
    case "fetch":
      return `message ${command.uid} of ${command.mailbox}`;
    case "fullmailbox":
    case "annotation":
      return `mailbox ${command.name}`;
    case "quota":
      return `quota ${command.root}`;
    default:
      return "mailboxes";
  }
}
