/**
 * From a fresh connection to a session that may work: banner, STARTTLS, AUTHENTICATE, COMPRESS and
 * CAPABILITIES (sync-protocol.md 1.2, 1.4, 1.5), in both flavours.
 */
import { randomBytes } from "node:crypto";
import { textOf, utf8 } from "../../core/bytes.ts";
import { AppError, FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { DlistEntry } from "../../formats/dlist/value.ts";
import { printPlain } from "../../formats/sasl/plain.ts";
import { makeClientFinal, makeClientFirst } from "../../formats/sasl/scram.ts";
import { printApply } from "../../formats/sync/apply_command.ts";
import { LOST_OWNERS, SIEVE_MAILBOX } from "../../formats/sync/capabilities.ts";
import type { Connection } from "../../net/connection.ts";
import { dial, dialTls } from "../../net/dial.ts";
import { provoke } from "../../net/speech.ts";
import { Dialogue, type Reply } from "./dialogue.ts";
import { type Peer, parseGreeting } from "./peer.ts";
import { SYNC_PATIENCE, type SyncOptions, type SyncPatience } from "./sync_options.ts";
import { can } from "./versions.ts";
import { noGreeting, withoutTls, wrongSpeech } from "./wrong_port.ts";

/** A session that is signed in; `dialogue.connection` must be closed in the end. */
export interface Link {
  readonly dialogue: Dialogue;
  readonly peer: Peer;
  /**
   * What is given up on the way to another machine without TLS: a mechanism that hides the password
   * hides no mail.
   */
  readonly caveat: string | undefined;
}

const BANNER_LINES = 64;

/**
 * A link that reads only is told of scripts as files too, where the server keeps both. After a mere
 * sign-in another protocol begins.
 */
export type LinkPurpose = "read" | "write" | "signIn";

/**
 * Connects and signs in. Throws AppError: unreachable, protocol, refused, or what `password`
 * throws.
 */
export async function openLink(options: SyncOptions, purpose: LinkPurpose): Promise<Link> {
  const { address, trust = {} } = options;
  const patient = { ...SYNC_PATIENCE, ...options };
  const patience = { ...patient, stalledMs: patient.silenceMs };
  const connection = await dial(address, {
    tls: address.isTls ? trust : undefined,
    patience,
  }).catch(async (error) => {
    const isTls = address.isTls && error instanceof AppError;
    throw isTls ? await withoutTls(address, error, patience) : error;
  });
  try {
    return await new SignIn(connection, patient).run(purpose);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

class SignIn {
  readonly #options: SyncOptions & SyncPatience;
  readonly #connection: Connection;
  readonly #dialogue: Dialogue;
  readonly #where: string;
  readonly #isImap: boolean;

  constructor(connection: Connection, options: SyncOptions & SyncPatience) {
    const { flavour, host, port } = options.address;
    this.#options = options;
    this.#connection = connection;
    this.#where = `${host}:${port}`;
    this.#isImap = flavour === "imap";
    const { limits = DEFAULT_LIMITS, silenceMs } = options;
    const where = this.#where;
    this.#dialogue = new Dialogue(connection, { flavour, limits, where, silenceMs });
  }

  async run(purpose: LinkPurpose): Promise<Link> {
    let peer = await this.#greeting();
    const compressible = peer.capabilities.has("COMPRESS=DEFLATE");
    if (this.#wantsTls(peer)) peer = await this.#startTls(peer);
    const mechanism = this.#mechanismFor(peer);
    const password = await this.#options.password();
    const capabilities =
      mechanism === "PLAIN" ? await this.#plain(peer, password) : await this.#scram(peer, password);
    peer = { ...peer, capabilities: new Set([...peer.capabilities, ...capabilities]) };
    if (compressible && !this.#isImap) await this.#compress();
    if (purpose !== "signIn") await this.#enable(peer, purpose);
    return { dialogue: this.#dialogue, peer, caveat: this.#caveat(mechanism) };
  }

  #caveat(mechanism: "PLAIN" | "SCRAM-SHA-256"): string | undefined {
    if (this.#connection.isEncrypted || this.#connection.isLoopback) return undefined;
    const password = mechanism === "PLAIN" ? ", the password too" : "";
    const risk = `whoever sits on the way can read and change everything${password}`;
    return `Nothing is encrypted between here and ${this.#where}: ${risk}`;
  }

  /** Reads what the server says of itself, up to its `* OK`. */
  async #greeting(): Promise<Peer> {
    const { address, greetingMs } = this.#options;
    const first = await this.#connection.peek(greetingMs);
    if (typeof first === "string") {
      const said = first === "timeout" ? await provoke(this.#connection) : first;
      throw noGreeting(address, first, said);
    }
    const { isEncrypted } = this.#connection;
    const wrong = wrongSpeech(address, first, { isEncrypted });
    if (wrong !== undefined) throw wrong;
    this.#dialogue.expectWithin(greetingMs);
    const capabilities = new Set<string>();
    for (let count = 0; count < BANNER_LINES; count++) {
      const line = await this.#dialogue.line();
      if (/^(\* )?BYE\b|^\* (NO|BAD|Fatal)/i.test(line)) {
        throw new AppError("unreachable", `${this.#where} takes no session: ${line}`);
      }
      const [, ready] = /^\* (?:OK|PREAUTH)\b ?(.*)$/is.exec(line) ?? [];
      if (ready === undefined) {
        for (const word of capabilitiesIn(line)) capabilities.add(word);
        continue;
      }
      for (const word of codeOf(ready)) capabilities.add(word);
      if (this.#isImap && capabilities.size === 0) {
        for (const word of await this.#askCapabilities()) capabilities.add(word);
      }
      return { ...parseGreeting(ready), capabilities };
    }
    throw this.#protocol("its banner has no end");
  }

  /** A line with a tag, where there are tags; gives the lines before the status and the status. */
  async #ask(tag: string, line: string): Promise<{ lines: string[]; status: string }> {
    await this.#send(this.#isImap ? `${tag} ${line}` : line);
    return this.#outcome(tag);
  }

  async #send(line: string): Promise<void> {
    this.#dialogue.expectWithin(this.#options.signInMs);
    await this.#dialogue.send(line);
  }

  async #outcome(tag: string): Promise<{ lines: string[]; status: string }> {
    const lines: string[] = [];
    for (let count = 0; count < BANNER_LINES; count++) {
      const line = await this.#dialogue.line();
      if (/^(\* )?BYE\b|^\* Fatal/i.test(line)) {
        throw new AppError("unreachable", `${this.#where} has ended the session: ${line}`);
      }
      const isDone = this.#isImap ? line.startsWith(`${tag} `) : !line.startsWith("* ");
      if (line.startsWith("+") || isDone) {
        const skip = this.#isImap && isDone ? tag.length + 1 : 0;
        return { lines, status: line.slice(skip) };
      }
      lines.push(line);
    }
    throw this.#protocol("it does not come to an end");
  }

  async #askCapabilities(): Promise<string[]> {
    const { lines } = await this.#ask("C01", "CAPABILITY");
    return lines.flatMap((line) => {
      const words = /^\* CAPABILITY (.*)$/i.exec(line)?.[1];
      return words === undefined ? [] : words.toUpperCase().split(" ");
    });
  }

  #wantsTls(peer: Peer): boolean {
    const { startTls = "auto" } = this.#options;
    const isOffered = peer.capabilities.has("STARTTLS");
    if (this.#connection.isEncrypted || startTls === "never") return false;
    if (startTls === "always" && !isOffered) {
      throw new AppError("refused", `${this.#where} does not offer STARTTLS`, {
        hint: "It has no certificate: tls_server_cert in imapd.conf, --tls-cert of bobbin serve",
      });
    }
    if (!isOffered) return false;
    return startTls === "always" || !this.#connection.isLoopback || !this.#canSignIn(peer);
  }

  async #startTls(before: Peer): Promise<Peer> {
    const { status } = await this.#ask("S01", "STARTTLS");
    if (!/^OK\b/i.test(status)) throw this.#protocol(`STARTTLS: ${status}`);
    // Bytes that came with the answer are not the server's own words: nobody has signed them.
    if (this.#dialogue.rest().length > 0) throw this.#protocol("it talks on before TLS begins");
    const { address, trust = {} } = this.#options;
    await dialTls(this.#connection, address, trust);
    if (!this.#isImap) return this.#greeting();
    return { ...before, capabilities: new Set(await this.#askCapabilities()) };
  }

  #canSignIn(peer: Peer): boolean {
    const { isEncrypted, isLoopback } = this.#connection;
    const mayBePlain = isEncrypted || isLoopback || this.#options.allowPlaintext === true;
    const { capabilities } = peer;
    return capabilities.has("AUTH=SCRAM-SHA-256") || (mayBePlain && capabilities.has("AUTH=PLAIN"));
  }

  #mechanismFor(peer: Peer): "PLAIN" | "SCRAM-SHA-256" {
    if (!this.#canSignIn(peer)) {
      const offered = [...peer.capabilities]
        .filter((word) => word.startsWith("AUTH="))
        .map((word) => word.slice("AUTH=".length));
      const isTlsLeft = peer.capabilities.has("STARTTLS") && this.#options.startTls === "never";
      const plain = offered.includes("PLAIN")
        ? "PLAIN would send the password in the clear: use TLS, or --allow-plaintext"
        : "Bobbin signs in with SCRAM-SHA-256, or with PLAIN under TLS";
      const hint = isTlsLeft ? "It wants TLS first: leave out --starttls never" : plain;
      const text = `Cannot sign in to ${this.#where}: it offers ${offered.join(", ") || "nothing"}`;
      throw new AppError("refused", text, { hint });
    }
    return peer.capabilities.has("AUTH=SCRAM-SHA-256") ? "SCRAM-SHA-256" : "PLAIN";
  }

  async #plain(peer: Peer, password: string): Promise<string[]> {
    const message = printPlain({ authzid: "", authcid: this.#options.address.user, password });
    const first = await this.#authenticate("PLAIN", message, peer);
    return this.#signedIn(first);
  }

  async #scram(peer: Peer, password: string): Promise<string[]> {
    const nonce = randomBytes(18).toString("base64");
    const first = makeClientFirst(this.#options.address.user, nonce);
    const challenge = await this.#authenticate("SCRAM-SHA-256", utf8(first.text), peer);
    if (!challenge.startsWith("+")) return this.#signedIn(challenge);
    try {
      const final = makeClientFinal(this.#textIn(challenge), first, password);
      const last = await this.#respond(utf8(final.text));
      if (!last.startsWith("+")) return this.#signedIn(last, "it has not proved that it knows us");
      if (this.#textIn(last) !== final.serverFinal) {
        throw this.#protocol("it does not know the password that it has accepted");
      }
    } catch (error) {
      if (error instanceof FormatError) throw this.#protocol(error.message, error);
      throw error;
    }
    return this.#signedIn(await this.#respond(new Uint8Array()));
  }

  /** Sends AUTHENTICATE and the first message, at once where the server takes it so. */
  async #authenticate(mechanism: string, first: Uint8Array, peer: Peer): Promise<string> {
    const isAtOnce = !this.#isImap || peer.capabilities.has("SASL-IR");
    const initial = isAtOnce ? ` ${Buffer.from(first).toString("base64")}` : "";
    const { status } = await this.#ask("A01", `AUTHENTICATE ${mechanism}${initial}`);
    return isAtOnce || !status.startsWith("+") ? status : this.#respond(first);
  }

  async #respond(message: Uint8Array): Promise<string> {
    await this.#send(Buffer.from(message).toString("base64"));
    return (await this.#outcome("A01")).status;
  }

  #textIn(challenge: string): string {
    return textOf(Buffer.from(challenge.slice(1).trim(), "base64")) ?? "";
  }

  /** The capabilities that come with success. */
  #signedIn(status: string, objection?: string): string[] {
    const { user } = this.#options.address;
    if (!/^OK\b/i.test(status)) {
      throw new AppError("refused", `Cannot sign in to ${this.#where} as ${user}: ${status}`, {
        context: { user },
        hint: "Look at the account's name and password; the server's log may say more",
      });
    }
    if (objection !== undefined) throw this.#protocol(objection);
    return codeOf(status.slice("OK ".length));
  }

  async #compress(): Promise<void> {
    const isWanted = this.#options.compress ?? !this.#connection.isLoopback;
    if (!isWanted || this.#connection.isEncrypted) return;
    const { status } = await this.#ask("", "COMPRESS DEFLATE");
    if (!/^OK\b/i.test(status)) throw this.#protocol(`COMPRESS: ${status}`);
    this.#connection.startCompression(this.#dialogue.rest());
  }

  /**
   * Enables what Bobbin knows; finds out whether this account may replicate. Where nothing can be
   * enabled, RESTART tells it: every version has that.
   */
  async #enable(peer: Peer, purpose: LinkPurpose): Promise<void> {
    const { user } = this.#options.address;
    if (this.#isImap && !peer.capabilities.has("X-REPLICATION")) {
      throw new AppError("refused", `${this.#where} does not replicate within IMAP`, {
        hint: "Cyrus does so from 3.0 on; sync:// speaks to its sync server",
      });
    }
    const { status } = await (can(peer, "CAPABILITIES")
      ? this.#dialogue.command("APPLY", this.#capabilities(peer, purpose))
      : this.#restart());
    if (status.kind === "OK") return;
    const text = `${user} may not replicate on ${this.#where}: ${status.text}`;
    throw new AppError("refused", text, {
      context: { user },
      hint: `It must be an admin there: \`admins: ${user}\` in its imapd.conf`,
    });
  }

  #capabilities(peer: Peer, purpose: LinkPurpose): DlistEntry {
    const isWanted = purpose === "write" || !givesSieveFiles(peer, this.#options.sieve);
    const isPossible = hasSieveMailbox(peer) && this.#options.sieve !== "files";
    const names: string[] = isWanted && isPossible ? [SIEVE_MAILBOX] : [];
    if (peer.software === "bobbin" && this.#options.isSource === true) names.push(LOST_OWNERS);
    return printApply({ kind: "capabilities", names });
  }

  async #restart(): Promise<Reply> {
    await this.#dialogue.begin("RESTART");
    return this.#dialogue.finish();
  }

  #protocol(what: string, cause?: Error): AppError {
    return new AppError("protocol", `Cannot sign in to ${this.#where}: ${what}`, { cause });
  }
}

/** Whether scripts can travel as a mailbox. */
export function hasSieveMailbox(peer: Peer): boolean {
  return peer.capabilities.has(SIEVE_MAILBOX) || peer.capabilities.has("X-SIEVE-MAILBOX");
}

/**
 * Whether scripts are asked for as files. Bobbin keeps files and mailbox apart; what Cyrus shows as
 * files since 3.6 are the messages of the mailbox once more.
 */
export function givesSieveFiles(peer: Peer, wanted: SyncOptions["sieve"]): boolean {
  return wanted === "files" || peer.software === "bobbin" || !hasSieveMailbox(peer);
}

/** The capabilities in a line of the banner: `* SASL PLAIN`, `* COMPRESS DEFLATE`, `* STARTTLS`. */
function capabilitiesIn(line: string): string[] {
  const [star, word = "", ...rest] = line.toUpperCase().split(" ");
  if (star !== "*") return [];
  if (word === "SASL") return rest.map((mechanism) => `AUTH=${mechanism}`);
  return rest.length === 0 ? [word] : rest.map((value) => `${word}=${value}`);
}

/** Those in the `[CAPABILITY …]` with which IMAP answers begin. */
function codeOf(text: string): string[] {
  const words = /^\[CAPABILITY ([^\]]*)\]/i.exec(text)?.[1];
  return words === undefined ? [] : words.toUpperCase().split(" ");
}
