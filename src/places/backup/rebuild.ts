/** Makes the state of an archive anew from its data file alone (backup-format.md 4). */
import type { Database } from "bun:sqlite";
import { closeSync } from "node:fs";
import { basename } from "node:path";
import { breathe } from "../../core/breathe.ts";
import { FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { FOLDER_FILE, parseEntryName } from "../../formats/backup/entry_name.ts";
import { type PlacedEntry, type TarEvent, TarSplitter } from "../../formats/tar/tar_splitter.ts";
import { beginSha1, type Sha1 } from "../../hash/sha1.ts";
import { sqliteError } from "../../storage/sqlite.ts";
import { expectedSha1 } from "./read/archive_entries.ts";
import { type Member, type MemberEvent, openDataFile, unpacked } from "./read/gzip_members.ts";
import { BackupState, type EntryFlaw, holding } from "./state/backup_state.ts";
import { STATUS_VERSION } from "./state/state_schema.ts";

export interface RebuildOptions {
  /**
   * Where the file cannot be read to its end, nothing can be appended to it. Called to make another
   * that can, and gives its path; the state is its.
   */
  readonly salvage?: (torn: TornMember) => Promise<string>;
  /** Bytes of the file that count, where others may be written behind them; all if left out. */
  readonly size?: number;
  readonly limits?: Limits;
}

/** The last member of a file that ends within it: `size` bytes are whole entries. */
export interface TornMember extends Member {
  /**
   * Damaged files of mailboxes and of the user among them, by where they begin and end in the
   * stream. A damaged message stays: an index behind it must not list what is not there.
   */
  readonly leftOut: readonly { readonly from: number; readonly to: number }[];
}

export interface Rebuilt {
  /** Entries that the state goes on without, the first of them. */
  readonly flaws: readonly EntryFlaw[];
  /** The first damage, and the byte of the file at which the member begins that has it. */
  readonly damage?: { readonly coffset: number; readonly why: string };
}

/** Upstream's tables and ours, but for the runs that are in no archive. */
const CLEARED = ["status", "imap", "meta", "fmeta", "indexed", "files", "folders"];
const OUR_CLEARED = ["x_members", "x_entries", "x_lacking", "x_runs WHERE offset IS NOT NULL"];

/** Bytes that are much, held or as garbage. */
const COLLECT_BYTES = 32 * 1024 * 1024;

/** Flaws that are kept; one damaged archive may have one for each entry. */
const MOST_FLAWS = 1000;

/**
 * Fills `database` from the data file at `path`, in one transaction. What is damaged ends the
 * reading, and is told. Throws AppError (io), or (bad_data) where nothing at all can be read.
 */
export async function rebuildState(
  database: Database,
  path: string,
  options: RebuildOptions = {},
): Promise<Rebuilt> {
  try {
    new BackupState(database); // makes the tables
    database.run("BEGIN IMMEDIATE");
    const { torn, ...rebuilt } = await fill(database, path, options);
    const other = torn && (await options.salvage?.(torn));
    if (other !== undefined) await fill(database, other, options);
    database.run("COMMIT");
    return rebuilt;
  } catch (error) {
    if (database.inTransaction) database.run("ROLLBACK");
    throw sqliteError(error, path);
  }
}

type Scanned = Rebuilt & { readonly torn?: TornMember };

async function fill(
  database: Database,
  path: string,
  { limits = DEFAULT_LIMITS, size: most = Number.MAX_SAFE_INTEGER }: RebuildOptions,
): Promise<Scanned> {
  const opened = openDataFile(path);
  const { fd, stat } = opened;
  try {
    for (const rows of [...CLEARED, ...OUR_CLEARED]) database.run(`DELETE FROM ${rows}`);
    const size = Math.min(most, stat.size);
    const events = unpacked(fd, { size, path, limits });
    const { offset, ...scanned } = await new Scan(database, limits).all(events, {
      isPacked: path.endsWith(".gz"),
    });
    database.query("INSERT INTO status VALUES ($filename, $size, $mtime, $offset, $version)").run({
      ...{ filename: basename(path), size, mtime: Math.floor(stat.mtimeMs / 1000) },
      ...{ offset, version: STATUS_VERSION },
    });
    return scanned;
  } finally {
    closeSync(fd);
  }
}

class Scan {
  readonly #database: Database;
  readonly #limits: Limits;
  readonly #splitter: TarSplitter;
  readonly #state: BackupState;
  readonly #flaws: EntryFlaw[] = [];
  /** The content of an entry that the state asks for, as far as it has come. */
  #held: { readonly bytes: Uint8Array; length: number } | undefined;
  /** Mailboxes of which a file is damaged: a state that comes behind it is not theirs. */
  readonly #torn = new Set<string>();
  /** Entries of the member that is being read which are not taken in. */
  #leftOut: { readonly from: number; readonly to: number }[] = [];
  /** For one content after the other: what is large would be garbage for too long. */
  #buffer = new Uint8Array();
  /** Unpacked bytes since the last time that garbage was collected. */
  #garbage = 0;
  /** Why an entry is passed over. */
  #tooLarge: string | undefined;
  /** Of the content, where the entry says what it should be. */
  #sha1: { readonly hash: Sha1; readonly wanted: string } | undefined;
  #entries = 0;

  constructor(database: Database, limits: Limits) {
    this.#database = database;
    this.#limits = limits;
    this.#splitter = new TarSplitter(limits);
    this.#state = new BackupState(database);
  }

  async all(
    events: AsyncIterable<MemberEvent>,
    { isPacked }: { readonly isPacked: boolean },
  ): Promise<Scanned & { readonly offset: number }> {
    let start = 0; // of the member that is being read
    let offset = 0;
    let flawed: Rebuilt["damage"]; // of a member that was read all the same
    let torn: Rebuilt["damage"];
    for await (const event of events) {
      await breathe();
      const why = event.kind === "damage" ? event.why : this.#take(event);
      if (why !== undefined) {
        torn = { coffset: start, why };
        break;
      }
      if (event.kind === "bytes") this.#collect(event.bytes.length);
      if (event.kind !== "member") continue;
      if (event.flaw !== undefined) flawed ??= { coffset: start, why: event.flaw };
      this.#noteMember(event.member);
      offset = this.#splitter.wholeBytes;
      start = event.end;
      this.#leftOut = [];
    }
    this.#buffer = new Uint8Array();
    const { wholeBytes } = this.#splitter;
    const damage = flawed ?? torn;
    const found = { flaws: this.#flaws, ...(damage !== undefined && { damage }) };
    if (torn === undefined || !isPacked) return { ...found, offset: wholeBytes };
    const last: Member = { coffset: start, offset, size: wholeBytes - offset };
    if (last.size > 0) this.#noteMember(last);
    return { ...found, offset: wholeBytes, torn: { ...last, leftOut: this.#leftOut } };
  }

  /** Why no more can be read, if so. */
  #take(event: Exclude<MemberEvent, { kind: "damage" }>): string | undefined {
    if (event.kind === "bytes") return this.#feed(event.bytes);
    const { offset, size } = event.member;
    const isWhole = this.#splitter.wholeBytes === offset + size;
    return isWhole ? undefined : "a member ends within an entry";
  }

  #noteMember(member: Member): void {
    this.#database
      .query("INSERT OR REPLACE INTO x_members VALUES ($coffset, $offset, $size)")
      .run({ ...member });
  }

  /** Takes in the entries of a part of the stream; why no more of it can be read, if so. */
  #feed(bytes: Uint8Array): string | undefined {
    try {
      for (const event of this.#splitter.feed(bytes)) {
        if (event.kind === "entry") this.#begin(event.entry);
        else if (event.kind === "content") {
          this.#hold(event.bytes);
          this.#sha1?.hash.update(event.bytes);
        } else this.#end(event);
      }
      return undefined;
    } catch (error) {
      if (error instanceof FormatError) return error.message;
      throw error;
    }
  }

  #begin(entry: PlacedEntry): void {
    this.#entries += 1;
    const { archiveEntries } = this.#limits;
    if (this.#entries > archiveEntries) {
      throw new FormatError(entry.offset, `at most ${archiveEntries} entries`);
    }
    const wanted = expectedSha1(entry);
    this.#sha1 = wanted === undefined ? undefined : { hash: beginSha1(), wanted };
    const { isHeld, most } = holding(entry, this.#limits);
    this.#tooLarge = entry.size > most ? `it has ${entry.size} bytes, over ${most}` : undefined;
    const isWanted = isHeld && this.#tooLarge === undefined;
    this.#held = isWanted ? { bytes: this.#room(entry.size), length: 0 } : undefined;
  }

  #room(size: number): Uint8Array {
    if (size > this.#buffer.length) {
      const more = Math.max(size, 2 * this.#buffer.length);
      this.#buffer = new Uint8Array();
      if (more > COLLECT_BYTES) Bun.gc(true);
      this.#buffer = new Uint8Array(more);
    }
    return this.#buffer.subarray(0, size);
  }

  /** Collects garbage where much is held: beside it the collector lets as much again grow. */
  #collect(bytes: number): void {
    this.#garbage += bytes;
    if (this.#garbage < COLLECT_BYTES || this.#buffer.length < COLLECT_BYTES) return;
    this.#garbage = 0;
    Bun.gc(true);
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held === undefined) return;
    this.#held.bytes.set(bytes, this.#held.length);
    this.#held.length += bytes.length;
  }

  #end(whole: Extract<TarEvent, { kind: "end" }>): void {
    const found = this.#taken(whole, this.#held?.bytes ?? new Uint8Array());
    this.#held = undefined;
    for (const flaw of found) if (this.#flaws.length < MOST_FLAWS) this.#flaws.push(flaw);
  }

  /** What is damaged is not in the archive: a good copy before it counts, or the next one. */
  #taken({ entry, end }: Extract<TarEvent, { kind: "end" }>, content: Uint8Array): EntryFlaw[] {
    if (this.#tooLarge !== undefined) return [{ kind: "unreadable", entry, why: this.#tooLarge }];
    const isDamaged = this.#sha1 !== undefined && this.#sha1.hash.digest() !== this.#sha1.wanted;
    const isOfTorn = this.#isOfTorn(entry, isDamaged);
    if (!isDamaged && !isOfTorn) return this.#state.take(entry, () => content);
    if (parseEntryName(entry.name)?.kind !== "message") {
      this.#leftOut.push({ from: entry.offset, to: end });
    }
    return isDamaged ? [{ kind: "damaged", entry }] : [];
  }

  /**
   * True for the state of a mailbox whose other files are damaged: it would say that all of it is
   * there. A run writes the index first and the state last.
   */
  #isOfTorn(entry: PlacedEntry, isDamaged: boolean): boolean {
    const name = parseEntryName(entry.name);
    if (name?.kind !== "folder") return false;
    if (isDamaged) this.#torn.add(name.uniqueid);
    else if (name.name === FOLDER_FILE.index) this.#torn.delete(name.uniqueid);
    else return name.name === FOLDER_FILE.state && this.#torn.has(name.uniqueid);
    return false;
  }
}
