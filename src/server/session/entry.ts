/**
 * How a client gets in (sync-protocol.md 1.2 to 1.5): the banner, STARTTLS, COMPRESS and
 * AUTHENTICATE. Nothing here reads or writes mail.
 */
import type { Account } from "../../accounts/account.ts";
import { type Mechanism, offeredMechanisms, signIn } from "../../accounts/authenticate.ts";
import { latin1 } from "../../core/bytes.ts";
import { SIEVE_MAILBOX } from "../../formats/sync/capabilities.ts";
import { shakeHands } from "../../net/shake_hands.ts";
import type { SharedState } from "../server_settings.ts";
import type { Client } from "./client.ts";

/** The account that has signed in, and by which mechanism. */
export interface SignedIn {
  readonly account: Account;
  readonly mechanism: Mechanism;
}

export class Entry {
  readonly #client: Client;
  readonly #shared: SharedState;
  /** By the clock of `performance.now()`. */
  readonly #signInUntilMs: number;
  readonly #stopping: AbortSignal;
  #inDialog = false;

  constructor(client: Client, shared: SharedState, stopping: AbortSignal) {
    this.#client = client;
    this.#stopping = stopping;
    this.#shared = shared;
    this.#signInUntilMs = performance.now() + shared.settings.patience.signInMs;
  }

  /** True while the lines of the client are answers to challenges. */
  get inDialog(): boolean {
    return this.#inDialog;
  }

  /** Milliseconds that the client has left to sign in. */
  get leftMs(): number {
    return Math.max(0, this.#signInUntilMs - performance.now());
  }

  /** Sends what the server offers. */
  async banner(): Promise<void> {
    const { settings } = this.#shared;
    const { isEncrypted, isCompressed } = this.#client.connection;
    const isOpen = !this.#mustStartTls;
    // A Cyrus takes STARTTLS only where there is no way to sign in without it.
    if (isOpen) this.#client.reply(`* SASL ${this.#mechanisms().join(" ")}`);
    if (settings.tls !== undefined && !isEncrypted) this.#client.reply("* STARTTLS");
    if (isOpen && settings.compress && !isEncrypted && !isCompressed) {
      this.#client.reply("* COMPRESS DEFLATE");
    }
    if (isOpen) this.#client.reply(`* ${SIEVE_MAILBOX}`);
    this.#client.reply(`* OK ${settings.serverName} Bobbin sync server ${settings.version}`);
    await this.#client.connection.flush();
  }

  /** True where the client can do nothing but begin TLS. */
  get #mustStartTls(): boolean {
    const { isEncrypted, isLoopback } = this.#client.connection;
    const { requireTls } = this.#shared.settings;
    return !isEncrypted && (requireTls === "all" || (requireTls === "others" && !isLoopback));
  }

  #mechanisms(): readonly Mechanism[] {
    const { isEncrypted, isLoopback } = this.#client.connection;
    const { allowPlaintext } = this.#shared.settings;
    return offeredMechanisms({ mayBePlain: isEncrypted || isLoopback || allowPlaintext });
  }

  /** STARTTLS. False if the server has no certificate, and so no such command. */
  async startTls(options: { readonly isSignedIn: boolean }): Promise<boolean> {
    const { connection, log } = this.#client;
    const { tls } = this.#shared.settings;
    if (tls === undefined) return false;
    if (options.isSignedIn) this.#client.reply("BAD STARTTLS is refused: the session is signed in");
    else if (connection.isEncrypted)
      this.#client.reply("BAD STARTTLS is refused: the session has TLS");
    else if (connection.isCompressed)
      this.#client.reply("BAD STARTTLS is refused: the session is compressed");
    else if (!this.#client.dropsPipelined("STARTTLS")) {
      this.#client.reply("OK Ready for TLS");
      await connection.flush();
      if (await shakeHands(connection, tls(), log)) await this.banner();
      else this.#client.isOver = true;
    }
    return true;
  }

  async compress(args: string): Promise<void> {
    const { connection, reader } = this.#client;
    if (connection.isCompressed) return this.#client.reply("NO The session is compressed already");
    if (args.toUpperCase() !== "DEFLATE") {
      return this.#client.reply(
        `NO The server compresses with DEFLATE only, not with ${args.slice(0, 64)}`,
      );
    }
    const { compress } = this.#shared.settings;
    if (!compress || connection.isEncrypted || this.#mustStartTls) {
      return this.#client.reply("NO The server does not compress this session");
    }
    this.#client.reply("OK Compressed from here on");
    await connection.flush();
    connection.startCompression(reader.rest());
  }

  /**
   * Gives the account that has signed in, undefined if none has. The status of a success is left to
   * the caller, that of a failure has been sent.
   */
  async authenticate(args: string): Promise<SignedIn | undefined> {
    const client = this.#client;
    if (client.dropsPipelined("AUTHENTICATE")) return undefined;
    if (this.#mustStartTls) {
      client.reply("NO Sign-in wants TLS: send STARTTLS first");
      return undefined;
    }
    const [name = "", initial, ...more] = args.split(" ");
    const mechanism = this.#mechanisms().find((one) => one === name.toUpperCase());
    if (mechanism === undefined || more.length > 0) {
      client.reply("NO No such mechanism is offered");
      return undefined;
    }
    const signed = await this.#whileWaitedFor((signal) =>
      signIn(mechanism, {
        accounts: this.#shared.accounts(),
        gate: this.#shared.gate,
        address: client.connection.address,
        initial: initial === "" ? undefined : initial,
        signal,
        ask: (challenge) => this.#ask(challenge),
      }),
    );
    switch (signed.kind) {
      case "signedIn":
        if (client.dropsPipelined("AUTHENTICATE")) return undefined;
        return { account: signed.account, mechanism };
      case "failed":
        client.log.write("warning", "Sign-in refused", { account: signed.name, why: signed.why });
        client.reply("NO Wrong name or password");
        return undefined;
      case "cancelled":
        client.reply("BAD Sign-in was given up");
        return undefined;
      case "malformed":
        client.log.write("warning", "Sign-in malformed", { why: signed.why });
        client.reply("NO Malformed sign-in");
        return undefined;
      case "busy":
        client.reply("NO Too many sign-ins at once: try again later");
        return undefined;
    }
  }

  /**
   * Gives `work` a signal that is aborted when the client sends no more, for what it has not sent
   * cannot follow its sign-in, and when the server stops.
   */
  async #whileWaitedFor<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { gone } = this.#client.connection;
    const signals = [gone, this.#stopping];
    const controller = new AbortController();
    const abort = () => controller.abort();
    if (signals.some(({ aborted }) => aborted)) abort();
    for (const signal of signals) signal.addEventListener("abort", abort);
    try {
      return await work(controller.signal);
    } finally {
      for (const signal of signals) signal.removeEventListener("abort", abort);
    }
  }

  /** Sends a challenge and reads the client's line; undefined if it has gone. */
  async #ask(challenge: string): Promise<string | undefined> {
    const client = this.#client;
    client.reply(`+ ${challenge}`);
    await client.connection.flush();
    this.#inDialog = true;
    try {
      for (;;) {
        const got = await client.connection.read(this.leftMs);
        if (typeof got === "string") {
          client.isOver = true;
          return undefined;
        }
        for (const event of client.reader.feed(got)) {
          if (event.kind !== "text") return undefined;
          return client.dropsPipelined("AUTHENTICATE") ? undefined : latin1(event.text);
        }
      }
    } finally {
      this.#inDialog = false;
    }
  }
}
