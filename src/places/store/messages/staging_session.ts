/**
 * What one session stages, as a place's session promises it: every byte is taken whatever goes wrong, and what went wrong
 * is the answer of the next flush. Synchronous.
 */
import type { IncomingMessage, MessageWriter } from "../../place.ts";
import type { KnownMessage } from "./message_file.ts";
import type { Staging, StagingWriter } from "./staging.ts";

export class StagingSession {
  readonly staging: Staging;
  /** What staging ran into since the last flush. */
  #trouble: unknown;

  constructor(staging: Staging) {
    this.staging = staging;
  }

  stage(message: Pick<IncomingMessage, "guid">): MessageWriter {
    let writer: StagingWriter | undefined;
    const attempt = (work: () => void): undefined => {
      if (this.#trouble !== undefined) return; // the bytes are taken all the same
      try {
        work();
      } catch (error) {
        this.#trouble = error;
        writer?.abort();
      }
    };
    attempt(() => {
      writer = this.staging.begin(message.guid);
    });
    return {
      write: (bytes) => attempt(() => writer?.write(bytes)),
      end: () => attempt(() => writer?.end()),
      abort: () => writer?.abort(),
    };
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
    this.#trouble = undefined;
    this.staging.clear();
  }

  close(): void {
    this.staging.close();
  }
}
