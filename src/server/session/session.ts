/**
 * One client's session of the csync protocol (sync-protocol.md 1): banner, sign-in, then commands, strictly
 * one after the other, each answered with data lines and exactly one status line. A command that is
 * refused or broken leaves the session in step. While a mailbox is applied the next line is read already, so that
 * the messages in it are staged meanwhile: a client that does not wait for each answer is served sooner.
 */

import type { Account } from "../../accounts/accounts.ts";
import { type Mechanism, signIn } from "../../accounts/authenticate.ts";
import { latin1, utf8 } from "../../core/bytes.ts";
import type { Log } from "../../core/log.ts";
import {
  DlistReader,
  type Expectation,
  type LineEvent,
  type ReaderEvent,
} from "../../formats/dlist/reader.ts";
import { refused } from "../../model/outcome.ts";
import type { Connection } from "../../net/client_connection.ts";
import { shakeHands } from "../../net/shake_hands.ts";
import type { PlaceSession } from "../../places/place.ts";
import type { SharedState } from "../server_settings.ts";
import { SIEVE_MAILBOX } from "./context.ts";
import { logFailure } from "./failure.ts";
import { statusOf } from "./replies.ts";
import { BrokenAnswer, SignedInSession } from "./signed_in.ts";

/** Before sign-in a client has few tries, and little of our memory. */
const STRANGERS_COMMANDS = 20;
const STRANGERS_BYTES = 64 * 1024;
/** Senseless commands in a row, after which a client is beyond help. */
const SENSELESS_COMMANDS = 100;

/** What a session holds is counted in steps of this. */
const PAY_BYTES = 64 * 1024;
const NO_ROOM = "room in memory";

const DLIST_VERBS: ReadonlySet<string> = new Set(["GET", "APPLY", "RESTORE"]);
const STREAMED: ReadonlySet<string> = new Set(["RECORD"]);

/** A client that speaks IMAP: `C01 CAPABILITY`. */
const IMAP_TAG = /^[A-Z]\d{1,9}$/;

export class Session {
  readonly #connection: Connection;
  readonly #shared: SharedState;
  readonly #reader: DlistReader;
  #log: Log;
  #signedIn: SignedInSession | undefined;
  #inDialog = false;
  #isOver = false;
  #commands = 0;
  readonly #signInUntil: number;
  #senseless = 0;
  /** Of what all sessions may hold, by this one for the line that it reads. */
  #paidBytes = 0;
  #hasNoRoom = false;
  /** A mailbox that is being applied; its answer goes out when it is done, and before any other. */
  #applying: Promise<void> | undefined;

  constructor(connection: Connection, shared: SharedState) {
    this.#connection = connection;
    this.#shared = shared;
    this.#log = shared.log.with({ peer: connection.address });
    const { limits, patience } = shared.settings;
    this.#signInUntil = performance.now() + patience.signInMs;
    const strangers = {
      ...limits,
      lineBytes: Math.min(limits.lineBytes, STRANGERS_BYTES),
      atomBytes: Math.min(limits.atomBytes, STRANGERS_BYTES),
      literalBytes: Math.min(limits.literalBytes, STRANGERS_BYTES),
    };
    this.#reader = new DlistReader({
      limits: strangers,
      expect: (words) => this.#expect(words),
      streamItemsOf: STREAMED,
    });
  }

  /** Serves the client until it or the server has had enough. Does not throw. */
  async run(): Promise<void> {
    try {
      await this.#banner();
      while (!this.#isOver) await this.#turn();
    } catch (error) {
      this.#logFailure(error);
    }
    this.#shared.held.give(this.#paidBytes);
    await Promise.allSettled([this.#applying]);
    // The client need not wait until what was staged is removed.
    for (const ended of await Promise.allSettled([
      this.#connection.close(),
      this.#signedIn?.close(),
    ])) {
      if (ended.status === "rejected") this.#logFailure(ended.reason);
    }
    this.#log.write("debug", "Session has ended");
  }

  /** Reads once and does what has come. */
  async #turn(): Promise<void> {
    const { isStopping, settings } = this.#shared;
    if (isStopping() && this.#reader.isBetweenLines) {
      await this.#applying;
      return this.#end("BYE shutting down");
    }
    const leftMs = this.#signInUntil - performance.now();
    const waitMs = this.#signedIn === undefined ? Math.max(0, leftMs) : settings.idleMs;
    const got = await this.#connection.read(waitMs);
    if (got === "timeout" && (isStopping() || this.#applying !== undefined)) return;
    if (got === "timeout") {
      this.#log.write("info", "Client was silent for too long");
      return this.#end("BYE idle for too long");
    }
    if (got === "end") {
      const left = this.#reader.end();
      if (left !== undefined) await this.#takeLine(left);
      await this.#applying;
      this.#isOver = true;
      return;
    }
    this.#shared.memory.took(got.length);
    for (const event of this.#reader.feed(got)) {
      await this.#take(event);
      if (this.#isOver) break;
      this.#pay();
      // However many commands a client sends at once, it gets the next answer when it has taken this one.
      if (this.#connection.isStalled) await this.#connection.flush();
    }
    this.#pay();
    await this.#connection.flush();
  }

  /**
   * Pays for what an unfinished command holds, out of what all sessions share. Where that is used up the command is
   * given up: to wait for the others would be to wait for each other.
   */
  #pay(): void {
    const { held } = this.#shared;
    const bytes = this.#reader.heldBytes + (this.#signedIn?.heldBytes ?? 0);
    const more = bytes - this.#paidBytes;
    if (bytes > 0 && Math.abs(more) < PAY_BYTES) return;
    if (more > 0 && !held.take(more)) {
      this.#giveUp();
      return;
    }
    if (more < 0) held.give(-more);
    this.#paidBytes = bytes;
  }

  #giveUp(): void {
    if (!this.#reader.giveUp(NO_ROOM)) return;
    this.#hasNoRoom = true;
    this.#signedIn?.dropLine();
    this.#shared.held.give(this.#paidBytes);
    this.#paidBytes = 0;
  }

  #end(lastLine: string): void {
    this.#reply(lastLine);
    this.#isOver = true;
  }

  async #banner(): Promise<void> {
    const { settings } = this.#shared;
    const { isEncrypted, isCompressed } = this.#connection;
    this.#reply(`* SASL ${this.#mechanisms().join(" ")}`);
    if (settings.tls !== undefined && !isEncrypted) this.#reply("* STARTTLS");
    if (settings.compress && !isEncrypted && !isCompressed) this.#reply("* COMPRESS DEFLATE");
    this.#reply(`* ${SIEVE_MAILBOX}`);
    this.#reply(`* OK ${settings.serverName} Bobbin sync server ${settings.version}`);
    await this.#connection.flush();
  }

  #mechanisms(): Mechanism[] {
    const { isEncrypted, isLoopback } = this.#connection;
    const mayBePlain = isEncrypted || isLoopback || this.#shared.settings.allowPlaintext;
    return mayBePlain ? ["SCRAM-SHA-256", "PLAIN"] : ["SCRAM-SHA-256"];
  }

  #reply(line: string): void {
    // Such lines are few and short; the next flush waits for what the client has not taken.
    this.#connection.write(utf8(`${line}\r\n`));
  }

  #expect(words: readonly string[]): Expectation {
    if (this.#inDialog) return "text";
    const [verb] = words;
    if (verb === undefined) return "word";
    return DLIST_VERBS.has(verb.toUpperCase()) ? "line" : "text";
  }

  async #take(event: ReaderEvent): Promise<void> {
    if (event.kind === "text" || event.kind === "dlist" || event.kind === "malformed") {
      await this.#takeLine(event);
    } else {
      await this.#signedIn?.take(event, verbOf(this.#reader.words));
    }
  }

  async #takeLine(line: LineEvent): Promise<void> {
    await this.#applying;
    this.#commands++;
    const hadNoRoom = this.#hasNoRoom;
    this.#hasNoRoom = false;
    const isStranger = this.#signedIn === undefined;
    if (isStranger && this.#commands > STRANGERS_COMMANDS) {
      return this.#end("* Fatal error: too many commands before authentication");
    }
    const verb = verbOf(line.words);
    if (line.kind === "text") return this.#command(verb, line);
    if (this.#signedIn === undefined) return this.#reply("NO Please authenticate first");
    if (hadNoRoom) {
      this.#log.write("warning", "No room in memory for a command", { command: verb });
      return this.#reply(statusOf(refused("busy", NO_ROOM), { for24: false }));
    }
    if (line.kind === "malformed") {
      this.#signedIn.dropLine();
      this.#log.write("warning", "Cannot parse a line", { command: verb, why: line.error.message });
      return this.#nonsense(`BAD IMAP_PROTOCOL_ERROR Failed to parse ${verb} line`);
    }
    this.#senseless = 0;
    const answer = this.#signedIn.run(line);
    if (isMailbox(line)) this.#answerLater(answer);
    else this.#reply(await answer);
  }

  /** Sends the answer to a mailbox whenever it is there. */
  #answerLater(answer: Promise<string>): void {
    const { held } = this.#shared;
    const paidBytes = this.#paidBytes;
    this.#paidBytes = 0; // paid until the mailbox is applied; the next line pays for itself
    const applying = answer
      .finally(() => held.give(paidBytes))
      .then(async (status) => {
        this.#reply(status);
        this.#applying = undefined;
        await this.#connection.flush();
      });
    this.#applying = applying;
    // What it throws is thrown where it is waited for: the session always does so.
    applying.catch(() => undefined);
  }

  async #command(verb: string, line: Extract<LineEvent, { kind: "text" }>): Promise<void> {
    const rest = [...line.words.slice(1), latin1(line.text)].join(" ");
    switch (verb) {
      case "NOOP":
      case "RESTART":
      case "EXIT":
        if (rest !== "") {
          const name = verb.charAt(0) + verb.slice(1).toLowerCase();
          return this.#nonsense(`BAD Unexpected extra arguments to ${name}`);
        }
        return this.#simple(verb);
      case "AUTHENTICATE":
        return this.#authenticate(rest);
      case "STARTTLS":
        return this.#startTls();
      case "COMPRESS":
        return this.#compress(rest);
      case "GET":
      case "APPLY":
      case "RESTORE":
        if (this.#signedIn === undefined) return this.#reply("NO Please authenticate first");
        return this.#nonsense(`BAD IMAP_PROTOCOL_ERROR Failed to parse ${verb} line`);
      case "":
        return this.#nonsense("BAD Null command");
      default:
        return this.#unknown(line.words[0] ?? "", rest);
    }
  }

  async #simple(verb: "NOOP" | "RESTART" | "EXIT"): Promise<void> {
    if (verb === "NOOP") return this.#reply("OK Noop completed");
    if (verb === "EXIT") return this.#end("OK Finished");
    await this.#signedIn?.restart();
    this.#reply("OK Restarting");
  }

  #nonsense(reply: string): void {
    this.#senseless++;
    if (this.#senseless > SENSELESS_COMMANDS) this.#end("* Fatal error: too many errors");
    else this.#reply(reply);
  }

  /** An IMAP client on this port waits ten seconds for a line with its tag, unless it gets one. */
  #unknown(word: string, rest: string): void {
    const reply = IMAP_TAG.test(word)
      ? `${word} BAD This is a csync server and does not speak IMAP`
      : "BAD IMAP_PROTOCOL_ERROR Unrecognized command";
    if (IMAP_TAG.test(word) && /^LOGOUT$/i.test(rest)) this.#end(reply);
    else this.#nonsense(reply);
  }

  async #authenticate(args: string): Promise<void> {
    if (this.#signedIn !== undefined) return this.#reply("BAD Already authenticated");
    if (this.#dropsPipelined("AUTHENTICATE")) return;
    const [name = "", initial, ...more] = args.split(" ");
    const mechanism = this.#mechanisms().find((one) => one === name.toUpperCase());
    if (mechanism === undefined || more.length > 0) return this.#reply("NO no mechanism available");
    const signed = await signIn(mechanism, {
      accounts: this.#shared.accounts(),
      gate: this.#shared.gate,
      address: this.#connection.address,
      initial: initial === "" ? undefined : initial,
      ask: (challenge) => this.#ask(challenge),
    });
    switch (signed.kind) {
      case "signedIn":
        if (this.#dropsPipelined("AUTHENTICATE")) return;
        await this.#welcome(signed.account, mechanism);
        break;
      case "failed":
        this.#log.write("warning", "Sign-in refused", { account: signed.name, why: signed.why });
        this.#reply("NO authentication failure");
        break;
      case "cancelled":
        this.#reply("BAD Client canceled authentication");
        break;
      case "malformed":
        this.#log.write("warning", "Sign-in malformed", { why: signed.why });
        this.#reply("NO bad protocol / cancel");
        break;
      case "busy":
        this.#reply("NO too many sign-ins, try again later");
        break;
    }
  }

  async #welcome(account: Account, mechanism: Mechanism): Promise<void> {
    const { place } = this.#shared;
    const log = this.#log.with({ account: account.name });
    let session: PlaceSession;
    try {
      session = await place.openSession();
    } catch (error) {
      logFailure(log, error);
      return this.#reply("NO the store cannot be used now, its administrator can read why");
    }
    const [connection, shared] = [this.#connection, this.#shared];
    this.#reader.useLimits(shared.settings.limits);
    connection.readFarAhead();
    this.#signedIn = new SignedInSession({ account, session, connection, shared, log });
    this.#log = log;
    log.write("info", "Signed in", { mechanism, tls: connection.isEncrypted });
    this.#reply(`OK Success (${connection.isEncrypted ? "tls" : "no"} protection)`);
  }

  /** Sends a challenge and reads the client's line; undefined if it has gone. */
  async #ask(challenge: string): Promise<string | undefined> {
    this.#reply(`+ ${challenge}`);
    await this.#connection.flush();
    this.#inDialog = true;
    try {
      for (;;) {
        const leftMs = this.#signInUntil - performance.now();
        const got = await this.#connection.read(Math.max(0, leftMs));
        if (typeof got === "string") {
          this.#isOver = true;
          return undefined;
        }
        for (const event of this.#reader.feed(got)) {
          if (event.kind !== "text") return undefined;
          return this.#dropsPipelined("AUTHENTICATE") ? undefined : latin1(event.text);
        }
      }
    } finally {
      this.#inDialog = false;
    }
  }

  async #startTls(): Promise<void> {
    const { tls } = this.#shared.settings;
    if (tls === undefined) return this.#unknown("STARTTLS", "");
    if (this.#signedIn !== undefined) {
      return this.#reply("BAD Can't Starttls after authentication");
    }
    if (this.#connection.isEncrypted) return this.#reply("BAD Already did a successful Starttls");
    if (this.#connection.isCompressed) return this.#reply("BAD Can't Starttls with compression");
    if (this.#dropsPipelined("STARTTLS")) return;
    this.#reply("OK Begin TLS negotiation now");
    await this.#connection.flush();
    if (await shakeHands(this.#connection, tls, this.#log)) await this.#banner();
    else this.#isOver = true;
  }

  /**
   * Bytes sent together with a command that changes who can have written them prove nothing (an
   * attacker in the middle can put them there): they are dropped and the session ends.
   */
  #dropsPipelined(command: string): boolean {
    const rest = this.#reader.rest();
    if (rest.length === 0 && !this.#connection.hasMore) return false;
    this.#log.write("warning", `Bytes sent right after ${command}: the session is ended`);
    this.#end(`* Fatal error: bytes after ${command}`);
    return true;
  }

  async #compress(args: string): Promise<void> {
    const connection = this.#connection;
    if (connection.isCompressed) return this.#reply("NO Compression already active: DEFLATE");
    if (args.toUpperCase() !== "DEFLATE") {
      return this.#reply(`NO Unknown compression algorithm: ${args.slice(0, 64)}`);
    }
    if (!this.#shared.settings.compress || connection.isEncrypted) {
      return this.#reply("NO DEFLATE not available");
    }
    this.#reply("OK DEFLATE active");
    await connection.flush();
    connection.startCompression(this.#reader.rest());
  }

  #logFailure(error: unknown): void {
    if (error instanceof BrokenAnswer) return; // said already
    logFailure(this.#log, error, { what: "the session broke off" });
  }
}

function isMailbox({ words, name }: Extract<LineEvent, { kind: "dlist" }>): boolean {
  return verbOf(words) === "APPLY" && /^MAILBOX$/i.test(name);
}

function verbOf(words: readonly string[]): string {
  return (words[0] ?? "").toUpperCase();
}
