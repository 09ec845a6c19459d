/**
 * Commands and answers of the sync protocol over a connection (sync-protocol.md 1.3), in both
 * flavours: csync without tags, and inside IMAP as SYNCGET, SYNCAPPLY … with tags. Commands are
 * sent one after the other, and answered in that order; the next may be sent before the answer to
 * the last is there.
 */
import { fromLatin1, latin1, utf8 } from "../../core/bytes.ts";
import { AppError, type AppErrorOptions, FormatError } from "../../core/errors.ts";
import type { Limits } from "../../core/limits.ts";
import { printLine } from "../../formats/dlist/print.ts";
import { DlistReader, type LineEvent, type ReaderEvent } from "../../formats/dlist/reader.ts";
import type { DlistEntry } from "../../formats/dlist/value.ts";
import { type Answer, parseAnswer } from "../../formats/sync/answer.ts";
import { expectAnswer } from "../../formats/sync/expectations.ts";
import { parseRecord } from "../../formats/sync/record_line.ts";
import type { Guid } from "../../model/guid.ts";
import { heldBytes, recordBytes } from "../../model/held_bytes.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Connection } from "../../net/connection.ts";
import type { SyncFlavour } from "../sync_address.ts";

export type Verb = "GET" | "APPLY" | "RESTORE" | "RESTART";

/** How a command ended. */
export interface Status {
  readonly kind: "OK" | "NO" | "BAD";
  readonly text: string;
}

export interface Reply {
  readonly status: Status;
  readonly answers: readonly Answer[];
}

/** Takes a message out of an answer while it comes. */
export interface FileTaker {
  start(file: { readonly guid: Guid; readonly size: number }): void;
  data(bytes: Uint8Array): void;
}

export interface FinishOptions {
  readonly files?: FileTaker | undefined;
  /** Called when the command has been sent: the next may begin. */
  readonly sent?: (() => void) | undefined;
}

export interface DialogueOptions {
  readonly flavour: SyncFlavour;
  readonly limits: Limits;
  /** What error messages call the server: `host:port`. */
  readonly where: string;
  /** The longest silence of the server while something is awaited of it. */
  readonly silenceMs: number;
}

const CRLF = utf8("\r\n");
/** Marks an error by which a command got no answer. */
const UNANSWERED = { unanswered: 1 };
const STREAMED: ReadonlySet<string> = new Set(["RECORD"]);
/** Bytes that a server must send for each millisecond that its answer takes longer. */
const ANSWER_BYTES_PER_MS = 4;

/**
 * True for the loss of a connection on which the server had the whole of a command and had not yet
 * answered it: it may have died of that command. The network may have failed as well.
 */
export function mayHaveDied(error: unknown): boolean {
  return error instanceof AppError && error.context["unanswered"] !== undefined;
}

export class Dialogue {
  readonly connection: Connection;
  readonly #options: DialogueOptions;
  readonly #reader: DlistReader;
  #events: Generator<ReaderEvent, void, void> | undefined;
  /** Until when what is being read must have come to its end, and how that is put off. */
  #wanted = { ms: Infinity, untilMs: Infinity, msPerByte: 0 };
  #heardMs = 0;
  #tags = 0;
  #tag = "";
  /** The reply to the command that was sent last. */
  #lastReply: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection, options: DialogueOptions) {
    this.connection = connection;
    this.#options = options;
    this.#reader = new DlistReader({
      limits: {
        ...options.limits,
        literalBytes: options.limits.answerLiteralBytes,
        lineBytes: options.limits.answerLineBytes,
      },
      expect: expectAnswer,
      streamItemsOf: STREAMED,
    });
  }

  /** Sends a line of its own making: what comes before the commands proper. */
  async send(line: string): Promise<void> {
    await this.connection.write(utf8(`${line}\r\n`));
    await this.connection.flush();
  }

  /**
   * The lines that are read until something else is said here must all have come in so many
   * milliseconds, whatever comes meanwhile.
   */
  expectWithin(ms: number): void {
    this.#expect(ms, 0);
  }

  /** A long answer may take its time, as long as it goes on. */
  #expectAnswer(): void {
    this.#expect(this.#options.silenceMs, 1 / ANSWER_BYTES_PER_MS);
  }

  #expect(ms: number, msPerByte: number): void {
    this.#heardMs = performance.now();
    this.#wanted = { ms, untilMs: this.#heardMs + ms, msPerByte };
  }

  /** The next line as text, whatever it is. Throws AppError (unreachable, protocol). */
  async line(): Promise<string> {
    for (;;) {
      const event = await this.#next();
      if (event.kind === "text") return textOfLine(event);
      if (event.kind === "malformed") throw this.#malformed(event.error);
    }
  }

  /** Takes the unread bytes of the reader: they belong to another layer. */
  rest(): Uint8Array {
    const rest = this.#reader.rest();
    this.#events = undefined;
    return rest;
  }

  /** A command whose argument is at hand. */
  async command(verb: Verb, entry: DlistEntry, options?: FinishOptions): Promise<Reply> {
    await this.begin(verb, printLine(entry.name, entry.value, { from: "client" }));
    return this.finish(options);
  }

  /** The first bytes of a command; more may follow with `put`, and `finish` ends it. */
  begin(verb: Verb, argument?: Uint8Array): Promise<void> | undefined {
    const { flavour } = this.#options;
    this.#tag = flavour === "imap" ? `S${this.#tags++}` : "";
    const words = flavour === "imap" ? `${this.#tag} SYNC${verb}` : verb;
    if (argument === undefined) return this.put(utf8(words));
    const first = this.put(utf8(`${words} `));
    return first === undefined ? this.put(argument) : first.then(() => this.put(argument));
  }

  /** The promise, if there is one, must be waited for. */
  put(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#isGone) return Promise.reject(this.#lastWords());
    return this.connection.write(bytes)?.then(() => {
      if (this.#isGone) throw this.#lastWords();
    });
  }

  /**
   * Ends the command and reads up to its status. Throws AppError: unreachable when the server has
   * gone, protocol for an answer that nobody can understand.
   */
  async finish({ files, sent }: FinishOptions = {}): Promise<Reply> {
    const tag = this.#tag;
    await this.put(CRLF);
    await this.connection.flush();
    const reply = this.#lastReply.then(() => this.#reply(tag, files));
    this.#lastReply = reply;
    sent?.();
    return reply;
  }

  async #reply(tag: string, files: FileTaker | undefined): Promise<Reply> {
    const { limits } = this.#options;
    const answers: Answer[] = [];
    let records: MailRecord[] = [];
    let [held, passing] = [0, 0];
    const hold = (bytes: number) => {
      held += bytes;
      if (held > limits.answerBytes) throw this.#protocol("an answer that is too long");
    };
    this.#expectAnswer();
    for (;;) {
      const event = await this.#next(UNANSWERED);
      switch (event.kind) {
        case "item": {
          const record = this.#parsed(() => parseRecord(event.value));
          hold(recordBytes(record));
          records.push(record);
          if (records.length > limits.applyRecords) {
            throw this.#protocol("an answer of too many records");
          }
          break;
        }
        case "fileStart":
          files?.start(event);
          break;
        case "fileData":
          files?.data(event.bytes);
          break;
        case "fileEnd":
          break;
        case "malformed":
          throw this.#malformed(event.error);
        case "dlist": {
          const answer = this.#parsed(() => parseAnswer(event.name, event.value, { records }));
          if (answer === undefined) throw this.#protocol(`the unknown answer ${event.name}`);
          hold(heldBytes({ ...answer, records: undefined }));
          answers.push(answer);
          if (answers.length > limits.answerLines) throw this.#protocol("too many answers");
          records = [];
          break;
        }
        case "text": {
          const status = this.#statusOf(event, tag);
          if (status !== undefined) return { status, answers };
          passing += 1;
          if (passing > limits.passingLines) throw this.#protocol("lines without end");
        }
      }
    }
  }

  /**
   * Sends what somebody has typed, and gives what comes back, RECORDs apart, up to the line of the
   * status. Throws as `finish` does.
   */
  async *typed(line: Uint8Array): AsyncGenerator<ReaderEvent, void, void> {
    const [, verb = "", rest = ""] = /^(\S*)(.*)$/s.exec(latin1(line)) ?? [];
    const isSync = /^(GET|APPLY|RESTORE|RESTART)$/i.test(verb);
    if (this.#options.flavour === "imap") this.#tag = `S${this.#tags++}`;
    const tag = this.#tag === "" ? "" : `${this.#tag} ${isSync ? "SYNC" : ""}`;
    await this.put(fromLatin1(`${tag}${verb}${rest}`));
    await this.put(CRLF);
    await this.connection.flush();
    this.#expectAnswer();
    for (;;) {
      const event = await this.#next();
      yield event;
      if (event.kind === "malformed") throw this.#malformed(event.error);
      if (event.kind === "text" && this.#statusOf(event, this.#tag) !== undefined) return;
    }
  }

  /**
   * A command of IMAP's own, with the lines of its answer; no other may be under way. Throws as
   * `finish` does.
   */
  async imap(command: string): Promise<{ readonly status: Status; readonly lines: string[] }> {
    const { answerLines, answerBytes } = this.#options.limits;
    const lines: string[] = [];
    let bytes = 0;
    for await (const event of this.typed(fromLatin1(command))) {
      if (event.kind !== "text") throw this.#protocol("an answer to something else");
      const status = this.#statusOf(event, this.#tag);
      if (status !== undefined) return { status, lines };
      const line = textOfLine(event);
      lines.push(line);
      bytes += line.length;
      if (lines.length > answerLines || bytes > answerBytes) {
        throw this.#protocol("an answer that is too long");
      }
    }
    throw this.#gone();
  }

  /** The status in a line; undefined for one that only IMAP sends, in passing. */
  #statusOf(event: Extract<LineEvent, { kind: "text" }>, tag: string): Status | undefined {
    const text = textOfLine(event);
    const { flavour } = this.#options;
    if (/^(\* )?BYE\b|^\* Fatal error/i.test(text)) throw this.#farewell(text);
    const own = flavour === "imap" ? untagged(text, tag) : text;
    const [, word, rest = ""] = /^(OK|NO|BAD)\b ?(.*)$/is.exec(own ?? "") ?? [];
    if (word !== undefined) return { kind: word.toUpperCase() as Status["kind"], text: rest };
    if (text.startsWith("* ") && flavour === "imap") return undefined;
    throw this.#protocol(`"${text.slice(0, 100)}"`);
  }

  async #next(context: AppErrorOptions["context"] = {}): Promise<ReaderEvent> {
    for (;;) {
      const step = this.#events?.next();
      if (step !== undefined && step.done !== true) return step.value;
      const flaw = this.#reader.flaw;
      if (flaw !== undefined) throw this.#malformed(flaw);
      const left = this.#wanted.untilMs - performance.now();
      const waitMs = Math.min(this.#options.silenceMs, left);
      const got = waitMs > 0 ? await this.connection.read(waitMs) : "timeout";
      if (got === "timeout") throw this.#silent();
      if (got === "end") throw this.#gone(context);
      this.#heardMs = performance.now();
      this.#wanted.untilMs += got.length * this.#wanted.msPerByte;
      this.#events = this.#reader.feed(got);
    }
  }

  get #isGone(): boolean {
    return this.connection.hasEnded || this.connection.loss !== undefined;
  }

  #parsed<Value>(parse: () => Value): Value {
    try {
      return parse();
    } catch (error) {
      if (error instanceof FormatError) throw this.#malformed(error);
      throw error;
    }
  }

  #malformed(error: FormatError): AppError {
    return this.#protocol(`an answer that cannot be read (${error.message})`, error);
  }

  #protocol(what: string, cause?: Error): AppError {
    this.connection.destroy();
    return new AppError("protocol", `${this.#options.where} has sent ${what}`, { cause });
  }

  #farewell(text: string): AppError {
    this.connection.destroy();
    const context = /^\* Fatal error/i.test(text) ? UNANSWERED : {};
    const said = `${this.#options.where} has ended the session: ${text}`;
    return new AppError("unreachable", said, { context });
  }

  #gone(context: AppErrorOptions["context"] = {}): AppError {
    const { loss } = this.connection;
    if (loss === "stalled") return this.#silent();
    const cause = loss instanceof Error ? loss : undefined;
    const why = cause === undefined ? "" : `: ${cause.message}`;
    const text = `${this.#options.where} has closed the connection${why}`;
    return new AppError("unreachable", text, { cause, context });
  }

  #silent(): AppError {
    const { where, silenceMs } = this.#options;
    this.connection.destroy();
    const { ms } = this.#wanted;
    const isSilent = ms >= silenceMs && performance.now() - this.#heardMs >= silenceMs - 1;
    const what = isSilent
      ? `has been silent for ${Math.round(silenceMs / 1000)} s`
      : `has not come to an end of its answer in ${Math.round(ms / 1000)} s`;
    return new AppError("unreachable", `${where} ${what}`);
  }

  /** The server has gone while it was written to: what it said last is the better reason. */
  #lastWords(): AppError {
    for (;;) {
      const step = this.#events?.next();
      if (step === undefined || step.done === true) return this.#gone();
      if (step.value.kind === "text") return this.#farewell(textOfLine(step.value));
    }
  }
}

function textOfLine(event: Extract<LineEvent, { kind: "text" }>): string {
  const text = latin1(event.text);
  return [...event.words, ...(text === "" ? [] : [text])].join(" ");
}

function untagged(text: string, tag: string): string | undefined {
  return text.startsWith(`${tag} `) ? text.slice(tag.length + 1) : undefined;
}
