/**
 * What one session stages, as a place's session promises it: every byte is taken whatever goes
 * wrong, and what went wrong is the answer of the next flush. Synchronous. Messages come one after
 * the other, so that the session is the writer of the one that is coming.
 */
import type { Guid } from "../../../model/guid.ts";
import type { MessageWriter } from "../../place.ts";
import type { KnownMessage } from "./message_file.ts";
import type { Staging, StagingWriter } from "./staging.ts";

export class StagingSession implements MessageWriter {
  readonly staging: Staging;
  readonly #onStaged: (message: KnownMessage) => void;
  /** Of the message that is coming; undefined where its bytes are not wanted. */
  #writer: StagingWriter | undefined;
  /** What staging ran into since the last flush. */
  #trouble: unknown;

  /** `onStaged` is told of each message that is staged by its bytes. */
  constructor(staging: Staging, onStaged: (message: KnownMessage) => void = () => undefined) {
    this.staging = staging;
    this.#onStaged = onStaged;
  }

  /** Begins to stage a message, whose bytes follow. */
  begin(guid: Guid): MessageWriter {
    this.#writer = undefined;
    this.#attempt(() => {
      this.#writer = this.staging.begin(guid);
    });
    return this;
  }

  write(bytes: Uint8Array): undefined {
    this.#attempt(() => this.#writer?.write(bytes));
  }

  end(): undefined {
    this.#attempt(() => {
      const staged = this.#writer?.end();
      if (staged !== undefined) this.#onStaged(staged);
    });
    this.#writer = undefined;
  }

  abort(): void {
    this.#writer?.abort();
    this.#writer = undefined;
  }

  /** Takes messages that lie in a pool; what is staged then. */
  reserve(found: readonly KnownMessage[]): readonly KnownMessage[] {
    return found.map((message) => this.staging.reserve(message));
  }

  /** Throws what went wrong since the last flush. */
  flush(): void {
    const trouble = this.#trouble;
    this.#trouble = undefined;
    if (trouble !== undefined) throw trouble;
  }

  restart(): void {
    this.abort();
    this.#trouble = undefined;
    this.staging.clear();
  }

  close(): void {
    this.abort();
    this.staging.close();
  }

  #attempt(work: () => void): void {
    if (this.#trouble !== undefined) return; // the bytes are taken all the same
    try {
      work();
    } catch (error) {
      this.#trouble = error;
      this.abort();
    }
  }
}
