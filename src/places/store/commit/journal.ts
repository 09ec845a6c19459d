/**
 * What is done with the steps of the redo journal: to files under the lock (`replay`), or in memory
 * for readers (`overlay`). A step says what bytes stand where afterwards, never how they change, so
 * doing it twice, or half and then whole, ends the same. The order of a commit (design.md, section
 * 3):
 *
 *     messages durable in pool and folder -> redo rows and catalogue rows -> COMMIT (synced)
 *     -> the steps are done to the files -> files synced -> rows dropped (needs no sync of its own)
 *
 * Steps are only ever done to files under the writer lock: by the writer itself, or after a kill by
 * the next process that opens the owner to write.
 */
import { closeSync, constants, openSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert } from "../../../core/assert.ts";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { FIT_BYTES, type FileFit, fitProblem } from "../../../mailbox/file_step.ts";
import { isUniqueid } from "../../../model/mailbox.ts";
import {
  diskError,
  FILE_MODE,
  makeFolder,
  overwriteFile,
  readFully,
  removeFile,
  statOf,
  writeFully,
} from "../../../storage/disk.ts";
import { type DurableBatch, replaceFile, syncPath } from "../../../storage/durable.ts";
import type { MailboxStep, RedoStep, Unfit } from "../catalogue/redo_rows.ts";
import { TRASH_FOLDER } from "../layout.ts";
import { holdsOnlyMessages } from "../messages/leftovers.ts";

const PAGE_BYTES = 4096;

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
  let isOwn = false; // `result` is memory of this function, which it may change
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

/**
 * Does `steps` to the files under the writer lock. What is written goes into the context's batch.
 * Where the files of a mailbox do not take a step, that step and all later ones of the mailbox are
 * left; those of other mailboxes are done. Returns the mailboxes that were left.
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

/** A replay under way, with what it does at its end for all steps together. */
interface Run extends ReplayContext {
  /** Uniqueids to be given back. */
  readonly released: string[];
  /** Folders out of which something was erased. */
  readonly erasedFrom: Set<string>;
}

/**
 * Makes the folders into which mailboxes will be moved, and makes them durable together: a mailbox
 * must not go into a folder that a power cut could take back, and a sync for each of thousands
 * takes long.
 */
function makeTargets(steps: readonly MailboxStep[], { folder, batch }: ReplayContext): void {
  try {
    for (const { step } of steps) {
      if (step.kind !== "move") continue;
      for (const made of makeFolder(dirname(join(folder, step.target))))
        batch.folder(dirname(made));
    }
  } catch (error) {
    if (!isUnfit(error)) throw error; // the move itself meets the error again, and is left for it
  }
  batch.flush();
}

/**
 * What these say of a path is that the files are not those on which the step was planned. With any
 * other error, such as a full disk, the whole replay fails and all steps wait.
 */
const UNFIT_ERRNOS: ReadonlySet<unknown> = new Set([
  ...["ENOENT", "ENOTDIR", "EISDIR", "ENOTEMPTY", "EEXIST", "ELOOP"],
]);

function isUnfit(error: unknown): error is AppError {
  if (!(error instanceof AppError)) return false;
  return error.code === "bad_data" || UNFIT_ERRNOS.has(error.context["errno"]);
}

/** Does all writes into one file that follow each other from `start` on, with it opened once. */
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
    // A reader never sees half of what is written into one page.
    if (step.bytes.length <= PAGE_BYTES && statOf(path)?.isFile() === true)
      overwriteFile(path, step.bytes);
    else {
      for (const made of makeFolder(parent)) context.batch.folder(dirname(made));
      replaceFile(path, step.bytes, context);
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
    context.batch.flush();
    rmSync(path, { recursive: true, force: true });
    context.erasedFrom.add(parent);
  }
}

function moveFolder(path: string, target: string, batch: DurableBatch): void {
  // A folder must not go into one that a power cut could take back.
  for (const made of makeFolder(dirname(target))) syncPath(dirname(made), "folder");
  // A transaction that was to make the same mailbox, and did not commit, may have left messages
  // there.
  if (statOf(path) !== undefined && holdsOnlyMessages(target))
    rmSync(target, { recursive: true, force: true });
  try {
    renameSync(path, target);
  } catch (error) {
    // It was done before a kill where the folder is at its target and no longer here.
    const done = errnoOf(error) === "ENOENT" && statOf(target) !== undefined;
    if (!done) throw diskError(error, `move to ${target} what lies`, path);
  }
  // When this is done again after a kill, the folder it came from may have been erased too.
  if (statOf(dirname(path)) !== undefined) batch.folder(dirname(path));
  batch.folder(dirname(target));
}
