/**
 * One client's session of the csync protocol (sync-protocol.md 1): the banner, sign-in, then
 * commands one after the other. Each command is answered with data lines and exactly one status
 * line. A command that is refused or broken leaves client and server in step. While a mailbox is
 * applied the next line is read already and the messages in it are staged, so that a client that
 * does not wait for each answer is served sooner.
 *
 * This file is the loop that reads and sends each line where it belongs. How a client gets in
 * stands in `entry.ts`, and the commands that read and write mail in `mail_commands.ts`.
 */
import type { Account } from "../../accounts/account.ts";
import { networkOf } from "../../core/address.ts";
import { latin1 } from "../../core/bytes.ts";
import type { Log } from "../../core/log.ts";
import {
  DlistReader,
  type Expectation,
  type LineEvent,
  type ReaderEvent,
} from "../../formats/dlist/reader.ts";
import { refused } from "../../model/outcome.ts";
import type { Connection } from "../../net/connection.ts";
import type { PlaceSession } from "../../places/place.ts";
import { VERBS } from "../commands/verbs.ts";
import type { SharedState } from "../server_settings.ts";
import { BrokenAnswer, Client } from "./client.ts";
import { Entry, type SignedIn } from "./entry.ts";
import { MailCommands, type Running } from "./mail_commands.ts";
import { MemoryShare } from "./memory_share.ts";
import { logFailure, statusOf } from "./replies.ts";
import { secondsOf } from "./work.ts";

/** What a client may do before it has signed in: so many commands, and lines of so many bytes. */
const STRANGERS_COMMANDS = 20;
const STRANGERS_BYTES = 64 * 1024;
/** Commands in a row that make no sense, after which the session ends. */
const SENSELESS_COMMANDS = 100;

/** The line as it has come, what the command makes of it, and the copy of that in a thread. */
const LINE_COPIES = 3;

const NO_ROOM = "room in memory";
const NOT_SIGNED_IN = "NO Sign in first";

const STREAMED: ReadonlySet<string> = new Set(["RECORD"]);

/** A client that speaks IMAP: `C01 CAPABILITY`. */
const IMAP_TAG = /^[A-Z]\d{1,9}$/;

/** What is done with a client that has signed in, where that is not to take csync commands. */
export type Welcome = (
  client: Pick<Client, "connection" | "log">,
  account: Account,
) => Promise<void>;

export class Session {
  readonly #client: Client;
  readonly #shared: SharedState;
  readonly #stopping: AbortSignal;
  readonly #otherwise: Welcome | undefined;
  readonly #entry: Entry;
  readonly #share: MemoryShare;
  /** From sign-in on. */
  #mail: MailCommands | undefined;
  readonly #startedMs = performance.now();
  #commands = 0;
  #senseless = 0;
  /** The line that is being read has been given up, since there was no memory for it. */
  #hasNoRoom = false;
  /** The mailbox that is being applied. Its answer is sent when that is done, before any other. */
  #applying: Promise<void> | undefined;

  /** `welcome`: another protocol begins with the sign-in, and the session is over with it. */
  constructor(
    connection: Connection,
    shared: SharedState,
    { stopping, welcome }: { readonly stopping: AbortSignal; readonly welcome?: Welcome },
  ) {
    this.#shared = shared;
    this.#otherwise = welcome;
    this.#stopping = stopping;
    const { limits } = shared.settings;
    const reader = new DlistReader({
      limits: {
        ...limits,
        lineBytes: Math.min(limits.lineBytes, STRANGERS_BYTES),
        atomBytes: Math.min(limits.atomBytes, STRANGERS_BYTES),
        literalBytes: Math.min(limits.literalBytes, STRANGERS_BYTES),
      },
      expect: (words) => this.#expect(words),
      streamItemsOf: STREAMED,
    });
    const { address } = connection;
    shared.totals.sessions += 1;
    const session = shared.totals.sessions;
    const log = shared.limitLog(shared.log.with({ peer: address, session }), networkOf(address));
    this.#client = new Client(connection, { reader, log });
    this.#entry = new Entry(this.#client, shared, stopping);
    this.#share = new MemoryShare(shared.held, shared.memory);
  }

  /** Serves the client until it or the server has had enough. Does not throw. */
  async run(): Promise<void> {
    const client = this.#client;
    try {
      await this.#entry.banner();
      while (!client.isOver) await this.#turn();
    } catch (error) {
      this.#logFailure(error);
    }
    this.#share.release();
    await Promise.allSettled([this.#applying]);
    // The client is let go while what it had staged is still being removed.
    const ends = [client.connection.close(), this.#mail?.close()];
    for (const ended of await Promise.allSettled(ends)) {
      if (ended.status === "rejected") this.#logFailure(ended.reason);
    }
    this.#tellEnd();
  }

  /** Logs what the session has done, and adds it to what the server has. */
  #tellEnd(): void {
    const { connection, log } = this.#client;
    const { bytesIn, bytesOut } = connection;
    const messages = this.#mail?.work.messages ?? 0;
    const counts = { commands: this.#commands, messages, bytesIn, bytesOut };
    const { totals } = this.#shared;
    totals.commands += this.#commands;
    totals.messages += messages;
    totals.bytesIn += bytesIn;
    totals.bytesOut += bytesOut;
    const seconds = secondsOf(performance.now() - this.#startedMs);
    const level = this.#mail === undefined ? "debug" : "info";
    log.write(level, "Session has ended", { ...counts, seconds });
  }

  /** Reads once and does what has come. */
  async #turn(): Promise<void> {
    const client = this.#client;
    const isStopping = this.#stopping.aborted;
    if (isStopping && client.reader.isBetweenLines) {
      await this.#applying;
      return client.end("BYE shutting down");
    }
    const waitMs = this.#mail === undefined ? this.#entry.leftMs : this.#shared.settings.idleMs;
    const got = await client.connection.read(waitMs);
    if (got === "timeout") return this.#timedOut();
    if (got === "end") return this.#ended();
    this.#shared.memory.took(got.length);
    for (const event of client.reader.feed(got)) {
      await this.#take(event);
      if (client.isOver) break;
      this.#payForLine();
      // A client that sends many commands at once gets an answer when it has taken the one before.
      if (client.connection.isStalled) await client.connection.flush();
    }
    this.#payForLine();
    await client.connection.flush();
  }

  /** Nothing has come in time, or the read was interrupted by a stop. */
  #timedOut(): void {
    if (this.#stopping.aborted || this.#applying !== undefined) return;
    this.#client.log.write("info", "Client was silent for too long");
    this.#client.end("BYE idle for too long");
  }

  /** The client sends no more but may still read: what it has begun is answered. */
  async #ended(): Promise<void> {
    const left = this.#client.reader.end();
    if (left !== undefined) await this.#takeLine(left);
    await this.#applying;
    this.#client.isOver = true;
  }

  /**
   * Pays for the memory that the line that is being read holds. Where all memory is used up the
   * line is given up: if sessions waited for each other's memory, all would wait for ever.
   */
  #payForLine(): void {
    const { reader } = this.#client;
    if (this.#share.pay(LINE_COPIES * reader.heldBytes + (this.#mail?.heldBytes ?? 0))) return;
    if (!reader.giveUp(NO_ROOM)) return;
    this.#hasNoRoom = true;
    this.#mail?.dropLine();
    this.#share.release();
  }

  #expect(words: readonly string[]): Expectation {
    if (this.#entry.inDialog) return "text";
    const [verb] = words;
    if (verb === undefined) return "word";
    return VERBS.has(verb.toUpperCase()) ? "line" : "text";
  }

  async #take(event: ReaderEvent): Promise<void> {
    if (event.kind === "text" || event.kind === "dlist" || event.kind === "malformed") {
      await this.#takeLine(event);
    } else {
      await this.#mail?.take(event, verbOf(this.#client.reader.words));
    }
  }

  async #takeLine(line: LineEvent): Promise<void> {
    await this.#applying;
    const client = this.#client;
    this.#commands++;
    const hadNoRoom = this.#hasNoRoom;
    this.#hasNoRoom = false;
    if (this.#mail === undefined && this.#commands > STRANGERS_COMMANDS) {
      return client.end("* Fatal error: too many commands before authentication");
    }
    const verb = verbOf(line.words);
    if (line.kind === "text") return this.#takeText(verb, line);
    if (this.#mail === undefined) return client.reply(NOT_SIGNED_IN);
    if (hadNoRoom) {
      const facts = { command: verb, hint: "See `bobbin serve --max-held`." };
      client.log.write("warning", "No room in memory for a command", facts);
      return client.reply(statusOf(refused("busy", NO_ROOM), { for24: false }));
    }
    if (line.kind === "malformed") {
      this.#mail.dropLine();
      const facts = { command: verb, why: line.error.message };
      client.log.write("warning", "Cannot parse a line", facts);
      return this.#nonsense(parseFailure(verb));
    }
    this.#senseless = 0;
    const running = this.#mail.begin(line, { verb, heldBytes: this.#share.paidBytes });
    if (running.overlaps) this.#answerLater(running);
    else client.reply(await running.status);
  }

  /** Sends the answer to a command when it is done, while the next line is read. */
  #answerLater({ status }: Running): void {
    // This memory stays paid for until the mailbox is applied; the next line pays for its own.
    const release = this.#share.handOver();
    const applying = status.finally(release).then(async (line) => {
      this.#client.reply(line);
      this.#applying = undefined;
      await this.#client.connection.flush();
    });
    this.#applying = applying;
    // An error is thrown where `#applying` is awaited, which always happens.
    applying.catch(() => undefined);
  }

  async #takeText(verb: string, line: Extract<LineEvent, { kind: "text" }>): Promise<void> {
    const client = this.#client;
    const rest = [...line.words.slice(1), latin1(line.text)].join(" ");
    switch (verb) {
      case "NOOP":
      case "RESTART":
      case "EXIT":
        if (rest === "") return this.#takeWord(verb);
        return this.#nonsense(`BAD Nothing may follow ${verb}`);
      case "AUTHENTICATE":
        return this.#authenticate(rest);
      case "STARTTLS": {
        const isSignedIn = this.#mail !== undefined;
        if (await this.#entry.startTls({ isSignedIn })) return;
        return this.#unknown(verb, "");
      }
      case "COMPRESS":
        return this.#entry.compress(rest);
      case "":
        return this.#nonsense("BAD The line is empty");
    }
    if (!VERBS.has(verb)) return this.#unknown(line.words[0] ?? "", rest);
    if (this.#mail === undefined) return client.reply(NOT_SIGNED_IN);
    return this.#nonsense(parseFailure(verb));
  }

  async #takeWord(verb: "NOOP" | "RESTART" | "EXIT"): Promise<void> {
    if (verb === "NOOP") return this.#client.reply("OK Nothing done");
    if (verb === "EXIT") return this.#client.end("OK Goodbye");
    await this.#mail?.restart();
    this.#client.reply("OK Begun anew");
  }

  #nonsense(reply: string): void {
    this.#senseless++;
    if (this.#senseless > SENSELESS_COMMANDS) this.#client.end("* Fatal error: too many errors");
    else this.#client.reply(reply);
  }

  /** An IMAP client on this port waits ten seconds for a line with its tag unless it gets one. */
  #unknown(word: string, rest: string): void {
    if (!IMAP_TAG.test(word)) {
      this.#nonsense("BAD IMAP_PROTOCOL_ERROR The command is not known");
      return;
    }
    const reply = `${word} BAD This is a csync server and does not speak IMAP`;
    if (/^LOGOUT$/i.test(rest)) this.#client.end(reply);
    else this.#nonsense(reply);
  }

  async #authenticate(args: string): Promise<void> {
    if (this.#mail !== undefined) return this.#client.reply("BAD The session is signed in already");
    const signedIn = await this.#entry.authenticate(args);
    if (signedIn !== undefined) await this.#welcome(signedIn);
  }

  async #welcome({ account, mechanism }: SignedIn): Promise<void> {
    const [client, shared] = [this.#client, this.#shared];
    const log = client.log.with({ account: account.name });
    const otherwise = this.#otherwise;
    if (otherwise !== undefined) {
      this.#greet(log, mechanism);
      await client.connection.flush();
      client.connection.readFarAhead();
      client.isOver = true;
      return otherwise({ connection: client.connection, log }, account);
    }
    let session: PlaceSession;
    try {
      session = await shared.place.openSession();
    } catch (error) {
      logFailure(log, error);
      return client.reply("NO the store cannot be used now, its administrator can read why");
    }
    client.log = log;
    client.reader.useLimits(shared.settings.limits);
    this.#share.payFrom(shared.budgetsOf(account.name).held);
    client.connection.readFarAhead();
    this.#mail = new MailCommands(client, { account, session, shared });
    this.#greet(log, mechanism);
  }

  #greet(log: Log, mechanism: SignedIn["mechanism"]): void {
    const { isEncrypted: tls, isLoopback } = this.#client.connection;
    if (tls || isLoopback) log.write("info", "Signed in", { mechanism, tls });
    else log.write("warning", "Signed in from another machine without TLS", { mechanism, tls });
    this.#client.reply(`OK Signed in ${tls ? "with" : "without"} TLS`);
  }

  #logFailure(error: unknown): void {
    if (error instanceof BrokenAnswer) return; // said already
    logFailure(this.#client.log, error, { what: "the session broke off" });
  }
}

function verbOf(words: readonly string[]): string {
  return (words[0] ?? "").toUpperCase();
}

function parseFailure(verb: string): string {
  return `BAD IMAP_PROTOCOL_ERROR This ${verb} cannot be read`;
}
