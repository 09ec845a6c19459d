/** The users file of a running server: read again whenever it has been replaced. */
import { statSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Accounts } from "./account.ts";
import { readAccounts } from "./users_file.ts";

export class WatchedUsersFile {
  readonly #path: string;
  readonly #log: Log;
  #accounts: Accounts;
  #seen: string;

  /** Throws AppError (config) if the file cannot be used. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#seen = fingerprint(path);
    this.#accounts = readAccounts(path);
  }

  /** The accounts as of now; those of before if the file has become unusable. */
  current(): Accounts {
    const now = fingerprint(this.#path);
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

function fingerprint(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}
