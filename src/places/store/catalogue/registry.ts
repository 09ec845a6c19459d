/**
 * `uniqueids.sqlite`: which owner holds a uniqueid, for the whole store. A uniqueid is claimed here
 * before the owner's transaction commits, so two owners can never both hold it; a claim that was
 * left by a killed process is found stale by looking into the owner's catalogue under its writer
 * lock. What belongs to no owner is kept here too: the annotations of the server as a whole, and
 * which mailboxes are on their way from one owner to another.
 */
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { assert } from "../../../core/assert.ts";
import { AppError } from "../../../core/errors.ts";
import type { Annotation } from "../../../model/annotation.ts";
import { type Owner, ownerKey, ownerOfKey, sameOwner } from "../../../model/names.ts";
import { statOf } from "../../../storage/disk.ts";
import { reading, writing } from "../../../storage/sqlite.ts";
import { StoreDatabase, type StoreDatabaseOptions } from "../../../storage/store_database.ts";
import { REGISTRY_FILE } from "../layout.ts";
import { type Damage, damageOf, insertRows, salvage, setAside } from "./damage.ts";
import { type DamagedRow, dropRow, REGISTRY_TABLES, soundClaim } from "./sound_rows.ts";

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

export interface RegistryOptions extends StoreDatabaseOptions {
  /** True where the store has mailboxes, whose claims a new registry would lack. */
  readonly hasMailboxes: () => boolean;
}

/**
 * The registry of one store. One that cannot be opened, or of which a row is damaged, throws
 * bad_data from whatever needs it, and readers of mail go on without it.
 */
export class Registry {
  readonly path: string;
  readonly #options: RegistryOptions;
  #file: StoreDatabase | undefined;
  /** Of the file that is open. */
  #inode: number | undefined;

  constructor(root: string, options: RegistryOptions) {
    this.path = join(root, REGISTRY_FILE);
    this.#options = options;
  }

  get #database(): Database {
    const stat = statOf(this.path);
    // `store reconstruct` may have set the file aside since.
    if (this.#file === undefined || stat?.ino !== this.#inode) {
      this.close();
      if ((stat?.size ?? 0) === 0 && this.#options.hasMailboxes()) throw lost(this.path);
      this.#file = new StoreDatabase(this.path, SCHEMA, this.#options);
      this.#inode = statOf(this.path)?.ino;
    }
    return this.#file.current();
  }

  #read<T>(work: (database: Database) => T): T {
    const database = this.#database;
    return reading(database, this.path, () => work(database));
  }

  #write<T>(work: (database: Database) => T): T {
    const database = this.#database;
    return writing(database, this.path, () => {
      if (statOf(this.path)?.ino !== this.#inode)
        throw new AppError("busy", `${this.path} was set aside`);
      return work(database);
    });
  }

  /** What is wrong with it, as far as it can be read. */
  damage(): Damage[] {
    return damageOf(this.path, () => this.#database, REGISTRY_TABLES);
  }

  /** Drops damaged rows. */
  drop(rows: readonly DamagedRow[]): void {
    this.#write((database) => {
      for (const row of rows) dropRow(database, row, REGISTRY_TABLES);
    });
  }

  /**
   * Moves a registry that cannot be read out of the way and makes a new one, with those rows of the
   * old one that no catalogue has and that can still be read. Returns the old one's new name, which
   * is `wanted` if it is free, and the tables that could not be read to their end.
   */
  makeAnew(wanted: string): { readonly name: string; readonly unread: readonly string[] } {
    const { saved, unread } = salvage(this.path, REGISTRY_TABLES, ["annotation", "handover"]);
    this.close();
    const name = setAside(this.path, wanted);
    this.#file = new StoreDatabase(this.path, SCHEMA, this.#options);
    this.#inode = statOf(this.path)?.ino;
    this.#write((database) => {
      for (const rows of saved) insertRows(database, rows);
    });
    return { name, unread };
  }

  /** Who holds `uniqueid`, or undefined. */
  holder(uniqueid: string): Owner | undefined {
    return this.#read((database) => {
      const row = database
        .query<ClaimRow, [string]>("SELECT uniqueid, owner FROM claim WHERE uniqueid = ?")
        .get(uniqueid);
      return row === null ? undefined : ownerIn(soundClaim("claim", row).owner);
    });
  }

  /**
   * Claims `uniqueid` for `owner`, durably. Where another holds it, `isStale` decides, and only a
   * stale claim is taken over. Returns the other holder where the claim stands.
   */
  claim(uniqueid: string, owner: Owner, isStale: (holder: Owner) => boolean): Owner | undefined {
    const before = this.holder(uniqueid);
    if (before !== undefined && sameOwner(before, owner)) return undefined;
    if (before !== undefined && !isStale(before)) return before;
    return this.#write((database) => {
      const now = this.holder(uniqueid);
      // A handover that has just ended may have given it to `owner`.
      if (now !== undefined && sameOwner(now, owner)) return undefined;
      const isNew = now !== undefined && (before === undefined || !sameOwner(now, before));
      if (isNew) return now;
      setClaim(database, uniqueid, owner);
      return undefined;
    });
  }

  /** Gives up those of `uniqueids` that `owner` holds, in one transaction. */
  release(uniqueids: readonly string[], owner: Owner): void {
    this.#write((database) => {
      const remove = database.query("DELETE FROM claim WHERE uniqueid = ? AND owner = ?");
      for (const uniqueid of uniqueids) remove.run(uniqueid, ownerKey(owner));
    });
  }

  /** Gives `uniqueid` to `owner`, whoever has it; the caller holds both owners' writer locks. */
  transfer(uniqueid: string, owner: Owner): void {
    this.#write((database) => setClaim(database, uniqueid, owner));
  }

  /** Notes durably that `uniqueid` is about to go from one owner to another. Returns its number. */
  beginHandover({ uniqueid, source, target }: Omit<Handover, "number">): number {
    return this.#write((database) => {
      const insert = "INSERT INTO handover (uniqueid, source, target) VALUES (?, ?, ?)";
      const { lastInsertRowid } = database.run(insert, [
        uniqueid,
        ownerKey(source),
        ownerKey(target),
      ]);
      return Number(lastInsertRowid);
    });
  }

  /** Forgets a handover that is over. */
  endHandover(number: number): void {
    this.#write((database) => database.query("DELETE FROM handover WHERE number = ?").run(number));
  }

  /** Handovers that are not over, the oldest first: those of `owner` on either side, or all. */
  handovers(owner?: Owner): Handover[] {
    const sql =
      "SELECT * FROM handover WHERE ?1 IS NULL OR source = ?1 OR target = ?1 ORDER BY number";
    const word = owner === undefined ? null : ownerKey(owner);
    return this.#read((database) =>
      database
        .query<HandoverRow, [string | null]>(sql)
        .all(word)
        .map((row) => soundClaim("handover", row))
        .map((row) => ({ ...row, source: ownerIn(row.source), target: ownerIn(row.target) })),
    );
  }

  /** Every claim, by uniqueid. */
  claims(): Claim[] {
    const sql = "SELECT uniqueid, owner FROM claim ORDER BY uniqueid";
    return this.#read((database) =>
      database
        .query<ClaimRow, []>(sql)
        .all()
        .map((row) => soundClaim("claim", row))
        .map(({ uniqueid, owner }) => ({ uniqueid, owner: ownerIn(owner) })),
    );
  }

  /**
   * Makes the claims of `owner`, whose writer lock is held, those for `uniqueids`, as far as no
   * other owner has them. Returns those that another has.
   */
  adopt(uniqueids: readonly string[], owner: Owner): string[] {
    const [list, word] = [JSON.stringify(uniqueids), ownerKey(owner)];
    return this.#write((database) => {
      const isWanted = "uniqueid IN (SELECT value FROM json_each(?1))";
      database.run(`DELETE FROM claim WHERE owner = ?2 AND NOT ${isWanted}`, [list, word]);
      database.run("INSERT OR IGNORE INTO claim SELECT value, ?2 FROM json_each(?1)", [list, word]);
      const others = `SELECT uniqueid FROM claim WHERE owner <> ?2 AND ${isWanted}`;
      const rows = database.query<{ uniqueid: string }, [string, string]>(others).all(list, word);
      return rows.map(({ uniqueid }) => uniqueid);
    });
  }

  /** How many uniqueids each owner holds, by the owners' keys. */
  claimCounts(): ReadonlyMap<string, number> {
    return this.#read((database) => countsIn(database));
  }

  /**
   * Drops the claims of owners that are not there: a catalogue is older than any claim of it.
   * Returns how many each of them had.
   */
  dropClaims(isThere: (owner: Owner) => boolean): ReadonlyMap<string, number> {
    return this.#write((database) => {
      const dropped = [...countsIn(database)].filter(([word]) => {
        const owner = ownerOfKey(word);
        return owner === undefined || !isThere(owner);
      });
      for (const [word] of dropped) database.run("DELETE FROM claim WHERE owner = ?", [word]);
      return new Map(dropped);
    });
  }

  /** The annotations of the server as a whole. */
  annotations(): Annotation[] {
    return this.#read((database) =>
      database
        .query<Pick<Annotation, "entry" | "value"> & { userid: string }, []>(
          "SELECT entry, userid, value FROM annotation ORDER BY entry, userid",
        )
        .all()
        .map((row) => ({ ...soundClaim("annotation", row), modseq: 0n })),
    );
  }

  /** Sets an annotation of the server, or removes it where `value` is undefined. */
  setAnnotation(entry: string, userid: string, value: Uint8Array | undefined): void {
    this.#write((database) => {
      const sql =
        value === undefined
          ? "DELETE FROM annotation WHERE entry = ? AND userid = ?"
          : "INSERT OR REPLACE INTO annotation VALUES (?, ?, ?)";
      database.query(sql).run(entry, userid, ...(value === undefined ? [] : [value]));
    });
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

type ClaimRow = Readonly<Record<"uniqueid" | "owner", string>>;

interface HandoverRow extends Readonly<Record<"uniqueid" | "source" | "target", string>> {
  readonly number: number;
}

function countsIn(database: Database): ReadonlyMap<string, number> {
  const sql = "SELECT owner, COUNT(*) AS count FROM claim GROUP BY owner ORDER BY owner";
  const rows = database.query<{ owner: string; count: number }, []>(sql).all();
  return new Map(rows.map(({ owner, count }) => [owner, count]));
}

function setClaim(database: Database, uniqueid: string, owner: Owner): void {
  database.query("INSERT OR REPLACE INTO claim VALUES (?, ?)").run(uniqueid, ownerKey(owner));
}

/** The owner in a column that has been found sound. */
function ownerIn(word: string): Owner {
  const owner = ownerOfKey(word);
  assert(owner !== undefined, `${word} is an owner`);
  return owner;
}

function lost(path: string): AppError {
  const text = `Cannot use ${path}: it is gone or empty, and mailboxes are there`;
  const hint = "Run `bobbin store reconstruct`.";
  return new AppError("bad_data", text, { context: { path }, hint });
}
