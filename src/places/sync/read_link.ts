/**
 * The connection that all reads of a sync place share: they follow each other, and are tried again with growing pauses
 * when it is lost, for they change nothing. A server that has stayed away so long is tried once a read from then on, until
 * it answers.
 */
import { before } from "../../core/before.ts";
import { AppError } from "../../core/errors.ts";
import { type GetCommand, printGet } from "../../formats/sync/get_command.ts";
import { type Outcome, ok } from "../../model/outcome.ts";
import type { FileTaker, Reply } from "./dialogue.ts";
import { refusalIn } from "./refusals.ts";
import { type Link, openLink } from "./sign_in.ts";
import type { SyncOptions } from "./sync_options.ts";

const RETRIES = { count: 5, firstMs: 500 };
const LONGEST_PAUSE_MS = 30_000;
/** For a server that was gone a moment ago. */
const GONE_CONNECT_MS = 5_000;

export interface ReadOptions {
  readonly files?: FileTaker | undefined;
  /** Until when somebody wants the answer. */
  readonly signal?: AbortSignal | undefined;
}

export class ReadLink {
  readonly #options: SyncOptions;
  /** For messages. */
  readonly #locator: string;
  #link: Link | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #isGone = false;

  constructor(link: Link, { options, locator }: { options: SyncOptions; locator: string }) {
    this.#options = options;
    this.#locator = locator;
    this.#link = link;
  }

  /** Sends a GET once those before it are answered. */
  get(command: GetCommand, options: ReadOptions = {}): Promise<Outcome<Reply>> {
    const turn = this.#last.then(() => this.#persistently(command, options));
    this.#last = turn.catch(() => undefined); // its own caller is told
    return before(turn, options.signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
    await this.#link?.dialogue.connection.close();
    this.#link = undefined;
  }

  async #persistently(command: GetCommand, options: ReadOptions): Promise<Outcome<Reply>> {
    const { signal } = options;
    const { count, firstMs } = this.#options.retries ?? RETRIES;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      try {
        const got = await this.#once(command, options);
        this.#isGone = false;
        return got;
      } catch (error) {
        this.#link?.dialogue.connection.destroy();
        this.#link = undefined;
        signal?.throwIfAborted();
        const isLost = error instanceof AppError && error.code === "unreachable";
        if (isLost && attempt >= count) this.#isGone = true;
        if (!isLost || this.#isGone || this.#isClosed) throw error;
        await before(Bun.sleep(Math.min(firstMs * 2 ** attempt, LONGEST_PAUSE_MS)), signal);
      }
    }
  }

  async #once(command: GetCommand, { files, signal }: ReadOptions): Promise<Outcome<Reply>> {
    const link = this.#link ?? (await this.#open(signal));
    this.#link = link;
    const cut = () => link.dialogue.connection.destroy();
    signal?.addEventListener("abort", cut, { once: true });
    try {
      const reply = await link.dialogue.command("GET", printGet(command), files);
      return refusalIn(reply.status, `${this.#locator}: ${whatOf(command)}`) ?? ok(reply);
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
