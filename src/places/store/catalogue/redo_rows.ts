/**
 * The rows of the redo journal: what committed transactions still have to do to files, and which
 * mailboxes cannot take it. What is done with them stands in commit/journal.ts.
 */
import type { Database } from "bun:sqlite";
import { AppError } from "../../../core/errors.ts";
import type { FileStep } from "../../../mailbox/file_step.ts";
import { soundRow } from "./sound_rows.ts";

/**
 * One thing to do to a file. Paths are relative to the owner's folder and made by layout.ts alone.
 */
export type RedoStep =
  | FileStep
  /** A folder moved. It has been done where only the target exists. */
  | { readonly kind: "move"; readonly path: string; readonly target: string }
  /** A message file removed. It has been done where there is none. */
  | { readonly kind: "unlink"; readonly path: string }
  /** A folder removed with all in it: of the trash, or of a mailbox that went to another owner. */
  | { readonly kind: "erase"; readonly path: string }
  /** A uniqueid given back to the store's registry. */
  | { readonly kind: "release"; readonly uniqueid: string };

/** A step with the mailbox it belongs to, whose readers lay it over. */
export interface MailboxStep {
  readonly uniqueid: string;
  readonly step: RedoStep;
}

export const REDO_SCHEMA = `
  CREATE TABLE redo (
    number INTEGER PRIMARY KEY,
    uniqueid TEXT NOT NULL,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    target TEXT,
    offset INTEGER,
    bytes BLOB,
    generation INTEGER,
    records_before INTEGER,
    records_after INTEGER
  );
  CREATE INDEX redo_of_mailbox ON redo (uniqueid);`;

/** The second version of the table: why the step could not be done, where its mailbox is unfit. */
export const REDO_UNFIT = "ALTER TABLE redo ADD COLUMN unfit TEXT";

type NumberColumn = "offset" | "generation" | "records_before" | "records_after";

interface RedoRow
  extends Readonly<Record<"uniqueid" | "kind" | "path", string>>,
    Readonly<Record<NumberColumn, number | null>> {
  readonly target: string | null;
  readonly bytes: Uint8Array | null;
}

const COLUMNS =
  "uniqueid, kind, path, target, offset, bytes, generation, records_before, records_after";

/** Writes the steps of the transaction that is open on `database`. */
export function recordSteps(database: Database, steps: readonly MailboxStep[]): void {
  const insert = database.query(`INSERT INTO redo (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  for (const { uniqueid, step } of steps) {
    const path = step.kind === "release" ? step.uniqueid : step.path;
    const target = step.kind === "move" ? step.target : null;
    const offset = step.kind === "write" ? step.offset : null;
    const bytes = step.kind === "write" || step.kind === "replace" ? step.bytes : null;
    const fit = step.kind === "write" ? step.fit : undefined;
    insert.run(
      ...[uniqueid, step.kind, path, target, offset, bytes],
      ...[fit?.generation ?? null, fit?.before ?? null, fit?.after ?? null],
    );
  }
}

/** The steps not yet done, in order: of one mailbox, or of all. */
export function pendingSteps(database: Database, uniqueid?: string): MailboxStep[] {
  const [all, inOrder] = [`SELECT ${COLUMNS} FROM redo`, "ORDER BY number"];
  const rows =
    uniqueid === undefined
      ? database.query<RedoRow, []>(`${all} ${inOrder}`).all()
      : database.query<RedoRow, [string]>(`${all} WHERE uniqueid = ? ${inOrder}`).all(uniqueid);
  return rows.map((row) => ({ uniqueid: row.uniqueid, step: stepOfRow(row) }));
}

function stepOfRow(row: RedoRow): RedoStep {
  const { path, bytes } = soundRow("redo", row);
  if (row.kind === "write" && bytes !== null && row.offset !== null) {
    const step = { kind: "write", path, offset: row.offset, bytes } as const;
    if (row.generation === null) return step;
    const { generation, records_before: before, records_after: after } = row;
    return { ...step, fit: { generation, before: before ?? 0, after: after ?? 0 } };
  }
  if (row.kind === "replace" && bytes !== null) return { kind: "replace", path, bytes };
  if (row.kind === "move" && row.target !== null) return { kind: "move", path, target: row.target };
  if (row.kind === "unlink" || row.kind === "erase") return { kind: row.kind, path };
  if (row.kind === "release") return { kind: "release", uniqueid: path };
  throw new AppError("bad_data", `Cannot replay the journal: a step of kind "${row.kind}"`, {
    hint: "Use the release of Bobbin that wrote it, or a later one.",
  });
}

/** Unfit mailboxes by uniqueid, and why they are. */
export type Unfit = ReadonlyMap<string, string>;

/** Drops the rows of steps that are done and durable; keeps those of `unfit`, with the reason. */
export function dropSteps(database: Database, unfit: Unfit): void {
  if (unfit.size === 0) database.run("DELETE FROM redo");
  else {
    const left = JSON.stringify([...unfit.keys()]);
    database.run("DELETE FROM redo WHERE uniqueid NOT IN (SELECT value FROM json_each(?))", [left]);
  }
  const note = database.query("UPDATE redo SET unfit = ? WHERE uniqueid = ?");
  for (const [uniqueid, why] of unfit) note.run(why, uniqueid);
}

/** An unfit mailbox, with the number of steps that wait for it. */
export interface LeftSteps {
  readonly uniqueid: string;
  readonly why: string;
  readonly steps: number;
}

/** The mailboxes that were unfit when the journal was last settled. */
export function leftSteps(database: Database): LeftSteps[] {
  const sql = `SELECT uniqueid, unfit AS why, count(*) AS steps FROM redo
    WHERE unfit IS NOT NULL GROUP BY uniqueid`;
  return database.query<LeftSteps, []>(sql).all();
}

/** Gives up the steps of a mailbox that can never be done. */
export function giveUpSteps(database: Database, uniqueid: string): void {
  database.run("DELETE FROM redo WHERE uniqueid = ?", [uniqueid]);
}
