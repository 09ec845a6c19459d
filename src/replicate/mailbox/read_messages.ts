/**
 * Messages read at the source in the order in which they are sent. As many are asked for ahead as
 * the place says, bounded in number and bytes; what was read and is not sent any more is let go of.
 */
import { assert } from "../../core/assert.ts";
import { type Outcome, ok } from "../../model/outcome.ts";
import {
  type MessageAddress,
  type MessageContent,
  type Place,
  type ReadAhead,
  releaseMessage,
} from "../../places/place.ts";

/** A message that is to be at the target. */
export interface WantedMessage {
  readonly address: MessageAddress;
  /** Bytes, as its record says. */
  readonly size: number;
  /** Nothing is lost if it is not there any more: its record is that of an expunged message. */
  readonly mayBeGone: boolean;
}

export interface ReadMessage {
  readonly size: number;
  /** In memory, or as the source gives a message that is too large for that. */
  readonly chunks: readonly Uint8Array[] | MessageContent;
}

/** Where messages are read. */
export type MessageSource = Pick<Place, "message" | "readAhead">;

/** About what a socket takes: while a message is read from a disk nothing is written. */
const READ_AHEAD: ReadAhead = { messages: 128, bytes: 1024 * 1024 };
/** Larger messages are not read before their turn to be sent, but only opened. */
const HELD_BYTES = 1024 * 1024;

interface Asked {
  readonly message: WantedMessage;
  readonly read: Promise<Outcome<ReadMessage>>;
}

/** Reads a queue of messages ahead of their turn. `close` must be called in the end. */
export class MessageReader {
  readonly #source: MessageSource;
  readonly #queue: readonly WantedMessage[];
  #next = 0;
  readonly #asked: Asked[] = [];
  #askedBytes = 0;

  /** `queue`: all that may be taken, in that order. */
  constructor(queue: readonly WantedMessage[], source: MessageSource) {
    this.#queue = queue;
    this.#source = source;
  }

  /** The content of `message`. Messages of the queue before it that were not taken are skipped. */
  async take(message: WantedMessage): Promise<Outcome<ReadMessage>> {
    for (;;) {
      this.#ask();
      const first = this.#asked.shift();
      assert(first !== undefined, `message ${message.address.guid} is one of the queue`);
      this.#askedBytes -= first.message.size;
      if (first.message === message) return first.read;
      await release(first);
    }
  }

  async close(): Promise<void> {
    this.#next = this.#queue.length;
    await Promise.all(this.#asked.splice(0).map(release));
  }

  #ask(): void {
    const { messages, bytes } = this.#source.readAhead ?? READ_AHEAD;
    for (;;) {
      const message = this.#queue[this.#next];
      const isFull = this.#asked.length >= messages || this.#askedBytes >= bytes;
      if (message === undefined || isFull) return;
      this.#next += 1;
      this.#askedBytes += message.size;
      const read = readMessage(message, this.#source);
      read.catch(() => undefined); // it is thrown where the message is taken
      this.#asked.push({ message, read });
    }
  }
}

async function readMessage(
  { address }: WantedMessage,
  source: MessageSource,
): Promise<Outcome<ReadMessage>> {
  const found = await source.message(address);
  if (found.kind === "refused") return found;
  const { size } = found.value;
  if (size > HELD_BYTES) return ok({ size, chunks: found.value });
  const chunks: Uint8Array[] = [];
  for await (const chunk of found.value.chunks()) chunks.push(chunk);
  return ok({ size, chunks });
}

async function release({ read }: Asked): Promise<void> {
  const [settled] = await Promise.allSettled([read]);
  if (settled.status === "rejected" || settled.value.kind === "refused") return;
  const { chunks } = settled.value.value;
  // A message that cannot be read has closed its file.
  if ("chunks" in chunks) await releaseMessage(chunks).catch(() => undefined);
}
