/** The state of one archive: takes in one entry after the other (reduce.ts) and keeps the rows. */
import type { Database } from "bun:sqlite";
import { FormatError } from "../../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../core/limits.ts";
import { pushAll } from "../../../core/lists.ts";
import {
  FOLDER_FILE,
  META_FILE,
  parseEntryName,
  parseLinkTarget,
} from "../../../formats/backup/entry_name.ts";
import { parseRunMark } from "../../../formats/backup/run_mark.ts";
import type { PlacedEntry } from "../../../formats/tar/tar_splitter.ts";
import { sha1Of } from "../../../hash/sha1.ts";
import type { Guid } from "../../../model/guid.ts";
import { listedIn } from "./listed_messages.ts";
import {
  type ArchiveFact,
  changesBy,
  type FileKey,
  type RowChange,
  type StateView,
} from "./reduce.ts";
import { STATE_SCHEMA } from "./state_schema.ts";

/** What is wrong with an entry, which the state goes on without. */
export type EntryFlaw =
  /** No name that an entry of a backup has, or a link that leads elsewhere. */
  | { readonly kind: "unknown"; readonly entry: PlacedEntry }
  /** A file that the state needs cannot be read. */
  | { readonly kind: "unreadable"; readonly entry: PlacedEntry; readonly why: string }
  /** Its content is not what was written, by its SHA-1. */
  | { readonly kind: "damaged"; readonly entry: PlacedEntry };

/** Files whose content is a column of their entry. */
const KEPT: readonly string[] = [FOLDER_FILE.state, META_FILE.run];

/**
 * Whether the state asks for the content of an entry, and how many bytes the entry may have for
 * that: files of mailboxes and users are held in memory, also when they are read.
 */
export function holding(
  { name, size, linkname }: PlacedEntry,
  limits: Limits = DEFAULT_LIMITS,
): { readonly isHeld: boolean; readonly most: number } {
  const parsed = parseEntryName(name);
  if (parsed?.kind !== "folder" && parsed?.kind !== "meta") {
    return { isHeld: false, most: limits.tarEntryBytes };
  }
  const isIndex = parsed.kind === "folder" && parsed.name === FOLDER_FILE.index;
  const isHeld = size > 0 && (isIndex || linkname === "" || KEPT.includes(parsed.name));
  return { isHeld, most: mostBytes(parsed.name, limits) };
}

/** Bytes that a file of a mailbox or user in an archive may have. */
export function mostBytes(name: string, limits: Limits = DEFAULT_LIMITS): number {
  return name === FOLDER_FILE.index ? limits.archivedIndexBytes : limits.heldEntryBytes;
}

type FileFact = Extract<ArchiveFact, { kind: "file" }>;

/** Columns by name: a row that goes in or comes out. */
type Row = Record<string, string | number | Uint8Array | null>;

export class BackupState implements StateView {
  readonly #database: Database;
  readonly #folders = new Map<string, number>();
  /** Since when a file without a time of its own counts: since the one before it. */
  #at: number;
  /** Where the last run ended in the stream. */
  #runOffset: number;

  /** Makes the tables that are not there. Whoever has the database begins and ends transactions. */
  constructor(database: Database) {
    this.#database = database;
    database.transaction(() => {
      for (const statement of STATE_SCHEMA) database.run(statement);
    })();
    this.#at = this.#number("SELECT at AS n FROM x_entries ORDER BY offset DESC LIMIT 1") ?? 0;
    this.#runOffset = this.#number("SELECT max(offset) AS n FROM x_runs") ?? -1;
  }

  /**
   * Takes in the next entry of the archive, whose inode may be of any size. `content` is called for
   * a cyrus.index, for what Bobbin alone writes, and where the entry has no SHA-1.
   */
  take(entry: PlacedEntry, content: () => Uint8Array): EntryFlaw[] {
    const name = parseEntryName(entry.name);
    if (name?.kind === "history") return [];
    const type = name?.kind === "link" ? "link" : "file";
    if (name === undefined || entry.type !== type) return [{ kind: "unknown", entry }];
    const { size, mtime, inode, offset, linkname } = entry;
    if (name.kind === "message") {
      this.#apply({ ...name, size, offset });
      return [];
    }
    if (name.kind === "link") {
      const uniqueid = parseLinkTarget(linkname);
      if (uniqueid === undefined) return [{ kind: "unknown", entry }];
      const fact: ArchiveFact = { ...name, uniqueid, mtime, offset };
      this.#apply(fact);
      this.#note(fact, undefined);
      return [];
    }
    const isKept = KEPT.includes(name.name) && size > 0 && size <= DEFAULT_LIMITS.stateContentBytes;
    const bytes = linkname === "" && size > 0 ? content() : undefined;
    const sha1 = bytes === undefined ? linkname || undefined : sha1Of(bytes);
    const file: FileFact = { kind: "file", key: name, sha1, size, mtime, inode, offset };
    const isIndex = name.kind === "folder" && name.name === FOLDER_FILE.index && size > 0;
    const listed = isIndex ? listedIn(bytes ?? content()) : undefined;
    this.#apply(listed?.kind === "read" ? { ...file, records: listed.records } : file);
    const flaws: EntryFlaw[] = listed?.kind === "unreadable" ? [{ ...listed, entry }] : [];
    this.#note(file, isKept ? (bytes ?? content()) : undefined);
    if (name.kind === "meta" && name.name === META_FILE.run && size > 0) {
      pushAll(flaws, this.#endRun(entry, bytes ?? content()));
    }
    return flaws;
  }

  /** Notes a run that ended at the entry before `offset`, or one that wrote nothing. */
  #endRun(entry: PlacedEntry, bytes: Uint8Array): EntryFlaw[] {
    try {
      const { began, ended } = parseRunMark(bytes);
      const since = Math.floor(began / 1000) * 1000;
      // What another program has appended before counts from its own time.
      this.#run("UPDATE x_entries SET at = $ended WHERE offset > $after AND at >= $since", {
        ...{ ended, since, after: this.#runOffset },
      });
      this.noteRun(bytes, { ended, offset: entry.offset });
      this.#at = ended;
      this.#runOffset = entry.offset;
      return [];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return [{ kind: "unreadable", entry, why: error.message }];
    }
  }

  /** Notes a run by its mark (formats/backup/run_mark.ts); without offset, one not in the tar. */
  noteRun(mark: Uint8Array, run: { readonly ended: number; readonly offset?: number }): void {
    const { ended, offset = null } = run;
    const text = Buffer.from(mark).toString().trimEnd();
    this.#run("INSERT INTO x_runs (ended, offset, mark) VALUES ($ended, $offset, $text)", {
      ...{ ended, offset, text },
    });
  }

  // ==========================================================================================
  // What the rules look up

  hasMessage(guid: Guid): boolean {
    return this.#number("SELECT 1 AS n FROM files WHERE guid = $guid", { guid }) === 1;
  }

  file(key: FileKey): { readonly size: number; readonly stale: number } | undefined {
    const { table, where, values } = rowsOf(key, this.#folderOf(key));
    return this.#row(`SELECT size, stale FROM ${table} WHERE ${where}`, values) as
      | { size: number; stale: number }
      | undefined; // the columns are of numbers
  }

  isLive(mailbox: string): boolean | undefined {
    const newest =
      "SELECT deleted AS n FROM imap WHERE name = $mailbox ORDER BY offset DESC, deleted";
    const deleted = this.#number(`${newest} LIMIT 1`, { mailbox });
    return deleted === undefined ? undefined : deleted === 0;
  }

  listed(uniqueid: string): readonly number[] {
    const folderid = this.#folder(uniqueid, { create: false });
    const rows = "SELECT uid FROM indexed WHERE folderid = ? ORDER BY uid";
    return this.#database
      .query<{ uid: number }, [number]>(rows)
      .all(folderid)
      .map(({ uid }) => uid);
  }

  // ==========================================================================================
  // Doing

  #apply(fact: ArchiveFact): void {
    if (fact.kind === "file" && fact.key.kind === "folder" && fact.key.name === FOLDER_FILE.index) {
      const folderid = this.#folderOf(fact.key);
      this.#run("DELETE FROM x_lacking WHERE folderid = $folderid", { folderid });
    }
    for (const change of changesBy(fact, this)) this.#do(change);
  }

  #do(change: RowChange): void {
    switch (change.kind) {
      case "addMessage": {
        const { guid, size, offset } = change;
        this.#run(
          "INSERT INTO files (guid, size, refcount, offset) VALUES ($guid, $size, 0, $offset)",
          { guid, size, offset },
        );
        return;
      }
      case "putFile":
        this.#putFile(change);
        return;
      case "dropFile": {
        const { table, where, values } = rowsOf(change.key, this.#folderOf(change.key));
        this.#run(`DELETE FROM ${table} WHERE ${where}`, values);
        return;
      }
      case "endLinks": {
        const { mailbox, deleted, offset } = change;
        this.#run(
          `UPDATE imap SET deleted = $deleted, offset = $offset
            WHERE name = $mailbox AND deleted = 0`,
          { mailbox, deleted, offset },
        );
        return;
      }
      case "putLink": {
        const { mailbox, uniqueid, offset } = change;
        const folderid = this.#folder(uniqueid, { create: true });
        this.#run(
          `INSERT OR REPLACE INTO imap (name, folderid, deleted, offset)
            VALUES ($mailbox, $folderid, 0, $offset)`,
          { mailbox, folderid, offset },
        );
        return;
      }
      case "list": {
        const folderid = this.#folder(change.uniqueid, { create: true });
        this.#run(
          `INSERT INTO indexed (folderid, uid, fileid, deleted)
            SELECT $folderid, $uid, fileid, 0 FROM files WHERE guid = $guid`,
          { folderid, uid: change.uid, guid: change.guid },
        );
        return;
      }
      case "lacking": {
        const folderid = this.#folder(change.uniqueid, { create: true });
        const { uid, guid } = change.message;
        this.#run("INSERT OR REPLACE INTO x_lacking VALUES ($folderid, $uid, $guid)", {
          ...{ folderid, uid, guid },
        });
        return;
      }
      case "unlist": {
        const folderid = this.#folder(change.uniqueid, { create: false });
        const { uid } = change;
        this.#run("DELETE FROM indexed WHERE folderid = $folderid AND uid = $uid", {
          ...{ folderid, uid },
        });
      }
    }
  }

  #putFile({ key, facts, stale }: Extract<RowChange, { kind: "putFile" }>): void {
    const { sha1 = null, size, mtime, inode, offset } = facts;
    const folderid = key.kind === "folder" ? this.#folder(key.uniqueid, { create: true }) : 0;
    const { table, columns, values } = rowsOf(key, folderid);
    const names = [...columns, "sha1", "size", "mtime", "inode", "stale", "offset"];
    this.#run(
      `INSERT OR REPLACE INTO ${table} (${names.join(", ")})
        VALUES (${names.map((column) => `$${column}`).join(", ")})`,
      { ...values, sha1, size, mtime, inode, stale, offset },
    );
  }

  #note(fact: FileFact | Extract<ArchiveFact, { kind: "link" }>, content?: Uint8Array): void {
    const { mtime, offset } = fact;
    if (mtime > 0) this.#at = mtime * 1000;
    const row =
      fact.kind === "link"
        ? {
            ...{ kind: "link", name: fact.mailbox, sha1: null, size: 0 },
            folderid: fact.uniqueid === "" ? null : this.#folder(fact.uniqueid, { create: true }),
          }
        : {
            ...{ kind: fact.key.kind, name: fact.key.name },
            ...{ sha1: fact.sha1 ?? null, size: fact.size },
            folderid:
              fact.key.kind === "meta" ? null : this.#folder(fact.key.uniqueid, { create: true }),
          };
    this.#run(
      `INSERT OR REPLACE INTO x_entries
        (offset, kind, name, folderid, sha1, size, mtime, at, content)
        VALUES ($offset, $kind, $name, $folderid, $sha1, $size, $mtime, $at, $content)`,
      { ...row, offset, mtime, at: this.#at, content: content ?? null },
    );
  }

  #folderOf(key: FileKey): number {
    return key.kind === "folder" ? this.#folder(key.uniqueid, { create: false }) : 0;
  }

  /** The row of a folder; -1, which no folder has, where there is none and none is to be made. */
  #folder(uniqueid: string, { create }: { readonly create: boolean }): number {
    const known =
      this.#folders.get(uniqueid) ??
      this.#number("SELECT folderid AS n FROM folders WHERE uniqueid = $uniqueid", { uniqueid });
    if (known === undefined && !create) return -1;
    if (known === undefined) {
      this.#run("INSERT INTO folders (uniqueid) VALUES ($uniqueid)", { uniqueid });
      return this.#folder(uniqueid, { create: false });
    }
    this.#folders.set(uniqueid, known);
    return known;
  }

  #run(sql: string, values: Row = {}): void {
    this.#database.query(sql).run(values);
  }

  #row(sql: string, values: Row = {}): unknown {
    return this.#database.query(sql).get(values) ?? undefined;
  }

  /** The column `n` of the first row; undefined where there is none, or NULL. */
  #number(sql: string, values: Row = {}): number | undefined {
    const row = this.#row(sql, values) as { readonly n: number | null } | undefined;
    return row?.n ?? undefined;
  }
}

/** The table in which a file stands, and which row of it. */
function rowsOf(key: FileKey, folderid: number) {
  const { name } = key;
  return key.kind === "folder"
    ? {
        ...{ table: "fmeta", columns: ["folderid", "name"], values: { folderid, name } },
        where: "folderid = $folderid AND name = $name",
      }
    : {
        ...{ table: "meta", columns: ["type", "name"], values: { type: "meta", name } },
        where: "type = $type AND name = $name",
      };
}
