/**
 * One client's connection as bytes in and bytes out, whatever lies between: plain TCP, TLS at once or after
 * STARTTLS, raw deflate after COMPRESS. Reading is by pull, and a client that does not read is not
 * written for: nothing grows without bound.
 */
import type { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { TLSSocket } from "node:tls";
import { constants, createDeflateRaw, type DeflateRaw } from "node:zlib";
import { concat } from "../core/bytes.ts";
import { inflateFrom } from "./inflater.ts";

/** How long a client may keep us waiting, in milliseconds. */
export interface Patience {
  /** From the connection to the end of its sign-in. */
  readonly signInMs: number;
  /** In the TLS handshake. */
  readonly handshakeMs: number;
  /** Taking no byte of an answer. */
  readonly stalledMs: number;
}

export const PATIENCE: Patience = { signInMs: 120_000, handshakeMs: 30_000, stalledMs: 120_000 };

export interface TlsIdentity {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

/** Bytes that are read ahead of who asks for them, at first and from sign-in on. */
const STRANGERS_AHEAD_BYTES = 16 * 1024;
const READ_AHEAD_BYTES = 1024 * 1024;
/** Answers are gathered up to here before they are written. */
const WRITE_BEHIND_BYTES = 64 * 1024;
const LAST_BYTES_MS = 2_000;

export type ReadResult = Uint8Array | "end" | "timeout";

/** A connection that is there; it must be closed in the end. */
export class Connection {
  readonly address: string;
  #socket: Socket | TLSSocket;
  #input: Readable;
  #output: Writable;
  #deflate: DeflateRaw | undefined;
  /** True while the deflater may hold bytes that the client waits for. */
  #isHeldBack = false;
  #isEncrypted = false;
  readonly #patience: Patience;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  #aheadBytes = STRANGERS_AHEAD_BYTES;
  #ended = false;
  #failed: Error | undefined;
  #wake: (() => void) | undefined;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Ends when the client has taken enough of what was handed over. */
  #draining: Promise<void> | undefined;

  constructor(socket: Socket, patience: Patience) {
    this.address = socket.remoteAddress ?? "unknown";
    this.#socket = socket;
    this.#input = socket;
    this.#output = socket;
    this.#patience = patience;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  get isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  get isCompressed(): boolean {
    return this.#deflate !== undefined;
  }

  /** True when bytes have come that nobody has read. */
  get hasMore(): boolean {
    return this.#chunkBytes > 0;
  }

  get isLoopback(): boolean {
    return /^(127\.|::1$|::ffff:127\.)/.test(this.address);
  }

  /** The next bytes; "end" when the client sends no more, "timeout" after `timeoutMs` without any. */
  async read(timeoutMs: number): Promise<ReadResult> {
    if (this.#chunks.length === 0 && !this.#ended) await this.#arrival(timeoutMs);
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return this.#ended ? "end" : "timeout";
    this.#chunkBytes -= chunk.length;
    if (this.#chunkBytes < this.#aheadBytes) this.#input.resume();
    return chunk;
  }

  /** The client has signed in: from now on its bytes may pile up a little. */
  readFarAhead(): void {
    this.#aheadBytes = READ_AHEAD_BYTES;
  }

  /** Ends a read that waits, with "timeout": there is something else to do. */
  interrupt(): void {
    this.#wake?.();
  }

  /** True while the client takes nothing: whoever has more for it should wait for `flush`. */
  get isStalled(): boolean {
    return this.#draining !== undefined;
  }

  /** Queues bytes; the promise, if there is one, must be waited for before more are written. */
  write(...pieces: readonly Uint8Array[]): Promise<void> | undefined {
    for (const piece of pieces) {
      this.#pending.push(piece);
      this.#pendingBytes += piece.length;
    }
    return this.#pendingBytes >= WRITE_BEHIND_BYTES ? this.#drain() : this.#draining;
  }

  /** Sends everything queued. */
  async flush(): Promise<void> {
    while (this.#pendingBytes > 0 || this.#draining !== undefined) await this.#drain();
    const deflate = this.#deflate;
    if (deflate === undefined || this.#isGone || !this.#isHeldBack) return;
    this.#isHeldBack = false;
    await this.#taken((settle) => deflate.flush(constants.Z_SYNC_FLUSH, settle));
  }

  /** Takes the connection over into TLS. Rejects if the handshake fails. */
  async startTls(identity: TlsIdentity): Promise<void> {
    const { handshakeMs } = this.#patience;
    const plain = this.#socket;
    this.#unlisten(plain);
    const secure = new TLSSocket(plain, {
      isServer: true,
      key: identity.key,
      cert: identity.cert,
      minVersion: "TLSv1.2",
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("TLS handshake timed out")), handshakeMs);
      const settle = (error?: Error) => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      secure.once("secure", () => settle());
      secure.once("error", settle);
      secure.once("close", () => settle(new Error("connection closed in the TLS handshake")));
    });
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
    const inflate = inflateFrom(socket, concat([rest, ...this.#chunks]));
    const deflate = createDeflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#ended = false;
    this.#input = inflate;
    this.#output = deflate;
    this.#deflate = deflate;
    this.#isHeldBack = false;
    socket.on("error", this.#onError);
    socket.on("close", () => {
      this.#onEnd();
      deflate.destroy();
    });
    this.#listen(inflate);
    deflate.on("error", this.#onError);
    deflate.pipe(socket);
  }

  /** Sends what is queued and closes; a client that does not take it is cut off. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (!this.#isGone) {
      const timer = setTimeout(() => socket.destroy(), LAST_BYTES_MS);
      await this.flush();
      await new Promise<void>((resolve) => {
        socket.once("close", () => resolve());
        this.#output.end();
        if (socket.destroyed) resolve();
        else socket.resume();
      });
      clearTimeout(timer);
    }
    socket.destroy();
  }

  /** Cuts the connection off. */
  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Uint8Array) => {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    if (this.#chunkBytes >= this.#aheadBytes) this.#input.pause();
    this.#wake?.();
  };

  readonly #onEnd = () => {
    this.#ended = true;
    this.#wake?.();
  };

  readonly #onError = (error: Error) => {
    this.#failed = error;
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
    stream.pause();
  }

  async #arrival(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#wake?.(), timeoutMs);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    clearTimeout(timer);
  }

  /** Hands over what is queued, unless the client has yet to take what came before. */
  #drain(): Promise<void> | undefined {
    if (this.#draining !== undefined) return this.#draining;
    const bytes = concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    const output = this.#output;
    if (bytes.length === 0 || this.#isGone) return undefined;
    this.#isHeldBack = true;
    if (output.write(bytes)) return undefined;
    this.#draining = this.#taken((settle) => output.once("drain", settle)).then(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  /** Nobody will take another byte, nor will any event say so once more. */
  get #isGone(): boolean {
    return this.#failed !== undefined || this.#socket.destroyed || this.#output.destroyed;
  }

  /** Ends when the client has taken what `begin` waits for, or is gone; it is cut off if it takes too long. */
  #taken(begin: (settle: () => void) => void): Promise<void> {
    const socket = this.#socket;
    return new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), this.#patience.stalledMs);
      const settle = () => {
        clearTimeout(timer);
        socket.off("close", settle);
        resolve();
      };
      socket.once("close", settle);
      begin(settle);
    });
  }
}
