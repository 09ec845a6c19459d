/**
 * What a session sends, on its way to the thread that stages it. It is gathered in buffers, which
 * are handed over and come back, so that a session that sends faster than the thread writes has to
 * wait and memory stays bounded.
 */
import type { StagedBatch, StagedPiece } from "./store_jobs.ts";

const BUFFER_BYTES = 128 * 1024;
/** Buffers of one session that the thread may have at a time, while the next one is filled. */
const UNDER_WAY = 2;
/** Buffers that nobody uses and that are kept for the next session. */
const SPARE = 16;

/** Buffers of one size, used again: a new one for each would keep the collector busy. */
export class BufferStock {
  readonly #spare: ArrayBuffer[] = [];

  take(): ArrayBuffer {
    return this.#spare.pop() ?? new ArrayBuffer(BUFFER_BYTES);
  }

  give(buffer: ArrayBuffer): void {
    if (this.#spare.length < SPARE) this.#spare.push(buffer);
  }
}

/** Hands a batch over. Resolves to its buffer, or undefined if that is lost. Never rejects. */
export type SendBatch = (batch: Omit<StagedBatch, "session">) => Promise<ArrayBuffer | undefined>;

export class Outbox {
  readonly #stock: BufferStock;
  readonly #send: SendBatch;
  #pieces: StagedPiece[] = [];
  #buffer: ArrayBuffer | undefined;
  #usedBytes = 0;
  #underWay = 0;
  #waiting: (() => void)[] = [];

  constructor(stock: BufferStock, send: SendBatch) {
    this.#stock = stock;
    this.#send = send;
  }

  /** Adds a piece that carries no bytes. */
  add(piece: Exclude<StagedPiece, { readonly kind: "bytes" }>): void {
    this.#pieces.push(piece);
  }

  /** Takes a copy of `bytes`. If it returns a promise, that is waited for before the next call. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    for (let at = 0; at < bytes.length; ) {
      this.#buffer ??= this.#stock.take();
      const length = Math.min(bytes.length - at, BUFFER_BYTES - this.#usedBytes);
      new Uint8Array(this.#buffer).set(bytes.subarray(at, at + length), this.#usedBytes);
      this.#usedBytes += length;
      this.#addBytes(length);
      at += length;
      if (this.#usedBytes === BUFFER_BYTES) this.send();
    }
    return this.#underWay > UNDER_WAY ? this.#atMost(UNDER_WAY) : undefined;
  }

  /** Resolves when all that was sent has been answered. */
  settled(): Promise<void> {
    return this.#atMost(0);
  }

  /** Sends what has been gathered. */
  send(): void {
    if (this.#pieces.length === 0) return;
    const batch = { buffer: this.#buffer, pieces: this.#pieces };
    this.#forget();
    this.#underWay++;
    void this.#send(batch).then((buffer) => {
      if (buffer !== undefined) this.#stock.give(buffer);
      this.#ended();
    });
  }

  /** Drops what has been gathered and not sent. */
  drop(): void {
    if (this.#buffer !== undefined) this.#stock.give(this.#buffer);
    this.#forget();
  }

  /** Joins bytes that follow bytes into one piece: with compression they come a few at a time. */
  #addBytes(length: number): void {
    const last = this.#pieces.at(-1);
    if (last?.kind !== "bytes") this.#pieces.push({ kind: "bytes", length });
    else this.#pieces[this.#pieces.length - 1] = { kind: "bytes", length: last.length + length };
  }

  #forget(): void {
    this.#pieces = [];
    this.#buffer = undefined;
    this.#usedBytes = 0;
  }

  #ended(): void {
    this.#underWay--;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  async #atMost(underWay: number): Promise<void> {
    while (this.#underWay > underWay) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
