/** A database of the store, open: the file itself, or to read it a private copy that follows it. */
import type { Database } from "bun:sqlite";
import { AppError } from "../core/errors.ts";
import { statOf } from "./disk.ts";
import { PrivateCopy } from "./private_copy.ts";
import { openDatabase, type Schema, type SchemaChange } from "./sqlite.ts";

/**
 * What an opening may do:
 *
 *     read     nothing. A private copy is read (private_copy.ts), so the process needs no right to
 *              write and no writer is disturbed; what is written goes into the copy and is lost
 *     write    change rows. A database that an older release made is refused
 *     upgrade  change rows, and bring such a database up to the schema of this release
 */
export type Access = "read" | "write" | "upgrade";

export interface StoreDatabaseOptions {
  readonly access: Access;
  /** Make the database where there is none. */
  readonly create: boolean;
  /** Told before the schema of a database is raised. */
  readonly raised?: ((change: SchemaChange) => void) | undefined;
}

export class StoreDatabase {
  readonly #copy: PrivateCopy | undefined;
  readonly #open: () => Database;
  #database: Database;

  constructor(path: string, schema: Schema, { access, create, raised }: StoreDatabaseOptions) {
    requireRegular(path);
    this.#copy = access === "read" ? new PrivateCopy(path) : undefined;
    const file = this.#copy?.path ?? path;
    const silent = (): void => undefined; // the copy is nobody else's
    const raise = { read: silent, write: undefined, upgrade: raised ?? silent }[access];
    this.#open = () => openDatabase(file, schema, { create, raise, name: path });
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

/** Refuses a database where something else than a file lies, or a link that leads nowhere. */
function requireRegular(database: string): void {
  for (const path of ["", "-wal", "-shm"].map((suffix) => database + suffix)) {
    const stat = statOf(path);
    const isRight = stat === undefined || stat.isFile();
    const leads = () => statOf(path, { followsLinks: true }) !== undefined;
    if (isRight || (stat.isSymbolicLink() && leads())) continue;
    const what = stat.isDirectory() ? "a folder" : "no regular file";
    throw new AppError("bad_data", `Cannot use ${database}: ${path} is ${what}`, {
      context: { path },
      hint: "Run `bobbin store reconstruct`.",
    });
  }
}
