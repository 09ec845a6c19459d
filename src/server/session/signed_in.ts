/**
 * A session from sign-in to its end: the commands that read and write mail. Files and records are taken
 * out of a command while its line is still being read; the answer comes when the line has ended.
 */

import type { Account } from "../../accounts/accounts.ts";
import { scopeOf } from "../../accounts/scope.ts";
import { utf8 } from "../../core/bytes.ts";
import { AppError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { FieldError } from "../../formats/dlist/access.ts";
import { printLine } from "../../formats/dlist/print.ts";
import type { LineEvent, ReaderEvent } from "../../formats/dlist/reader.ts";
import type { DlistEntry } from "../../formats/dlist/value.ts";
import { printAnswer } from "../../formats/sync/answer.ts";
import { parseApply, parseRestore } from "../../formats/sync/apply_command.ts";
import { parseGet } from "../../formats/sync/get_command.ts";
import { parseRecord } from "../../formats/sync/record_line.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import { type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Connection } from "../../net/client_connection.ts";
import type { PlaceSession } from "../../places/place.ts";
import { ByteBudget } from "../byte_budget.ts";
import { type ApplyToRun, runApply } from "../commands/apply_command.ts";
import { runGet } from "../commands/get_command.ts";
import type { SharedState } from "../server_settings.ts";
import type { CommandContext, PutBytes } from "./context.ts";
import { logFailure } from "./failure.ts";
import { IncomingFiles } from "./incoming_files.ts";
import { CRLF, factsOf, levelOf, type Request, statusOf } from "./replies.ts";

export interface SignedInOptions {
  readonly account: Account;
  readonly session: PlaceSession;
  readonly connection: Connection;
  readonly shared: SharedState;
  readonly log: Log;
}

/** What comes out of a line before it has ended. */
type PartEvent = Extract<ReaderEvent, { kind: "item" | "fileStart" | "fileData" | "fileEnd" }>;

/** What a record takes without flags and annotations, and a string beside its characters. */
const RECORD_BYTES = 400;
const STRING_BYTES = 40;

const STAR = utf8("* ");
const PROTOCOL_ERROR = "NO IMAP_PROTOCOL_ERROR Protocol error";

/** A connection that has to end, for its client cannot know where the broken answer ends. */
export class BrokenAnswer extends Error {
  override readonly name = "BrokenAnswer";
}

export class SignedInSession {
  readonly #options: SignedInOptions;
  readonly #log: Log;
  readonly #files: IncomingFiles;
  readonly #context: CommandContext;
  #takesFiles = false;
  #records: MailRecord[] = [];
  #recordBytes = 0;
  #recordError: FieldError | undefined;
  /** A client of 2.4: it sends the one checksum and none of what came later. */
  #is24 = false;

  constructor(options: SignedInOptions) {
    const { account, session, shared, log } = options;
    this.#options = options;
    this.#log = log;
    const { limits, hasRoom } = shared.settings;
    const own = new ByteBudget(limits.stagingBytes);
    const budgets = [own, shared.budgetOf(account.name)];
    this.#files = new IncomingFiles(session, { budgets, hasRoom });
    this.#context = {
      place: shared.place,
      session,
      scope: scopeOf(account.allow),
      log,
      held: shared.held,
      now: () => Math.floor(Date.now() / 1000),
      modes: { force: false, enabled: new Set() },
      send: (answer) => this.#sendLine(printAnswer(answer)),
      sendPieces: (write) => this.#sendPieces(write),
    };
  }

  /** Bytes that the records of the line that is being read keep in memory, roughly. */
  get heldBytes(): number {
    return this.#recordBytes;
  }

  /** Takes a part of the line that is being read; `verb` is the line's, in capitals. */
  take(event: PartEvent, verb: string): Promise<void> | undefined {
    switch (event.kind) {
      case "item":
        this.#takeRecord(event, verb);
        return undefined;
      case "fileStart":
        // Files that nobody asked for are read past.
        this.#takesFiles = verb === "APPLY" && event.name.toUpperCase() === "MESSAGE";
        break;
    }
    return this.#takesFiles ? this.#files.take(event) : undefined;
  }

  /** Does the command of a whole line; gives its status line. Throws BrokenAnswer. */
  async run(line: Extract<LineEvent, { kind: "dlist" }>): Promise<string> {
    const verb = (line.words[0] ?? "").toUpperCase();
    const records = this.#records;
    const recordError = this.#recordError;
    this.#forgetParts();
    let request: Request | undefined;
    try {
      if (recordError !== undefined) throw recordError;
      request = parseRequest(verb, line, records);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.#log.write("warning", "Command is malformed", {
        command: line.name,
        why: error.message,
      });
      // A record that cannot be read is told apart from a field of the command itself, as by Cyrus.
      if (recordError !== undefined) return PROTOCOL_ERROR;
      return this.#status({ ...refused("badParameters", error.message), field: error.key });
    }
    if (request === undefined) return PROTOCOL_ERROR;
    return this.#do(request);
  }

  /** The line could not be read: what had come of it is dropped. */
  dropLine(): void {
    this.#forgetParts();
    this.#files.abort();
  }

  /** RESTART: forgets what is staged; login and modes stay. */
  async restart(): Promise<void> {
    this.#files.release();
    await this.#options.session.restart();
  }

  async close(): Promise<void> {
    this.#files.release();
    await this.#options.session.close();
  }

  async #do(request: Request): Promise<string> {
    const { command } = request;
    if (command.kind === "mailbox") this.#is24 = isFrom24(command.state);
    const started = performance.now();
    let outcome: Outcome;
    try {
      outcome = await this.#outcomeOf(request);
    } catch (error) {
      if (error instanceof BrokenAnswer) throw error;
      outcome = this.#failure(error, request);
    }
    const facts = { ...factsOf(request), ms: Math.round(performance.now() - started) };
    if (outcome.kind === "refused") {
      const { reason, text, field } = outcome;
      this.#log.write(levelOf(outcome), "Refused a command", {
        ...facts,
        reason,
        field,
        why: text,
      });
    } else {
      this.#log.write("debug", "Did a command", facts);
    }
    return this.#status(outcome);
  }

  #outcomeOf(request: Request): Promise<Outcome> {
    if (request.verb === "GET") return runGet(request.command, this.#context);
    const { command } = request;
    if (command.kind === "message") return this.#files.finish();
    const grows = command.kind === "mailbox" || command.kind === "restore";
    if (grows && !this.#options.shared.settings.hasRoom(0)) {
      return Promise.resolve(refused("noSpace", "the disk is nearly full"));
    }
    return this.#apply(command);
  }

  async #apply(command: ApplyToRun): Promise<Outcome> {
    const outcome = await runApply(command, this.#context);
    if (outcome.kind === "ok" && "records" in command) {
      for await (const batch of command.records.batches()) {
        for (const { guid } of batch) this.#files.applied(guid);
      }
    }
    return outcome;
  }

  /** The place has failed, or Bobbin has: the client gets a NO, the administrator the reason. */
  #failure(error: unknown, request: Request): Refusal {
    logFailure(this.#log, error, factsOf(request));
    const isBusy = error instanceof AppError && error.code === "busy";
    const text = error instanceof Error ? error.message : String(error);
    return refused(isBusy ? "busy" : "failed", text);
  }

  #status(outcome: Outcome): string {
    return statusOf(outcome, { for24: this.#is24 });
  }

  #takeRecord(event: Extract<PartEvent, { kind: "item" }>, verb: string): void {
    const isMailbox = verb !== "GET" && /^(LOCAL_)?MAILBOX$/i.test(event.name);
    if (!isMailbox || this.#recordError !== undefined) return;
    try {
      if (this.#records.length >= this.#options.shared.settings.limits.applyRecords) {
        throw new FieldError("RECORD", "fewer records");
      }
      const record = ownBytes(parseRecord(event.value));
      this.#records.push(record);
      this.#recordBytes += weightOf(record);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.#recordError = error;
      this.#records = [];
      this.#recordBytes = 0;
    }
  }

  #forgetParts(): void {
    this.#records = [];
    this.#recordBytes = 0;
    this.#recordError = undefined;
    this.#takesFiles = false;
  }

  #sendLine(line: DlistEntry): Promise<void> | undefined {
    const { connection } = this.#options;
    return connection.write(STAR, printLine(line.name, line.value, { from: "server" }), CRLF);
  }

  async #sendPieces(write: (put: PutBytes) => Promise<void>): Promise<void> {
    const { connection } = this.#options;
    await connection.write(STAR);
    try {
      await write((bytes) => connection.write(bytes));
    } catch (error) {
      this.#log.write("error", "Cannot finish an answer, the client is cut off", {
        why: error instanceof Error ? error.message : String(error),
      });
      throw new BrokenAnswer("an answer was broken off", { cause: error });
    }
    await connection.write(CRLF);
  }
}

/** Undefined for a name that is no command. Throws FieldError. */
function parseRequest(
  verb: string,
  line: DlistEntry,
  records: readonly MailRecord[],
): Request | undefined {
  const { name, value } = line;
  if (verb === "GET") {
    const command = parseGet(name, value);
    return command && { verb, command };
  }
  const parse = verb === "RESTORE" ? parseRestore : parseApply;
  const command = parse(name, value, { records });
  return command && { verb: "APPLY", command };
}

/** The record with annotations that do not keep the chunk in which they came. */
function ownBytes(record: MailRecord): MailRecord {
  const { annotations } = record;
  if (annotations.length === 0) return record;
  return {
    ...record,
    annotations: annotations.map((one) => ({ ...one, value: one.value.slice() })),
  };
}

/** Bytes that a record takes in memory, roughly. */
function weightOf({ flags, annotations }: MailRecord): number {
  let bytes = RECORD_BYTES;
  for (const flag of flags) bytes += STRING_BYTES + flag.length;
  for (const { entry, userid, value } of annotations) {
    bytes += 4 * STRING_BYTES + entry.length + (userid?.length ?? 0) + value.length;
  }
  return bytes;
}

/** 2.4 sends the one checksum and none of the keys that 2.5 brought (sync-protocol.md 6). */
function isFrom24(state: MailboxState): boolean {
  const later = [state.syncCrcAnnot, state.pop3ShowAfter, state.createdmodseq];
  return state.syncCrc !== undefined && later.every((one) => one === undefined);
}
