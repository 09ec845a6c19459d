/**
 * One connection as bytes in and bytes out, the same at either end, over plain TCP, over TLS (at
 * once or after STARTTLS) and with raw deflate (after COMPRESS). A reader asks for bytes, and while
 * a peer does not read, writers wait: so nothing grows without bound.
 *
 * A peer that has gone is no error here. Reading gives "end", what is written is dropped, and
 * `loss` says why. What that means is for the protocol to say.
 */
import type { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { constants, createDeflateRaw, type DeflateRaw } from "node:zlib";
import { isLoopback } from "../core/address.ts";
import { concat } from "../core/bytes.ts";
import { Gathering } from "./gathering.ts";
import { inflateFrom } from "./inflater.ts";
import { established, type TlsEnd, tlsSocket } from "./tls.ts";

/** How long a peer may keep a connection waiting, in milliseconds. */
export interface ConnectionPatience {
  /** In the TLS handshake. */
  readonly handshakeMs: number;
  /** Taking no byte of what is sent to it. It is cut off then. */
  readonly stalledMs: number;
}

export type ReadResult = Uint8Array | "end" | "timeout";

/** Why a peer can be sent nothing more. */
export type Loss = "stalled" | Error | "closed";

/** Bytes that are read ahead of the reader: of an unknown peer, and of one that has signed in. */
const STRANGERS_AHEAD_BYTES = 16 * 1024;
const READ_AHEAD_BYTES = 256 * 1024;
/** Larger pieces are written without a copy: gathering them would save little. */
const WRITTEN_ALONE_BYTES = 64 * 1024;
const LAST_BYTES_MS = 2_000;
/** The fastest level: what little more the others save costs far more time. */
const DEFLATE_LEVEL = 1;

/** A connection that is there; it must be closed in the end. */
export class Connection {
  /** Of the peer. */
  readonly address: string;
  readonly #patience: ConnectionPatience;
  /** Bytes that were read and written so far, before compression and TLS. */
  bytesIn = 0;
  bytesOut = 0;
  #socket: Socket;
  #input: Readable;
  #output: Writable;
  #isEncrypted = false;
  #deflate: DeflateRaw | undefined;
  /** True while the deflater may hold bytes that the peer waits for. */
  #isHeldBack = false;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  #aheadBytes = STRANGERS_AHEAD_BYTES;
  #hasEnded = false;
  readonly #gone = new AbortController();
  #failure: Error | undefined;
  #isStuck = false;
  #wake: (() => void) | undefined;
  readonly #gathering = new Gathering((bytes, taken) => this.#send(bytes, taken));
  /** Resolves when the peer has taken enough of what was handed over, or has gone. */
  #draining: Promise<void> | undefined;

  constructor(socket: Socket, patience: ConnectionPatience) {
    this.address = socket.remoteAddress ?? "unknown";
    this.#patience = patience;
    this.#socket = socket;
    this.#input = socket;
    this.#output = socket;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  get isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  get isCompressed(): boolean {
    return this.#deflate !== undefined;
  }

  get isLoopback(): boolean {
    return isLoopback(this.address);
  }

  /** True when bytes have come that nobody has read. */
  get hasMore(): boolean {
    return this.#chunkBytes > 0;
  }

  /** True when the peer has said that it sends no more, or is gone. It may still be reading. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Aborted when `hasEnded` becomes true. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Why what is written cannot reach the peer any more; undefined while it can. */
  get loss(): Loss | undefined {
    if (this.#isStuck) return "stalled";
    if (this.#failure !== undefined) return this.#failure;
    return this.#socket.destroyed || this.#output.destroyed ? "closed" : undefined;
  }

  /** The next bytes; "end" when the peer sends no more, "timeout" after `timeoutMs` without any. */
  async read(timeoutMs: number): Promise<ReadResult> {
    const chunk = await this.peek(timeoutMs);
    if (typeof chunk === "string") return chunk;
    this.#chunks.shift();
    this.bytesIn += chunk.length;
    this.#chunkBytes -= chunk.length;
    if (this.#chunkBytes < this.#aheadBytes) this.#input.resume();
    return chunk;
  }

  /** What `read` will give; it stays to be read. */
  async peek(timeoutMs: number): Promise<ReadResult> {
    if (this.#chunks.length === 0 && !this.#hasEnded) await this.#arrival(timeoutMs);
    return this.#chunks[0] ?? (this.#hasEnded ? "end" : "timeout");
  }

  /** Says that the peer has signed in: from now on a larger number of its bytes may wait here. */
  readFarAhead(): void {
    this.#aheadBytes = READ_AHEAD_BYTES;
  }

  /** Ends a waiting read with "timeout", because there is something else to do. */
  interrupt(): void {
    this.#wake?.();
  }

  /** True while the peer takes nothing. Whoever has more to send should await `flush`. */
  get isStalled(): boolean {
    return this.#draining !== undefined;
  }

  /** Queues bytes, which must not change any more. Await the promise, if any, before the next. */
  write(...pieces: readonly Uint8Array[]): Promise<void> | undefined {
    for (const piece of pieces) {
      this.bytesOut += piece.length;
      if (piece.length < WRITTEN_ALONE_BYTES) {
        this.#gathering.add(piece);
      } else {
        this.#gathering.send();
        this.#send(piece);
      }
    }
    return this.#draining;
  }

  /** Sends everything queued, and waits until the peer has room for more. */
  async flush(): Promise<void> {
    for (;;) {
      this.#gathering.send();
      if (this.#draining === undefined) break;
      await this.#draining;
    }
    const deflate = this.#deflate;
    if (deflate === undefined || !this.#isHeldBack || this.loss !== undefined) return;
    this.#isHeldBack = false;
    await this.#taken((settle) => deflate.flush(constants.Z_SYNC_FLUSH, settle));
  }

  /**
   * Takes the connection over into TLS. Rejects, the TLS socket destroyed, if the handshake fails.
   */
  async startTls(end: TlsEnd): Promise<void> {
    const plain = this.#socket;
    this.#unlisten(plain);
    plain.pause();
    const secure = tlsSocket(plain, end);
    const event = end.side === "server" ? "secure" : "secureConnect";
    await established(secure, event, this.#patience.handshakeMs);
    this.#socket = secure;
    this.#input = secure;
    this.#output = secure;
    this.#isEncrypted = true;
    this.#listen(secure);
  }

  /** Compresses both ways from here on; `rest` was read already and is compressed. */
  startCompression(rest: Uint8Array): void {
    const socket: Duplex = this.#socket;
    this.#unlisten(socket);
    socket.pause();
    const inflate = inflateFrom(socket, concat([rest, ...this.#chunks]));
    const deflate = createDeflateRaw({
      level: DEFLATE_LEVEL,
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#hasEnded = false;
    this.#input = inflate;
    this.#output = deflate;
    this.#deflate = deflate;
    this.#isHeldBack = false;
    socket.on("error", this.#onError);
    socket.on("close", () => {
      // A peer that has ended its side may have sent bytes that are still being inflated.
      if (!socket.readableEnded) this.#onEnd();
      deflate.destroy();
    });
    this.#listen(inflate);
    deflate.on("error", this.#onError);
    deflate.pipe(socket);
  }

  /** Sends what is queued and closes; a peer that does not take it is cut off. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (this.loss === undefined) {
      const timer = setTimeout(() => socket.destroy(), LAST_BYTES_MS);
      await this.flush();
      await new Promise<void>((resolve) => {
        socket.once("close", () => resolve());
        this.#output.end();
        // Bytes that still come are dropped; behind them comes the end of the stream.
        this.#input.off("data", this.#onData);
        this.#input.resume();
        if (socket.destroyed) resolve();
      });
      clearTimeout(timer);
    }
    socket.destroy();
  }

  /** Cuts the connection off. */
  destroy(): void {
    this.#socket.destroy();
    this.#onEnd();
  }

  readonly #onData = (chunk: Uint8Array) => {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    if (this.#chunkBytes >= this.#aheadBytes) this.#input.pause();
    this.#wake?.();
  };

  readonly #onEnd = () => {
    this.#hasEnded = true;
    this.#gone.abort();
    this.#wake?.();
  };

  readonly #onError = (error: Error) => {
    this.#failure ??= error;
    this.#onEnd();
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

  async #arrival(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#wake?.(), timeoutMs);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    clearTimeout(timer);
  }

  /** Hands bytes over; `taken` is called when nobody reads them any more. */
  #send(bytes: Uint8Array, taken?: () => void): void {
    if (this.loss !== undefined) return;
    this.#isHeldBack = true;
    const output = this.#output;
    if (output.write(bytes, taken)) return;
    this.#draining ??= this.#taken((settle) => output.once("drain", settle)).then(() => {
      this.#draining = undefined;
    });
  }

  /**
   * Resolves when `settle` is called, as the peer has taken what `begin` waits for, or when the
   * peer has gone. A peer that takes too long is cut off.
   */
  #taken(begin: (settle: () => void) => void): Promise<void> {
    const socket = this.#socket;
    return new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#isStuck = true;
        socket.destroy();
      }, this.#patience.stalledMs);
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
