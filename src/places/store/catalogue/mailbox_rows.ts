/** The rows of a catalogue about mailboxes, their former names and the deleted ones. */
import type { Database } from "bun:sqlite";
import { AppError } from "../../../core/errors.ts";
import type { Annotation } from "../../../model/annotation.ts";
import type { MailboxState } from "../../../model/mailbox.ts";
import { OWNER_COLUMN } from "./owner_row.ts";
import { isSoundRow, soundRow } from "./sound_rows.ts";

/** What a peer says of a mailbox that no file of its folder can keep just as it was said. */
export type MailboxDetails = Pick<
  MailboxState,
  | ("jmapid" | "type" | "partition" | "acl" | "quotaroot" | "xconvmodseq" | "compactEmailids")
  | ("raclmodseq" | "usergroups" | "version" | "createdmodseq" | "foldermodseq")
>;

/** A mailbox as the catalogue has it. What its files say (counts, flags, modseqs) is not here. */
export interface MailboxRow {
  readonly uniqueid: string;
  /** Internal: `user.fred.Sub`. */
  readonly name: string;
  readonly details: MailboxDetails;
  /**
   * Name of the form of SYNC_CRC_ANNOT that the peer computes; undefined for that of the folder.
   */
  readonly annotVariant: string | undefined;
  /** SYNC_CRC_ANNOT in the form `annotVariant`, where it is known. */
  readonly annotCrc: KeptAnnotCrc | undefined;
  /** A placeholder in the tree: it has no folder and no messages. */
  readonly intermediate: boolean;
}

/**
 * SYNC_CRC_ANNOT in the form of the peer, kept beside the index. It holds for the index whose
 * header has the checksum `indexCrc`. Any change of a record changes that checksum too, so a sum
 * that was not updated is recognised by it and is computed anew.
 */
export interface KeptAnnotCrc {
  readonly crc: number;
  readonly indexCrc: number;
}

/** A name that a mailbox had, until a time in seconds since 1970. */
export interface FormerName {
  readonly name: string;
  readonly until: number;
}

/** A mailbox that was deleted and lies in the trash. */
export interface Tombstone {
  readonly number: number;
  readonly uniqueid: string;
  readonly name: string;
  /** Seconds since 1970. */
  readonly deleted: number;
  /** Where its folder lies, below the owner's; "" for an intermediate one. */
  readonly trash: string;
  readonly mailbox: MailboxRow;
}

interface StoredRow extends Readonly<Record<"uniqueid" | "name" | "state", string>> {
  readonly annot_variant: string | null;
  readonly annot_crc: number | null;
  readonly annot_crc_of: number | null;
  readonly intermediate: number;
}

const COLUMNS = "uniqueid, name, state, annot_variant, annot_crc, annot_crc_of, intermediate";
const READ = `${COLUMNS}, committed, ${OWNER_COLUMN}`;

const MODSEQS = ["xconvmodseq", "raclmodseq", "createdmodseq", "foldermodseq"] as const;

function rowOf(stored: StoredRow): MailboxRow {
  const { uniqueid, name } = soundRow("mailbox", stored);
  const { partition = null, acl = null, ...details } = JSON.parse(stored.state);
  for (const field of MODSEQS) if (field in details) details[field] = BigInt(details[field]);
  // Tombstones that were written before schema version 2 lack both.
  const { annot_crc: crc = null, annot_crc_of: indexCrc = null } = stored;
  return {
    ...{ uniqueid, name, details: { partition, acl, ...details } },
    annotVariant: stored.annot_variant ?? undefined,
    annotCrc: crc === null || indexCrc === null ? undefined : { crc, indexCrc },
    intermediate: stored.intermediate !== 0,
  };
}

function storedOf(row: MailboxRow): StoredRow {
  const { uniqueid, name, details } = row;
  return {
    ...{ uniqueid, name },
    // 64-bit numbers as decimal text: JSON has no others.
    state: JSON.stringify(details, (_, value) => (typeof value === "bigint" ? `${value}` : value)),
    annot_variant: row.annotVariant ?? null,
    annot_crc: row.annotCrc?.crc ?? null,
    annot_crc_of: row.annotCrc?.indexCrc ?? null,
    intermediate: row.intermediate ? 1 : 0,
  };
}

/** The mailbox called `name` now, or undefined. */
export function mailboxByName(database: Database, name: string): MailboxRow | undefined {
  return mailboxWhere(database, "name", name);
}

/** The mailbox with `uniqueid`, or undefined. */
export function mailboxById(database: Database, uniqueid: string): MailboxRow | undefined {
  return mailboxWhere(database, "uniqueid", uniqueid);
}

function mailboxWhere(
  database: Database,
  column: "name" | "uniqueid",
  value: string,
): MailboxRow | undefined {
  const sql = `SELECT ${READ} FROM mailbox WHERE ${column} = ?`;
  const found = database.query<StoredRow, [string]>(sql).get(value);
  return found === null ? undefined : rowOf(found);
}

/** Every mailbox of the owner, by name. Throws bad_data where a row is damaged. */
export function allMailboxes(database: Database): MailboxRow[] {
  const { rows, damaged } = readableMailboxes(database);
  const [first] = damaged;
  if (first !== undefined) throw first.error;
  return rows;
}

/** A row of a mailbox that is damaged: what can still be told of it. */
export interface DamagedMailbox {
  readonly name: string;
  readonly uniqueid: string;
  readonly error: AppError;
}

/** The mailboxes of the owner whose rows are sound, by name, and those whose rows are not. */
export function readableMailboxes(database: Database): {
  readonly rows: MailboxRow[];
  readonly damaged: DamagedMailbox[];
} {
  const rows: MailboxRow[] = [];
  const damaged: DamagedMailbox[] = [];
  const stored = database.query<StoredRow, []>(`SELECT ${READ} FROM mailbox ORDER BY name`);
  for (const one of stored.all()) {
    try {
      rows.push(rowOf(one));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      damaged.push({ name: `${one.name}`, uniqueid: `${one.uniqueid}`, error });
    }
  }
  return { rows, damaged };
}

/** Adds a mailbox. Name and uniqueid must be free. */
export function insertMailbox(database: Database, row: MailboxRow): void {
  const { uniqueid, name, state, intermediate, ...annot } = storedOf(row);
  const { annot_variant, annot_crc, annot_crc_of } = annot;
  database
    .query(`INSERT INTO mailbox (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`)
    .run(uniqueid, name, state, annot_variant, annot_crc, annot_crc_of, intermediate);
}

/** Writes what changed of a mailbox but its name. */
export function updateMailbox(database: Database, row: MailboxRow): void {
  const { uniqueid, state, annot_variant, annot_crc, annot_crc_of, intermediate } = storedOf(row);
  database
    .query(
      `UPDATE mailbox SET state = ?, annot_variant = ?, annot_crc = ?, annot_crc_of = ?,
       intermediate = ?, committed = committed + 1 WHERE uniqueid = ?`,
    )
    .run(state, annot_variant, annot_crc, annot_crc_of, intermediate, uniqueid);
}

/** Keeps the value of SYNC_CRC_ANNOT in the form of the mailbox's peer. */
export function keepAnnotCrc(database: Database, uniqueid: string, kept: KeptAnnotCrc): void {
  database
    .query("UPDATE mailbox SET annot_crc = ?, annot_crc_of = ? WHERE uniqueid = ?")
    .run(kept.crc, kept.indexCrc, uniqueid);
}

/** Former names of a mailbox, the oldest first. */
export function formerNames(database: Database, uniqueid: string): FormerName[] {
  const sql = "SELECT name, until FROM history WHERE uniqueid = ? ORDER BY number";
  const rows = database.query<FormerName, [string]>(sql).all(uniqueid);
  return rows.map((row) => soundRow("history", row));
}

/** Notes that a mailbox was called `former.name` until now. */
export function addFormerName(database: Database, uniqueid: string, former: FormerName): void {
  database
    .query(
      `INSERT INTO history
       SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3 FROM history WHERE uniqueid = ?1`,
    )
    .run(uniqueid, former.name, former.until);
}

/**
 * Gives mailboxes other names, all at once: names may be swapped or go round. The
 * caller sees to it that no two mailboxes end up with one name.
 */
export function renameMailboxes(database: Database, names: ReadonlyMap<string, string>): void {
  // No internal name begins with NUL, so these names clash with none while all are changed.
  const part = database.query("UPDATE mailbox SET name = char(0) || uniqueid WHERE uniqueid = ?");
  for (const uniqueid of names.keys()) part.run(uniqueid);
  const set = database.query(
    "UPDATE mailbox SET name = ?, committed = committed + 1 WHERE uniqueid = ?",
  );
  for (const [uniqueid, name] of names) set.run(name, uniqueid);
}

interface StoredTombstone extends Omit<Tombstone, "mailbox"> {
  readonly mailbox: string;
}

/** Adds a tombstone that says where the folder of a deleted mailbox went. */
export function insertTombstone(
  database: Database,
  row: MailboxRow,
  grave: Pick<Tombstone, "deleted" | "trash">,
): void {
  database
    .query("INSERT INTO tombstone (uniqueid, name, deleted, trash, mailbox) VALUES (?, ?, ?, ?, ?)")
    .run(row.uniqueid, row.name, grave.deleted, grave.trash, JSON.stringify(storedOf(row)));
}

/** Deletes a mailbox's row and leaves a tombstone. */
export function buryMailbox(
  database: Database,
  row: MailboxRow,
  grave: Pick<Tombstone, "deleted" | "trash">,
): void {
  insertTombstone(database, row, grave);
  database.query("DELETE FROM mailbox WHERE uniqueid = ?").run(row.uniqueid);
}

/** Every tombstone, the oldest first. */
export function tombstones(database: Database): Tombstone[] {
  const sql = "SELECT * FROM tombstone ORDER BY deleted, number";
  return database.query<StoredTombstone, []>(sql).all().map(tombstoneOf);
}

/** The tombstone of what was deleted last under the name, or with the uniqueid, `which`. */
export function lastTombstone(database: Database, which: string): Tombstone | undefined {
  const sql = `SELECT * FROM tombstone WHERE name = ?1 OR uniqueid = ?1
    ORDER BY deleted DESC, number DESC LIMIT 1`;
  const found = database.query<StoredTombstone, [string]>(sql).get(which);
  return found === null ? undefined : tombstoneOf(found);
}

function tombstoneOf(row: StoredTombstone): Tombstone {
  const { mailbox, ...stored } = soundRow("tombstone", row);
  return { ...stored, mailbox: rowOf(JSON.parse(mailbox)) };
}

/** Forgets a tombstone. */
export function removeTombstone(database: Database, number: number): void {
  database.query("DELETE FROM tombstone WHERE number = ?").run(number);
}

interface AnnotationRow
  extends Readonly<Record<"uniqueid" | "entry" | "userid" | "modseq", string>> {
  readonly value: Uint8Array;
}

/** The annotations of a mailbox itself, or of all mailboxes. Throws bad_data for a damaged one. */
export function mailboxAnnotations(database: Database, uniqueid?: string): Annotation[] {
  return annotationRows(database, uniqueid).map((row) => annotationOf(soundRow("annotation", row)));
}

/** Those that are sound: a damaged one keeps no mail back; the owner's settings tell of it. */
export function readableAnnotations(database: Database, uniqueid: string): Annotation[] {
  const rows = annotationRows(database, uniqueid);
  return rows.filter((row) => isSoundRow("annotation", row)).map(annotationOf);
}

function annotationRows(database: Database, uniqueid: string | undefined): AnnotationRow[] {
  const [all, inOrder] = ["SELECT * FROM annotation", "ORDER BY uniqueid, entry, userid"];
  if (uniqueid === undefined) return database.query<AnnotationRow, []>(`${all} ${inOrder}`).all();
  const query = database.query<AnnotationRow, [string]>(`${all} WHERE uniqueid = ? ${inOrder}`);
  return query.all(uniqueid);
}

function annotationOf({ entry, userid, modseq, value }: AnnotationRow): Annotation {
  return { entry, userid, modseq: BigInt(modseq), value };
}

/** Bytes of the values of a mailbox's own annotations: they count in quota_annot_used. */
export function annotationBytes(database: Database, uniqueid: string): number {
  const sql = "SELECT sum(length(value)) AS bytes FROM annotation WHERE uniqueid = ?";
  return database.query<{ bytes: number | null }, [string]>(sql).get(uniqueid)?.bytes ?? 0;
}
