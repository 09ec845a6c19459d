/** The users file of a running server: read again whenever it has been replaced. */
import { AppError } from "../core/errors.ts";
import { type FileStamp, stampAt } from "../core/file_stamp.ts";
import type { Log } from "../core/log.ts";
import type { Accounts } from "./account.ts";
import { readAccounts } from "./users_file.ts";

export class WatchedUsersFile {
  readonly #path: string;
  readonly #log: Log;
  #accounts: Accounts;
  #seen: FileStamp;

  /** Throws AppError (config) if the file cannot be used. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#seen = stampAt(path, { followsLinks: true });
    this.#accounts = readAccounts(path);
  }

  /**
   * The accounts that the file has now. If it can no longer be used, the accounts that it had
   * before.
   */
  current(): Accounts {
    const now = stampAt(this.#path, { followsLinks: true });
    if (now === this.#seen) return this.#accounts;
    this.#seen = now;
    try {
      this.#accounts = readAccounts(this.#path);
      this.#log.write("info", "Read the users file again", { path: this.#path });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#log.write("error", `${error.message}; the accounts of before stay`);
    }
    return this.#accounts;
  }
}
