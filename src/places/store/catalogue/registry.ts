/**
 * `uniqueids.sqlite`: which owner holds a uniqueid, for the whole store. A uniqueid is claimed here
 * before the owner's transaction commits, so two owners can never both hold it; a claim that was
 * left by a killed process is found stale by looking into the owner's catalogue under its writer
 * lock. What belongs to no owner is kept here too: the annotations of the server as a whole, and
 * which mailboxes are on their way from one owner to another.
 */
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import type { Annotation } from "../../../model/annotation.ts";
import { type Owner, ownerKey, ownerOfKey, sameOwner } from "../../../model/names.ts";
import { sqliteError, writing } from "../../../storage/sqlite.ts";
import { StoreDatabase, type StoreDatabaseOptions } from "../../../storage/store_database.ts";
import { REGISTRY_FILE } from "../layout.ts";

const SCHEMA = [
  `
  CREATE TABLE claim (uniqueid TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE annotation (
    entry TEXT NOT NULL,
    userid TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (entry, userid)
  ) WITHOUT ROWID`,
  `
  CREATE TABLE handover (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uniqueid TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL
  )`,
];

export interface Claim {
  readonly uniqueid: string;
  readonly owner: Owner;
}

/** A handover that was begun and is not known to be over (commit/handover.ts). */
export interface Handover {
  readonly number: number;
  readonly uniqueid: string;
  readonly source: Owner;
  readonly target: Owner;
}

/** The registry of one store, open. */
export class Registry {
  readonly path: string;
  readonly #file: StoreDatabase;

  constructor(root: string, options: StoreDatabaseOptions) {
    this.path = join(root, REGISTRY_FILE);
    this.#file = new StoreDatabase(this.path, SCHEMA, options);
  }

  get #database(): Database {
    return this.#file.current();
  }

  /** Who holds `uniqueid`, or undefined. */
  holder(uniqueid: string): Owner | undefined {
    try {
      const row = this.#database
        .query<{ owner: string }, [string]>("SELECT owner FROM claim WHERE uniqueid = ?")
        .get(uniqueid);
      return row === null ? undefined : this.#owner(row.owner);
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }

  /**
   * Claims `uniqueid` for `owner`, durably. Where another holds it, `isStale` decides, and only a
   * stale claim is taken over. Returns the other holder where the claim stands.
   */
  claim(uniqueid: string, owner: Owner, isStale: (holder: Owner) => boolean): Owner | undefined {
    const before = this.holder(uniqueid);
    if (before !== undefined && sameOwner(before, owner)) return undefined;
    if (before !== undefined && !isStale(before)) return before;
    return writing(this.#database, this.path, () => {
      const now = this.holder(uniqueid);
      // A handover that has just ended may have given it to `owner`.
      if (now !== undefined && sameOwner(now, owner)) return undefined;
      const isNew = now !== undefined && (before === undefined || !sameOwner(now, before));
      if (isNew) return now;
      this.#database
        .query("INSERT OR REPLACE INTO claim VALUES (?, ?)")
        .run(uniqueid, ownerKey(owner));
      return undefined;
    });
  }

  /** Gives up those of `uniqueids` that `owner` holds, in one transaction. */
  release(uniqueids: readonly string[], owner: Owner): void {
    writing(this.#database, this.path, () => {
      const remove = this.#database.query("DELETE FROM claim WHERE uniqueid = ? AND owner = ?");
      for (const uniqueid of uniqueids) remove.run(uniqueid, ownerKey(owner));
    });
  }

  /** Gives `uniqueid` to `owner`, whoever has it; the caller holds both owners' writer locks. */
  transfer(uniqueid: string, owner: Owner): void {
    writing(this.#database, this.path, () => {
      this.#database
        .query("INSERT OR REPLACE INTO claim VALUES (?, ?)")
        .run(uniqueid, ownerKey(owner));
    });
  }

  /** Notes durably that `uniqueid` is about to go from one owner to another. Returns its number. */
  beginHandover(handover: Omit<Handover, "number">): number {
    const { uniqueid, source, target } = handover;
    return writing(this.#database, this.path, () =>
      Number(
        this.#database
          .query("INSERT INTO handover (uniqueid, source, target) VALUES (?, ?, ?)")
          .run(uniqueid, ownerKey(source), ownerKey(target)).lastInsertRowid,
      ),
    );
  }

  /** Forgets a handover that is over. */
  endHandover(number: number): void {
    writing(this.#database, this.path, () => {
      this.#database.query("DELETE FROM handover WHERE number = ?").run(number);
    });
  }

  /** Handovers that are not over, the oldest first: those of `owner` on either side, or all. */
  handovers(owner?: Owner): Handover[] {
    interface Row {
      readonly number: number;
      readonly uniqueid: string;
      readonly source: string;
      readonly target: string;
    }
    try {
      const word = owner === undefined ? null : ownerKey(owner);
      return this.#database
        .query<Row, [string | null]>(
          "SELECT * FROM handover WHERE ?1 IS NULL OR source = ?1 OR target = ?1 ORDER BY number",
        )
        .all(word)
        .map(({ number, uniqueid, source, target }) => {
          return { number, uniqueid, source: this.#owner(source), target: this.#owner(target) };
        });
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }

  /** Every claim, by uniqueid. */
  claims(): Claim[] {
    try {
      return this.#database
        .query<{ uniqueid: string; owner: string }, []>(
          "SELECT uniqueid, owner FROM claim ORDER BY uniqueid",
        )
        .all()
        .map((row) => ({ uniqueid: row.uniqueid, owner: this.#owner(row.owner) }));
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }

  /**
   * Makes the claims of `owner`, whose writer lock is held, those for `uniqueids`, as far as no
   * other owner has them. Returns those that another has.
   */
  adopt(uniqueids: readonly string[], owner: Owner): string[] {
    const [list, word] = [JSON.stringify(uniqueids), ownerKey(owner)];
    return writing(this.#database, this.path, () => {
      const database = this.#database;
      const isWanted = "uniqueid IN (SELECT value FROM json_each(?1))";
      database.run(`DELETE FROM claim WHERE owner = ?2 AND NOT ${isWanted}`, [list, word]);
      database.run("INSERT OR IGNORE INTO claim SELECT value, ?2 FROM json_each(?1)", [list, word]);
      return database
        .query<{ uniqueid: string }, [string, string]>(
          `SELECT uniqueid FROM claim WHERE owner <> ?2 AND ${isWanted}`,
        )
        .all(list, word)
        .map(({ uniqueid }) => uniqueid);
    });
  }

  /** Drops the claims of owners that are not there: a catalogue is older than any claim of it. */
  dropClaims(isThere: (owner: Owner) => boolean): void {
    writing(this.#database, this.path, () => {
      const owners = this.#database.query<{ owner: string }, []>(
        "SELECT DISTINCT owner FROM claim",
      );
      for (const { owner: word } of owners.all()) {
        const owner = ownerOfKey(word);
        if (owner === undefined || !isThere(owner))
          this.#database.run("DELETE FROM claim WHERE owner = ?", [word]);
      }
    });
  }

  /** The annotations of the server as a whole. */
  annotations(): Annotation[] {
    try {
      return this.#database
        .query<Pick<Annotation, "entry" | "value"> & { userid: string }, []>(
          "SELECT entry, userid, value FROM annotation ORDER BY entry, userid",
        )
        .all()
        .map((row) => ({ ...row, modseq: 0n }));
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }

  /** Sets an annotation of the server, or removes it where `value` is undefined. */
  setAnnotation(entry: string, userid: string, value: Uint8Array | undefined): void {
    writing(this.#database, this.path, () => {
      const sql =
        value === undefined
          ? "DELETE FROM annotation WHERE entry = ? AND userid = ?"
          : "INSERT OR REPLACE INTO annotation VALUES (?, ?, ?)";
      this.#database.query(sql).run(entry, userid, ...(value === undefined ? [] : [value]));
    });
  }

  close(): void {
    this.#file.close();
  }

  #owner(word: string): Owner {
    const owner = ownerOfKey(word);
    if (owner !== undefined) return owner;
    throw new AppError("bad_data", `Cannot use ${this.path}: "${word}" is no owner`, {
      hint: "Run `bobbin store reconstruct`.",
    });
  }
}
