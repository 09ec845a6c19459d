/**
 * The redo journal: what a committed transaction still has to do to files. A step says what bytes
 * stand where afterwards, never how they change, so doing it twice, or half and then whole, ends the
 * same. The order of a commit (design.md, section 3):
 *
 *     messages durable in pool and folder -> redo rows and catalogue rows -> COMMIT (synced)
 *     -> the steps are done to the files -> files synced -> rows dropped (needs no sync of its own)
 *
 * Steps are only ever done under the writer lock, by whoever holds it: the writer itself, the next
 * writer after a kill, or whoever opens the user. Readers lay the rows over the files instead.
 */
import type { Database } from "bun:sqlite";
import { closeSync, constants, existsSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert } from "../../../core/assert.ts";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { FIT_BYTES, type FileFit, type FileStep, fitProblem } from "../../../mailbox/file_step.ts";
import {
  type DurableBatch,
  diskError,
  FILE_MODE,
  makeFolder,
  overwriteFile,
  readFully,
  removeFile,
  replaceFile,
  statOf,
  syncPath,
  writeFully,
} from "../../../storage/disk.ts";
import { isUniqueid, TRASH_FOLDER } from "../layout.ts";
import { holdsOnlyMessages } from "../messages/leftovers.ts";

/** One thing to do to a file. Paths are relative to the owner's folder and made by layout.ts alone. */
export type RedoStep =
  | FileStep
  /** A folder moved; done already where only the target exists. */
  | { readonly kind: "move"; readonly path: string; readonly target: string }
  /** A message removed; done already where it is absent. */
  | { readonly kind: "unlink"; readonly path: string }
  /** A folder of the trash, or of a mailbox that went to another owner, removed with all in it. */
  | { readonly kind: "erase"; readonly path: string }
  /** A uniqueid given back to the store's registry. */
  | { readonly kind: "release"; readonly uniqueid: string };

/** A step with the mailbox it belongs to, whose reader must see it. */
export interface MailboxStep {
  readonly uniqueid: string;
  readonly step: RedoStep;
}

const PAGE_BYTES = 4096;

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

/** Why the step could not be done, where the files of its mailbox are not those it was planned on. */
export const REDO_UNFIT = "ALTER TABLE redo ADD COLUMN unfit TEXT";

interface RedoRow {
  readonly uniqueid: string;
  readonly kind: string;
  readonly path: string;
  readonly target: string | null;
  readonly offset: number | null;
  readonly bytes: Uint8Array | null;
  readonly generation: number | null;
  readonly records_before: number | null;
  readonly records_after: number | null;
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
  const rows =
    uniqueid === undefined
      ? database.query<RedoRow, []>(`SELECT ${COLUMNS} FROM redo ORDER BY number`).all()
      : database
          .query<RedoRow, [string]>(
            `SELECT ${COLUMNS} FROM redo WHERE uniqueid = ? ORDER BY number`,
          )
          .all(uniqueid);
  return rows.map((row) => ({ uniqueid: row.uniqueid, step: stepOfRow(row) }));
}

function stepOfRow(row: RedoRow): RedoStep {
  const { path, bytes } = row;
  if (row.kind === "write" && bytes !== null && row.offset !== null) {
    const step = { kind: "write", path, offset: row.offset, bytes } as const;
    if (row.generation === null) return step;
    const fit = {
      generation: row.generation,
      before: row.records_before ?? 0,
      after: row.records_after ?? 0,
    };
    return { ...step, fit };
  }
  if (row.kind === "replace" && bytes !== null) return { kind: "replace", path, bytes };
  if (row.kind === "move" && row.target !== null) return { kind: "move", path, target: row.target };
  if (row.kind === "unlink" || row.kind === "erase") return { kind: row.kind, path };
  if (row.kind === "release") return { kind: "release", uniqueid: path };
  throw new AppError("bad_data", `Cannot replay the journal: a step of kind "${row.kind}"`, {
    hint: "Use the release of Bobbin that wrote it, or a later one.",
  });
}

/**
 * The bytes of `path` as they will stand when `steps` are done; undefined where no file will be.
 * Throws bad_data where the steps were planned on another index than `bytes`.
 */
export function overlay(
  path: string,
  bytes: Uint8Array | undefined,
  steps: readonly MailboxStep[],
): Uint8Array | undefined {
  let result = bytes;
  let isOwn = false; // memory that nobody else looks at
  for (const { step } of steps) {
    if (step.kind === "release" || step.path !== path) continue;
    if (step.kind === "replace") {
      result = step.bytes;
      isOwn = false;
    }
    if (step.kind === "unlink") result = undefined;
    if (step.kind === "write") {
      const before = result ?? new Uint8Array(0);
      if (step.fit !== undefined) requireFit(before, path, step.fit);
      const end = step.offset + step.bytes.length;
      if (!isOwn || result === undefined || end > result.length) {
        result = new Uint8Array(Math.max(before.length, end));
        result.set(before);
        isOwn = true;
      }
      result.set(step.bytes, step.offset);
    }
  }
  return result;
}

export interface ReplayContext {
  /** The owner's folder. */
  readonly folder: string;
  /** Gives uniqueids back to the registry. */
  readonly release: (uniqueids: readonly string[]) => void;
  /** Takes what must be durable before the rows are dropped. */
  readonly batch: DurableBatch;
}

/** Mailboxes whose files do not take their steps, by uniqueid, and why. */
export type Unfit = ReadonlyMap<string, string>;

/**
 * Does `steps` to the files under the writer lock. What they wrote goes into the context's batch. A mailbox whose files
 * do not take a step is left with it and with all that follow; the others are done. Returns those that were left.
 */
export function replay(steps: readonly MailboxStep[], context: ReplayContext): Unfit {
  const unfit = new Map<string, string>();
  const run: Run = { ...context, released: [], erasedFrom: new Set() };
  makeTargets(steps, context);
  let at = 0;
  for (let next = steps[at]; next !== undefined; next = steps[at]) {
    const { uniqueid, step } = next;
    let done = 1;
    try {
      if (unfit.has(uniqueid)) continue;
      if (step.kind === "write") done = writeRun(steps, at, context);
      else replayOne(step, run);
    } catch (error) {
      if (!isUnfit(error)) throw error;
      unfit.set(uniqueid, error.message);
    } finally {
      at += done;
    }
  }
  for (const folder of run.erasedFrom) context.batch.folder(folder);
  if (run.released.length > 0) context.release(run.released);
  return unfit;
}

/** A replay, with what it does at its end for all steps together. */
interface Run extends ReplayContext {
  /** Uniqueids to be given back. */
  readonly released: string[];
  /** Folders out of which something was erased. */
  readonly erasedFrom: Set<string>;
}

/**
 * Makes the folders into which mailboxes will be moved, and makes them durable together: a mailbox must
 * not go into a folder that a power cut could take back, and a sync for each of thousands takes long.
 */
function makeTargets(steps: readonly MailboxStep[], { folder, batch }: ReplayContext): void {
  try {
    for (const { step } of steps) {
      if (step.kind !== "move") continue;
      for (const made of makeFolder(dirname(join(folder, step.target))))
        batch.folder(dirname(made));
    }
  } catch (error) {
    if (!isUnfit(error)) throw error; // the move itself will meet it again, and be told of
  }
  batch.flush(folder);
}

/** What is at a path is not what was planned on. Of other errors, such as a full disk, all steps wait. */
const UNFIT_ERRNOS: ReadonlySet<unknown> = new Set([
  ...["ENOENT", "ENOTDIR", "EISDIR", "ENOTEMPTY", "EEXIST", "ELOOP"],
]);

function isUnfit(error: unknown): error is AppError {
  if (!(error instanceof AppError)) return false;
  return error.code === "bad_data" || UNFIT_ERRNOS.has(error.context["errno"]);
}

/** Does the run of writes into one file that begins at `start`, with the file opened once. */
function writeRun(steps: readonly MailboxStep[], start: number, context: ReplayContext): number {
  const first = steps[start]?.step;
  if (first?.kind !== "write") return 1;
  const path = join(context.folder, first.path);
  let fd: number | undefined;
  let done = 0;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW, FILE_MODE);
    if (first.fit !== undefined) requireFit(readFully(fd, FIT_BYTES, 0), path, first.fit);
    for (;;) {
      const step = steps[start + done]?.step;
      if (step?.kind !== "write" || step.path !== first.path) break;
      writeFully(fd, step.bytes, step.offset);
      done++;
    }
  } catch (error) {
    throw diskError(error, "write", path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  context.batch.file(path);
  return done;
}

/** Refuses to write into a file that is not the one the transaction was planned on. */
function requireFit(head: Uint8Array, path: string, fit: FileFit): void {
  const problem = fitProblem(path, head, fit);
  if (problem === undefined) return;
  throw new AppError("bad_data", `Cannot replay the journal into ${path}: ${problem}`, {
    context: { path },
    hint: "The file was replaced by something other than Bobbin; run `bobbin fsck`.",
  });
}

function replayOne(step: RedoStep, context: Run): void {
  if (step.kind === "release") {
    context.released.push(step.uniqueid);
    return;
  }
  const path = join(context.folder, step.path);
  const parent = dirname(path);
  if (step.kind === "replace") {
    // One page is written at once for whoever looks at the file beside the journal.
    if (step.bytes.length <= PAGE_BYTES && existsSync(path)) overwriteFile(path, step.bytes);
    else {
      for (const made of makeFolder(parent)) context.batch.folder(dirname(made));
      replaceFile(path, step.bytes);
      context.batch.folder(parent);
    }
    context.batch.file(path);
  } else if (step.kind === "move")
    moveFolder(path, join(context.folder, step.target), context.batch);
  else if (step.kind === "unlink") {
    if (removeFile(path)) context.batch.folder(parent);
  } else {
    const mayGo = step.path.startsWith(`${TRASH_FOLDER}/`) || isUniqueid(step.path);
    assert(mayGo, `${step.path} is neither in the trash nor a mailbox`);
    // What was moved out of the folder must be safe at its new place before the old one goes.
    context.batch.flush(context.folder);
    rmSync(path, { recursive: true, force: true });
    context.erasedFrom.add(parent);
  }
}

function moveFolder(path: string, target: string, batch: DurableBatch): void {
  // A folder must not go into one that a power cut could take back.
  for (const made of makeFolder(dirname(target))) syncPath(dirname(made), "folder");
  // A creation of the same mailbox that did not commit may have left messages there.
  if (statOf(path) !== undefined && holdsOnlyMessages(target))
    rmSync(target, { recursive: true, force: true });
  try {
    renameSync(path, target);
  } catch (error) {
    // Done already before a kill: the folder is at its target, and nothing is left here.
    const done = errnoOf(error) === "ENOENT" && statOf(target) !== undefined;
    if (!done) throw diskError(error, `move to ${target} what lies`, path);
  }
  // Done again after a kill, the folder it came from may have been erased too.
  if (statOf(dirname(path)) !== undefined) batch.folder(dirname(path));
  batch.folder(dirname(target));
}

/** Drops the rows of steps that are done and durable, and notes why those of `unfit` are not. */
export function dropSteps(database: Database, unfit: Unfit): void {
  if (unfit.size === 0) database.run("DELETE FROM redo");
  else {
    const left = JSON.stringify([...unfit.keys()]);
    database.run("DELETE FROM redo WHERE uniqueid NOT IN (SELECT value FROM json_each(?))", [left]);
  }
  const note = database.query("UPDATE redo SET unfit = ? WHERE uniqueid = ?");
  for (const [uniqueid, why] of unfit) note.run(why, uniqueid);
}

/** A mailbox of `Unfit`, with the number of steps that it was left with. */
export interface LeftSteps {
  readonly uniqueid: string;
  readonly why: string;
  readonly steps: number;
}

/** The mailboxes whose files did not take their steps when this was last tried. */
export function leftSteps(database: Database): LeftSteps[] {
  const sql =
    "SELECT uniqueid, unfit AS why, count(*) AS steps FROM redo WHERE unfit IS NOT NULL GROUP BY uniqueid";
  return database.query<LeftSteps, []>(sql).all();
}

/** Gives up the steps of a mailbox that can never be done. */
export function giveUpSteps(database: Database, uniqueid: string): void {
  database.run("DELETE FROM redo WHERE uniqueid = ?", [uniqueid]);
}
