/**
 * A connection to a server as bytes in and bytes out, whatever lies between: plain TCP, TLS at once or after
 * STARTTLS, raw deflate after COMPRESS. Reading is by pull, writing waits for a slow server. When the server
 * has gone, or is silent for too long, every call throws AppError (unreachable).
 */
import { isIP, connect as netConnect, type Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw } from "node:zlib";
import { AppError } from "../core/errors.ts";

/** What makes a certificate good. */
export interface TlsTrust {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** Take any certificate: whoever sits on the way can read and change everything. */
  readonly insecure?: boolean | undefined;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Present: TLS from the first byte on. */
  readonly tls?: TlsTrust | undefined;
  /** For the connection to come up, TLS included. */
  readonly connectMs: number;
  /** The longest silence of the server while something is awaited of it. */
  readonly silenceMs: number;
}

/** Bytes that are read ahead of who asks for them. */
const READ_AHEAD_BYTES = 1024 * 1024;
/** Bytes gathered before they are written. */
const WRITE_BEHIND_BYTES = 256 * 1024;
/** Pieces from here on are written as they are: gathering would cost a copy and save little. */
const WRITTEN_ALONE_BYTES = 64 * 1024;
const LAST_BYTES_MS = 2_000;

/** A piece of memory in which small pieces are gathered. */
interface Gathering {
  readonly bytes: Uint8Array;
  /** What is between is to be written. */
  start: number;
  end: number;
  /** Writes of it that the system has not taken yet. */
  underWay: number;
}

function newGathering(length: number): Gathering {
  return { bytes: Buffer.allocUnsafeSlow(length), start: 0, end: 0, underWay: 0 };
}

export class Connection {
  readonly #where: string;
  readonly #options: ConnectOptions;
  #socket: Socket;
  #input: Readable;
  #output: Writable;
  #isEncrypted: boolean;
  #deflate: DeflateRaw | undefined;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  #ended = false;
  #failed: Error | undefined;
  #wake: (() => void) | undefined;
  #gathering = newGathering(0);
  /** To be used again: new memory for all that is sent would cost more than the copying. */
  readonly #spare: Gathering[] = [];

  private constructor(socket: Socket, options: ConnectOptions) {
    this.#where = `${options.host}:${options.port}`;
    this.#options = options;
    this.#socket = socket;
    this.#input = socket;
    this.#output = socket;
    this.#isEncrypted = options.tls !== undefined;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  /** Connects. Throws AppError (unreachable), also for a certificate that is not trusted. */
  static async open(options: ConnectOptions): Promise<Connection> {
    const { host, port, tls } = options;
    const socket =
      tls === undefined
        ? netConnect({ host, port })
        : tlsConnect({ host, port, ...trustOptions(host, tls) });
    await established(socket, tls === undefined ? "connect" : "secureConnect", options);
    return new Connection(socket, options);
  }

  get isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  get isLoopback(): boolean {
    return /^(127\.|::1$|::ffff:127\.)/.test(this.#socket.remoteAddress ?? "");
  }

  /** The next bytes. */
  async read(): Promise<Uint8Array> {
    if (this.#chunks.length === 0 && !this.#ended) await this.#arrival();
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      throw this.#ended ? this.#gone() : this.#silent();
    }
    this.#chunkBytes -= chunk.length;
    if (this.#chunkBytes < READ_AHEAD_BYTES) this.#input.resume();
    return chunk;
  }

  /** Queues bytes, which must not change any more; the promise, if there is one, must be waited for. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (bytes.length >= WRITTEN_ALONE_BYTES) {
      const before = this.#writeGathered();
      return before === undefined ? this.#write(bytes) : before.then(() => this.#write(bytes));
    }
    const hasRoom = bytes.length <= this.#gathering.bytes.length - this.#gathering.end;
    const writing = hasRoom ? undefined : this.#writeGathered();
    if (!hasRoom) this.#gathering = this.#emptyGathering();
    const { bytes: target, end } = this.#gathering;
    target.set(bytes, end);
    this.#gathering.end = end + bytes.length;
    return writing;
  }

  #emptyGathering(): Gathering {
    const { bytes, underWay } = this.#gathering;
    const isFree = underWay === 0 && bytes.length > 0;
    if (!isFree) return this.#spare.pop() ?? newGathering(WRITE_BEHIND_BYTES);
    return { bytes, start: 0, end: 0, underWay };
  }

  /** Sends everything queued. */
  async flush(): Promise<void> {
    await this.#writeGathered();
    const deflate = this.#deflate;
    if (deflate === undefined || this.#ended) return;
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
  }

  /** Takes the connection over into TLS. */
  async startTls(trust: TlsTrust): Promise<void> {
    const plain = this.#socket;
    this.#unlisten(plain);
    const secure = tlsConnect({ socket: plain, ...trustOptions(this.#options.host, trust) });
    await established(secure, "secureConnect", this.#options);
    this.#socket = secure;
    this.#input = secure;
    this.#output = secure;
    this.#isEncrypted = true;
    this.#listen(secure);
  }

  /** Compresses both ways from here on; `rest` was read already and belongs to the compressed stream. */
  startCompression(rest: Uint8Array): void {
    const socket: Duplex = this.#socket;
    this.#unlisten(socket);
    const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    // Speed counts for more than the last percent: this is what zlib is slow at.
    const deflate = createDeflateRaw({ level: 1, finishFlush: constants.Z_SYNC_FLUSH });
    this.#input = inflate;
    this.#output = deflate;
    this.#deflate = deflate;
    socket.on("error", this.#onError);
    this.#listen(inflate);
    deflate.on("error", this.#onError);
    const early = [rest, ...this.#chunks];
    this.#chunks = [];
    this.#chunkBytes = 0;
    for (const chunk of early) if (chunk.length > 0) inflate.write(chunk);
    socket.pipe(inflate);
    deflate.pipe(socket);
  }

  /** Sends what is queued and closes; a server that does not take it is cut off. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (!this.#ended && !socket.destroyed) {
      const timer = setTimeout(() => socket.destroy(), LAST_BYTES_MS);
      const closed = new Promise<void>((resolve) => {
        socket.once("close", () => resolve());
        if (socket.destroyed) resolve();
      });
      try {
        await this.flush();
        this.#output.end();
        this.#input.resume();
        await closed;
      } catch (error) {
        if (!(error instanceof AppError)) throw error; // it has gone by itself
      } finally {
        clearTimeout(timer);
      }
    }
    socket.destroy();
  }

  /** Cuts the connection off. */
  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
    this.#wake?.();
  }

  #gone(): AppError {
    const why = this.#failed === undefined ? "" : `: ${this.#failed.message}`;
    const text = `${this.#where} has closed the connection${why}`;
    return new AppError("unreachable", text, { cause: this.#failed });
  }

  #silent(): AppError {
    const seconds = Math.round(this.#options.silenceMs / 1000);
    this.destroy();
    return new AppError("unreachable", `${this.#where} has been silent for ${seconds} s`);
  }

  readonly #onData = (chunk: Uint8Array) => {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    if (this.#chunkBytes >= READ_AHEAD_BYTES) this.#input.pause();
    this.#wake?.();
  };

  readonly #onEnd = () => {
    this.#ended = true;
    this.#wake?.();
  };

  readonly #onError = (error: Error) => {
    this.#failed ??= error;
    this.#ended = true;
    this.#wake?.();
  };

  #listen(stream: Readable): void {
    stream.on("data", this.#onData);
    stream.on("end", this.#onEnd);
    stream.on("close", this.#onEnd);
    stream.on("error", this.#onError);
  }

  #unlisten(stream: Readable): void {
    stream.off("data", this.#onData);
    stream.off("end", this.#onEnd);
    stream.off("close", this.#onEnd);
    stream.off("error", this.#onError);
  }

  async #arrival(): Promise<void> {
    const timer = setTimeout(() => this.#wake?.(), this.#options.silenceMs);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    clearTimeout(timer);
  }

  #writeGathered(): Promise<void> | undefined {
    const gathering = this.#gathering;
    const { bytes, start, end } = gathering;
    if (start === end) return undefined;
    // What is left of it is used on: a flush after each small command needs no new memory.
    gathering.start = end;
    gathering.underWay++;
    return this.#write(bytes.subarray(start, end), () => {
      gathering.underWay--;
      if (gathering.underWay > 0 || gathering === this.#gathering) return;
      this.#spare.push({ bytes, start: 0, end: 0, underWay: 0 });
    });
  }

  /** Writes, and waits while the server does not take it; `taken` is called when nobody reads the bytes any more. */
  async #write(bytes: Uint8Array, taken?: () => void): Promise<void> {
    const output = this.#output;
    if (this.#ended) throw this.#gone();
    if (output.write(bytes, taken)) return;
    const socket = this.#socket;
    const isStuck = await new Promise<boolean>((resolve) => {
      const settle = (stuck: boolean) => {
        clearTimeout(timer);
        output.off("drain", onDrain);
        socket.off("close", onDrain);
        resolve(stuck);
      };
      const onDrain = () => settle(false);
      const timer = setTimeout(() => settle(true), this.#options.silenceMs);
      output.on("drain", onDrain);
      socket.on("close", onDrain);
    });
    if (isStuck) throw this.#silent();
    if (socket.destroyed) throw this.#gone();
  }
}

function trustOptions(host: string, trust: TlsTrust) {
  return {
    minVersion: "TLSv1.2" as const,
    rejectUnauthorized: trust.insecure !== true,
    // An IP address is no server name; it is checked against the certificate all the same.
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
  };
}

/** Waits for `event` of a socket that is coming up. */
function established(socket: Socket, event: string, options: ConnectOptions): Promise<void> {
  const { host, port, connectMs } = options;
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      const isTrust = /certificate|altname|self.signed|unable to (get|verify)/i.test(why);
      const hint = isTrust ? "--ca FILE names the authority to trust" : undefined;
      const text = `Cannot connect to ${host}:${port}: ${why}`;
      const context = { host, port };
      reject(
        new AppError("unreachable", text, {
          ...{ cause, context },
          ...(hint === undefined ? {} : { hint }),
        }),
      );
    };
    const onError = (error: Error) => fail(error.message, error);
    const onClose = () => fail("the connection was closed");
    const timer = setTimeout(() => fail(`no answer in ${connectMs / 1000} s`), connectMs);
    socket.once("error", onError);
    socket.once("close", onClose);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off("error", onError);
      socket.off("close", onClose);
      resolve();
    });
  });
}
