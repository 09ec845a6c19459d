/**
 * The part of a session after sign-in: the commands that read and write mail. Files and records are
 * taken out of a command while its line is still being read; the answer comes when the line has
 * ended.
 */
import type { Account } from "../../accounts/account.ts";
import { outOfScope, scopeOf } from "../../accounts/scope.ts";
import { AppError } from "../../core/errors.ts";
import { FieldError } from "../../formats/dlist/access.ts";
import type { LineEvent, ReaderEvent } from "../../formats/dlist/reader.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import { type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import { ByteBudget } from "../../net/byte_budget.ts";
import type { PlaceSession } from "../../places/place.ts";
import { lostIn } from "../commands/lost_owners.ts";
import { type ReadCommand, VERBS } from "../commands/verbs.ts";
import type { SharedState } from "../server_settings.ts";
import { BrokenAnswer, type Client } from "./client.ts";
import type { CommandContext } from "./context.ts";
import { IncomingFiles } from "./incoming_files.ts";
import { LineRecords } from "./line_records.ts";
import { factsOf, levelOf, logFailure, ownerOf, statusOf } from "./replies.ts";
import { SessionWork } from "./work.ts";

export interface MailCommandsOptions {
  readonly account: Account;
  readonly session: PlaceSession;
  readonly shared: SharedState;
}

/** What comes out of a line before it has ended. */
export type PartEvent = Exclude<ReaderEvent, LineEvent>;

/** A command under way. */
export interface Running {
  /** Its status line. Rejects with BrokenAnswer. */
  readonly status: Promise<string>;
  /** The next line may be read meanwhile. */
  readonly overlaps: boolean;
}

const PROTOCOL_ERROR = "NO IMAP_PROTOCOL_ERROR Protocol error";

export class MailCommands {
  readonly #client: Client;
  readonly #shared: SharedState;
  readonly #context: CommandContext;
  readonly #records: LineRecords;
  readonly work = new SessionWork();
  /** The client is a Cyrus 2.4, which knows other status texts. */
  #is24 = false;

  constructor(client: Client, { account, session, shared }: MailCommandsOptions) {
    this.#client = client;
    this.#shared = shared;
    const { limits, hasRoom } = shared.settings;
    const { staged, held } = shared.budgetsOf(account.name);
    const budget = new ByteBudget(limits.stagingBytes, staged);
    this.#records = new LineRecords(limits.applyRecords);
    this.#context = {
      place: shared.place,
      session,
      files: new IncomingFiles(session, {
        ...{ budget, hasRoom, onMessage: (bytes) => this.work.message(bytes) },
      }),
      scope: scopeOf(account.allow),
      log: client.log,
      ...{ held, memory: shared.memory, askInTurn: shared.askInTurn },
      now: () => Math.floor(Date.now() / 1000),
      modes: { force: false, enabled: new Set() },
      ...client.answers,
    };
  }

  /** Bytes that the line that is being read keeps in memory here, roughly. */
  get heldBytes(): number {
    return this.#records.heldBytes;
  }

  /** Takes a part of the line that is being read; `verb` is the line's, in capitals. */
  take(event: PartEvent, verb: string): Promise<void> | undefined {
    if (event.kind !== "item") return this.#context.files.take(event, verb);
    if (verb !== "GET" && /^(LOCAL_)?MAILBOX$/i.test(event.name)) this.#records.take(event);
    return undefined;
  }

  /**
   * Begins the command of a whole line; `verb` as above. `heldBytes`, what it takes in memory, is
   * no less than what it may take on the disk, journal included.
   */
  begin(
    line: Extract<LineEvent, { kind: "dlist" }>,
    { verb, heldBytes }: { readonly verb: string; readonly heldBytes: number },
  ): Running {
    const told = (status: string): Running => {
      return { status: Promise.resolve(status), overlaps: false };
    };
    const { error, all: records } = this.#records;
    this.#records.drop();
    try {
      if (error !== undefined) throw error;
      const read = VERBS.get(verb)?.(line.name, line.value, { records });
      if (read === undefined) return told(PROTOCOL_ERROR);
      return { status: this.#do(read, { verb, heldBytes }), overlaps: read.overlaps };
    } catch (failure) {
      if (!(failure instanceof FieldError)) throw failure;
      const { message: why, key: field } = failure;
      this.#client.log.write("warning", "Command is malformed", { command: line.name, why });
      // As Cyrus does, a record that cannot be read is answered otherwise than a field of the
      // command.
      if (failure === error) return told(PROTOCOL_ERROR);
      return told(this.#status({ ...refused("badParameters", why), field }));
    }
  }

  /** Says that the line could not be read: what had come of it is dropped. */
  dropLine(): void {
    this.#records.drop();
    this.#context.files.abort();
  }

  /** RESTART: forgets what is staged; login and modes stay. */
  async restart(): Promise<void> {
    this.#context.files.release();
    await this.#context.session.restart();
  }

  async close(): Promise<void> {
    this.work.tell(this.#client.log);
    this.#context.files.release();
    await this.#context.session.close();
  }

  async #do(
    read: ReadCommand,
    { verb, heldBytes }: { readonly verb: string; readonly heldBytes: number },
  ): Promise<string> {
    const { command } = read;
    if (command.kind === "mailbox") this.#is24 = isFrom24(command.state);
    const started = performance.now();
    let outcome: Outcome;
    try {
      outcome = await this.#outcomeOf(read, heldBytes);
    } catch (error) {
      if (error instanceof BrokenAnswer) throw error;
      outcome = this.#failure(error, factsOf(command, verb));
    }
    const facts = { ...factsOf(command, verb), ms: Math.round(performance.now() - started) };
    const { log } = this.#client;
    const owner = ownerOf(command);
    const writes = read.cost !== "reads" && outcome.kind === "ok";
    if (owner !== undefined) this.work.did({ owner, startedMs: started, writes }, log);
    if (outcome.kind === "refused") {
      const { reason, text: why, field } = outcome;
      log.write(levelOf(outcome), "Refused a command", { ...facts, reason, field, why });
    } else {
      log.write("debug", "Did a command", facts);
    }
    return this.#status(outcome);
  }

  async #outcomeOf(read: ReadCommand, heldBytes: number): Promise<Outcome> {
    const { command, touches, cost, run } = read;
    const answer =
      outOfScope(this.#context.scope, touches) ?? (await lostIn(command, this.#context));
    if (answer !== undefined) return answer;
    if (cost === "grows" && !this.#shared.settings.hasRoom(heldBytes)) {
      return refused("noSpace", "the disk is nearly full");
    }
    return run(this.#context);
  }

  /** The place has failed, or this is a bug: the client gets a NO, and the log the reason. */
  #failure(error: unknown, facts: ReturnType<typeof factsOf>): Refusal {
    logFailure(this.#client.log, error, facts);
    const isBusy = error instanceof AppError && error.code === "busy";
    const text = error instanceof Error ? error.message : String(error);
    return refused(isBusy ? "busy" : "failed", text);
  }

  #status(outcome: Outcome): string {
    return statusOf(outcome, { for24: this.#is24 });
  }
}

/** Cyrus 2.4 sends the first checksum only, and no keys of 2.5 (sync-protocol.md 6). */
function isFrom24(state: MailboxState): boolean {
  const later = [state.syncCrcAnnot, state.pop3ShowAfter, state.createdmodseq];
  return state.syncCrc !== undefined && later.every((one) => one === undefined);
}
