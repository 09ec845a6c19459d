/** A client that speaks csync by hand, a line at a time. */
import { connect, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { constants, createDeflateRaw, createInflateRaw } from "node:zlib";
import { fromLatin1, latin1 } from "../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { DlistReader, type LineEvent, type ReaderEvent } from "../../src/formats/dlist/reader.ts";
import { expectAnswer } from "./captures.ts";

/** What a server answered to one command. */
export interface Reply {
  /** Data lines without `* ` and line end; literals and files are in them, as sent. */
  readonly data: readonly string[];
  /** `OK success`; "closed" if the server has gone. */
  readonly status: string;
}

const STATUS = /^(OK|NO|BAD|BYE|\+|[A-Z]\d+ (OK|NO|BAD)|\* (OK|Fatal)) ?/;
const PATIENCE_MS = 20_000;

export class Csync {
  #socket: Socket;
  #reader = newReader();
  /** Lines that nobody has asked for yet. */
  readonly #lines: string[] = [];
  /** Bytes of the line that is being read, for its exact text. */
  #raw: Uint8Array[] = [];
  #closed = false;
  #wake: (() => void) | undefined;
  #deflate: ReturnType<typeof createDeflateRaw> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#attach(socket);
  }

  /** Connects and reads the banner. */
  static async open(
    port: number,
    options: {
      readonly tls?: boolean;
      readonly from?: string | undefined;
      readonly host?: string;
    } = {},
  ): Promise<{ client: Csync; banner: Reply }> {
    const { from, tls = false, host = "127.0.0.1" } = options;
    const at = { host, port, ...(from !== undefined && { localAddress: from }) };
    const socket = tls
      ? connectTls({ ...at, rejectUnauthorized: false })
      : connect({ ...at, allowHalfOpen: true });
    const client = new Csync(socket);
    return { client, banner: await client.reply() };
  }

  /** Connects and signs in with PLAIN. */
  static async signedIn(port: number, name = "admin", password = "labpass"): Promise<Csync> {
    const { client } = await Csync.open(port);
    const initial = Buffer.from(`\0${name}\0${password}`).toString("base64");
    const { status } = await client.command(`AUTHENTICATE PLAIN ${initial}`);
    if (!status.startsWith("OK")) throw new Error(`cannot sign in as ${name}: ${status}`);
    return client;
  }

  /** Sends a line (or more, or part of one) and reads up to the status. */
  async command(text: string): Promise<Reply> {
    this.send(`${text}\r\n`);
    return this.reply();
  }

  /** Sends text in latin1, as it stands. */
  send(text: string | Uint8Array): void {
    const bytes = typeof text === "string" ? fromLatin1(text) : text;
    if (this.#closed) return;
    if (this.#deflate === undefined) this.#socket.write(bytes);
    else {
      this.#deflate.write(bytes);
      this.#deflate.flush(constants.Z_SYNC_FLUSH);
    }
  }

  /** Sends bytes as they stand, also where the connection is compressed. */
  sendRaw(bytes: Uint8Array): void {
    if (!this.#closed) this.#socket.write(bytes);
  }

  /** Reads up to the next status line. */
  async reply(): Promise<Reply> {
    const data: string[] = [];
    for (;;) {
      const line = await this.#line();
      if (line === undefined) return { data, status: "closed" };
      if (STATUS.test(line)) return { data, status: line };
      data.push(line.replace(/^\* /, ""));
    }
  }

  /** Goes over to DEFLATE. */
  async compress(): Promise<void> {
    const { status } = await this.command("COMPRESS DEFLATE");
    if (!status.startsWith("OK ")) throw new Error(status);
    const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    // What the server has sent last may still be in the inflater when its socket has ended.
    for (const event of ["data", "end", "close"]) this.#socket.removeAllListeners(event);
    this.#socket.pipe(inflate);
    inflate.on("end", () => {
      this.#closed = true;
      this.#wake?.();
      this.#socket.end();
    });
    inflate.on("data", (chunk: Uint8Array) => this.#take(chunk));
    this.#deflate = createDeflateRaw();
    this.#deflate.pipe(this.#socket);
  }

  /** Goes over to TLS and reads the new banner. */
  async startTls(): Promise<Reply> {
    const { status } = await this.command("STARTTLS");
    if (!status.startsWith("OK")) throw new Error(status);
    this.#socket.removeAllListeners("data");
    const secure = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    this.#socket = secure;
    this.#attach(secure);
    return this.reply();
  }

  /** The name in the certificate that the server has shown. */
  get certificateName(): string | undefined {
    const socket = this.#socket;
    return socket instanceof TLSSocket ? String(socket.getPeerCertificate().subject.CN) : undefined;
  }

  /** Says that nothing more will be sent. */
  end(): void {
    this.#socket.end();
  }

  /** Reads nothing more of what the server sends. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #attach(socket: Socket): void {
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    socket.on("error", () => socket.destroy());
    const gone = () => {
      this.#closed = true;
      this.#wake?.();
    };
    socket.on("close", gone);
    socket.on("end", () => {
      gone();
      socket.end();
    });
  }

  #take(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const rest = chunk.subarray(at);
      const found = firstLine(this.#reader, rest);
      const used = found === undefined ? rest.length : rest.length - this.#reader.rest().length;
      this.#raw.push(rest.subarray(0, used));
      at += used;
      if (found === undefined) break;
      this.#lines.push(latin1(Buffer.concat(this.#raw)).replace(/\r?\n$/, ""));
      this.#raw = [];
    }
    this.#wake?.();
  }

  async #line(): Promise<string | undefined> {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.#lines.length === 0) {
      if (this.#closed) return undefined;
      if (Date.now() > deadline) throw new Error("the server does not answer");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#lines.shift();
  }
}

function newReader(): DlistReader {
  return new DlistReader({ limits: DEFAULT_LIMITS, expect: expectAnswer });
}

function firstLine(reader: DlistReader, bytes: Uint8Array): LineEvent | undefined {
  for (const event of reader.feed(bytes)) if (isLine(event)) return event;
  return undefined;
}

function isLine(event: ReaderEvent): event is LineEvent {
  return event.kind === "text" || event.kind === "dlist" || event.kind === "malformed";
}
