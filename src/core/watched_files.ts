/** What a running server has read from files: read again once one of them has changed. */
import { AppError } from "./errors.ts";
import { stampAt } from "./file_stamp.ts";
import type { Log } from "./log.ts";

export interface WatchOptions<Value> {
  readonly paths: readonly string[];
  /** What they are together, for the log. */
  readonly what: string;
  /** Reads them. Throws AppError where they cannot be used. */
  readonly read: () => Value;
  readonly log: Log;
}

export class WatchedFiles<Value> {
  readonly #options: WatchOptions<Value>;
  #value: Value;
  #seen: string;

  /** Throws what `read` throws. */
  constructor(options: WatchOptions<Value>) {
    this.#options = options;
    this.#seen = this.#stamps();
    this.#value = options.read();
  }

  /** What the files hold now. If they can no longer be used, what they held before. */
  current(): Value {
    if (this.#stamps() !== this.#seen) this.readAgain();
    return this.#value;
  }

  /** Reads the files again, also where they do not seem to have changed. */
  readAgain(): void {
    const { read, what, paths, log } = this.#options;
    this.#seen = this.#stamps();
    try {
      this.#value = read();
      log.write("info", `Read the ${what} again`, { path: paths.join(",") });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      log.write("error", `${error.message}; the ${what} of before stays`, { hint: error.hint });
    }
  }

  #stamps(): string {
    return this.#options.paths.map((path) => stampAt(path, { followsLinks: true })).join(" ");
  }
}
