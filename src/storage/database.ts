/** A database of the store, open: the file itself, or where this process must not write, a copy that follows it. */
import type { Database } from "bun:sqlite";
import { PrivateCopy } from "./private_copy.ts";
import { type OpenOptions, openDatabase, type Schema } from "./sqlite.ts";

export interface StoreDatabaseOptions extends OpenOptions {
  /** Read a private copy; what is written goes there and is lost. */
  readonly looks: boolean;
}

export class StoreDatabase {
  readonly #copy: PrivateCopy | undefined;
  readonly #open: () => Database;
  #database: Database;

  constructor(path: string, schema: Schema, { looks, create }: StoreDatabaseOptions) {
    this.#copy = looks ? new PrivateCopy(path) : undefined;
    const file = this.#copy?.path ?? path;
    this.#open = () => openDatabase(file, schema, { create });
    try {
      this.#database = this.#open();
    } catch (error) {
      this.#copy?.close();
      throw error;
    }
  }

  /** The database as it is now. A transaction that is open keeps what it sees. */
  current(): Database {
    if (this.#copy === undefined || this.#database.inTransaction || !this.#copy.isStale())
      return this.#database;
    this.#database.close();
    this.#copy.take();
    this.#database = this.#open();
    return this.#database;
  }

  close(): void {
    this.#database.close();
    this.#copy?.close();
  }
}
