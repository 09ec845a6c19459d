/**
 * A message that arrives in parts. Nobody sees it before it has been checked against its GUID, so
 * it is kept until its last byte has come: a small one in memory, a large one in an unnamed
 * temporary file.
 */
import { closeSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { AppError } from "../core/errors.ts";
import { chunksOf } from "../core/files.ts";
import { beginSha1 } from "../hash/sha1.ts";
import type { Guid } from "../model/guid.ts";
import { openUnnamed } from "../storage/private_folder.ts";
import type { IncomingMessage, MessageContent, MessageWriter } from "./place.ts";

/** Larger messages go to a file: some hundred may be under way at a time. */
const HELD_BYTES = 256 * 1024;

/** Takes one message at a time; `content` gives it once it is whole. */
export class ReceivedMessage {
  #guid: Guid | undefined;
  #size = 0;
  #got = 0;
  /** Undefined for a message that its sender has checked. */
  #hash: ReturnType<typeof beginSha1> | undefined;
  #held: Uint8Array[] = [];
  #fd: number | undefined;
  #trouble: unknown;

  start(file: Pick<IncomingMessage, "guid" | "size" | "isVerified">): void {
    this.release();
    this.#guid = file.guid;
    this.#size = file.size;
    this.#got = 0;
    this.#hash = file.isVerified === true ? undefined : beginSha1();
    this.#held = [];
    if (file.size <= HELD_BYTES) return;
    this.#attempt(() => {
      this.#fd = openUnnamed();
    });
  }

  data(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    const at = this.#got;
    this.#got += bytes.length;
    const fd = this.#fd;
    if (fd !== undefined) this.#attempt(() => writeSync(fd, bytes, 0, bytes.length, at));
    else if (this.#size <= HELD_BYTES) this.#held.push(bytes);
  }

  /** The GUID that the sender has named; undefined if no message has come. */
  get guid(): Guid | undefined {
    return this.#guid;
  }

  /** The SHA-1 of the bytes that have come, as its sender has checked it or as they are. */
  digest(): Guid {
    return this.#hash?.digest() ?? this.#guid ?? "";
  }

  /** The whole message. Throws AppError (io) if it could not be kept. */
  content(): MessageContent {
    const fd = this.#fd;
    this.#fd = undefined;
    if (this.#trouble !== undefined) {
      if (fd !== undefined) closeSync(fd);
      throw new AppError("io", `Cannot keep message ${this.#guid} in ${tmpdir()}`, {
        cause: this.#trouble,
      });
    }
    const size = this.#size;
    if (fd !== undefined) return { size, chunks: () => takenFrom(fd, size) };
    const held = this.#held;
    return { size, chunks: () => held };
  }

  /** Releases the memory or the file of a message that is not wanted. */
  release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#held = [];
  }

  /** Disk errors are kept for `content`: the rest must be read off the wire all the same. */
  #attempt(work: () => void): void {
    if (this.#trouble !== undefined) return;
    try {
      work();
    } catch (error) {
      this.#trouble = error;
    }
  }
}

/** The writer of a message that goes to `keep` once all of it has come. */
export function receiving(
  message: IncomingMessage,
  keep: (received: ReceivedMessage) => Promise<void> | undefined,
  seen?: (bytes: Uint8Array) => void,
): MessageWriter {
  const received = new ReceivedMessage();
  received.start(message);
  return {
    write: (bytes) => {
      received.data(bytes);
      seen?.(bytes);
      return undefined;
    },
    end: () => keep(received),
    abort: () => received.release(),
  };
}

function* takenFrom(fd: number, size: number): Generator<Uint8Array, void> {
  try {
    yield* chunksOf(fd, { end: size, name: `a message in ${tmpdir()}` });
  } finally {
    closeSync(fd);
  }
}
