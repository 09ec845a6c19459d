/**
 * A message that arrives in parts. Nobody sees it before it has been checked against its GUID, so
 * it is kept until its last byte has come: a small one in memory, a large one in an unnamed
 * temporary file.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concat } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { readAt } from "../core/files.ts";
import { beginSha1 } from "../hash/sha1.ts";
import type { Guid } from "../model/guid.ts";
import type { MessageContent } from "./place.ts";

/** Larger messages go to a file: some hundred may be under way at a time. */
const HELD_BYTES = 256 * 1024;
const CHUNK_BYTES = 256 * 1024;

/** Takes one message at a time; `content` gives it once it is whole. */
export class ReceivedMessage {
  #guid: Guid | undefined;
  #size = 0;
  #got = 0;
  #hash = beginSha1();
  #held: Uint8Array[] = [];
  #fd: number | undefined;
  #trouble: unknown;

  start(file: { readonly guid: Guid; readonly size: number }): void {
    this.release();
    this.#guid = file.guid;
    this.#size = file.size;
    this.#got = 0;
    this.#hash = beginSha1();
    this.#held = [];
    if (file.size > HELD_BYTES) this.#attempt(() => this.#openFile());
  }

  data(bytes: Uint8Array): void {
    this.#hash.update(bytes);
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

  /** The SHA-1 of the bytes that have come. */
  digest(): Guid {
    return this.#hash.digest();
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
    if (fd !== undefined) return { size, chunks: () => chunksOf(fd, size) };
    const whole = concat(this.#held);
    return { size, chunks: () => (size === 0 ? [] : [whole]) };
  }

  /** Releases the memory or the file of a message that is not wanted. */
  release(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#held = [];
  }

  #openFile(): void {
    const folder = mkdtempSync(join(tmpdir(), "bobbin-"));
    this.#fd = openSync(join(folder, "message"), "wx+", 0o600);
    rmSync(folder, { recursive: true });
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

function* chunksOf(fd: number, size: number): Generator<Uint8Array> {
  try {
    for (let at = 0; at < size; ) {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size - at));
      const got = readAt(fd, chunk, at);
      if (got === 0) throw new AppError("io", `A message in ${tmpdir()} ends at byte ${at}`);
      yield chunk.subarray(0, got);
      at += got;
    }
  } finally {
    closeSync(fd);
  }
}
