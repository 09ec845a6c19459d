/**
 * The pool of one user: one file per message GUID, and `N.` in the mailbox folders hard-linked to
 * it. A name in the pool is made only after the bytes under it are durable, so a power cut cannot
 * leave a whole name on half a message. Where a link cannot be (EXDEV, EPERM, a full inode) a copy
 * is made.
 */
import { constants, copyFileSync, linkSync, lstatSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../../../core/errors.ts";
import { diskError, makeFolder, removeFile, statOf } from "../../../storage/disk.ts";
import { type DurableBatch, syncPath } from "../../../storage/durable.ts";
import { messageFile, poolPath } from "../layout.ts";
import { LINK_REFUSED } from "../store_settings.ts";
import { type KnownMessage, readMessageFacts } from "./message_file.ts";

export interface PoolContext {
  /** The owner's folder. */
  readonly folder: string;
  /** As the store was probed: whether mailbox folders hold links or copies. */
  readonly mode: "link" | "copy";
  /** Takes what must be durable before the transaction may commit. */
  readonly batch: DurableBatch;
}

/** A message that a mailbox is about to name. */
export interface Arrival {
  readonly guid: string;
  /** The session's staged file. */
  readonly staged: string;
  /**
   * The same inode lies in another owner's pool, and stays: gc could free it in neither, so it is
   * copied.
   */
  readonly isShared: boolean;
}

/** A message on its way into the pool. */
interface Coming {
  readonly guid: string;
  readonly pooled: string;
  /** The file that gets the name: the staged one, or a copy beside it. */
  readonly from: string;
}

export interface AdmitOptions {
  /**
   * Drops a file that could not be made durable: the kernel takes for clean what it could not
   * write, so a second attempt would say nothing. For what its sender can send anew; a file that is
   * mail already must stay.
   */
  readonly distrust?: (path: string) => void;
}

/** Puts all arrivals into the pool; those already there with the right bytes are left alone. */
export function admit(arrivals: readonly Arrival[], context: PoolContext & AdmitOptions): void {
  const entries = arrivals.map((arrival) => ({ arrival, found: look(arrival, context) }));
  const missing = entries.filter(({ found }) => found !== "present");
  for (const folder of new Set(missing.map(({ arrival }) => poolFolder(arrival, context)))) {
    for (const made of makeFolder(folder)) context.batch.folder(dirname(made));
    context.batch.folder(folder);
  }
  const [staged, copies] = [context.batch.another(), context.batch.another()];
  const coming: Coming[] = [];
  for (const { arrival, found } of missing) {
    const { guid } = arrival;
    const pooled = join(context.folder, poolPath(guid));
    const mayLink = context.mode === "link" && found === "absent" && !arrival.isShared;
    const from = mayLink ? arrival.staged : copyBeside(arrival.staged, pooled);
    (mayLink ? staged : copies).file(from);
    coming.push({ guid, pooled, from });
  }
  makeSafe(
    staged,
    missing.map(({ arrival }) => arrival.staged),
    context,
  );
  copies.flush();
  for (const one of coming) enter(one);
}

function makeSafe(
  batch: DurableBatch,
  staged: readonly string[],
  { distrust }: AdmitOptions,
): void {
  try {
    batch.flush();
  } catch (error) {
    for (const path of staged) distrust?.(path);
    throw error;
  }
}

/** Whether the pool holds the message: the same inode, or a file with the right SHA-1. */
function look(arrival: Arrival, context: PoolContext): "present" | "absent" | "rotten" {
  const pooled = join(context.folder, poolPath(arrival.guid));
  const stat = statOf(pooled);
  if (stat === undefined) return "absent";
  const staged = lstatSync(arrival.staged);
  if (staged.ino === stat.ino && staged.dev === stat.dev) return "present";
  // Bytes that rotted under their name must not swallow the good ones that just came.
  const isRight = stat.size === staged.size && readMessageFacts(pooled)?.guid === arrival.guid;
  return isRight ? "present" : "rotten";
}

function poolFolder({ guid }: Arrival, context: PoolContext): string {
  return dirname(join(context.folder, poolPath(guid)));
}

/** Gives a message, whose bytes are durable, its name in the pool. */
function enter({ guid, pooled, from }: Coming): void {
  try {
    if (from === nextPath(pooled)) renameSync(from, pooled);
    else if (!tryLink(from, pooled)) replaceByCopy(from, pooled);
  } catch (error) {
    throw diskError(error, `keep message ${guid}`, pooled);
  }
}

/** Where a file lies that is about to get the name `pooled`. */
function nextPath(pooled: string): string {
  return `${pooled}.NEW`;
}

/** Copies `from` to where it can be renamed to `pooled`. */
function copyBeside(from: string, pooled: string): string {
  const next = nextPath(pooled);
  try {
    removeFile(next);
    copyFileSync(from, next, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  } catch (error) {
    throw diskError(error, `copy ${from}`, next);
  }
  return next;
}

function replaceByCopy(from: string, pooled: string): void {
  const next = copyBeside(from, pooled);
  syncPath(next, "file");
  renameSync(next, pooled);
}

/** Links; false where the file system refuses links here but would take a copy. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (LINK_REFUSED.has(errnoOf(error) ?? "")) return false;
    throw error;
  }
}

/**
 * Brings a message of the pool into a mailbox's `folder` (below the owner's) as `uid.`. A file that
 * is there already belongs to no record (the caller has looked): a killed transaction left it, and
 * it stays only if it is the very same inode.
 */
export function placeMessage(
  guid: string,
  target: { readonly folder: string; readonly uid: number },
  context: PoolContext,
): void {
  const pooled = join(context.folder, poolPath(guid));
  const folder = join(context.folder, target.folder);
  const path = join(folder, messageFile(target.uid));
  context.batch.folder(folder);
  try {
    try {
      place(pooled, path, context);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      if (sameInode(path, pooled)) return;
      removeFile(path);
      place(pooled, path, context);
    }
  } catch (error) {
    throw diskError(error, `place message ${target.uid}`, path);
  }
}

/** Throws EEXIST where something is at `path`. */
function place(pooled: string, path: string, context: PoolContext): void {
  if (context.mode === "link" && linkFromPool(pooled, path, context)) return;
  copyFileSync(pooled, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  context.batch.file(path);
}

function sameInode(left: string, right: string): boolean {
  const a = statOf(left);
  const b = statOf(right);
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

/**
 * Links a message out of the pool. An inode that can take no more links (65,000 on ext4) is
 * followed by a fresh copy under the same pool name, which takes the next 65,000.
 */
function linkFromPool(pooled: string, path: string, context: PoolContext): boolean {
  try {
    linkSync(pooled, path);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (errno !== "EMLINK") {
      if (LINK_REFUSED.has(errno)) return false;
      throw error;
    }
  }
  replaceByCopy(pooled, pooled);
  context.batch.folder(dirname(pooled));
  return tryLink(pooled, path);
}

/** A message of the pool whose bytes were just found to be right, or undefined. */
export function soundInPool(folder: string, guid: string): KnownMessage | undefined {
  const path = join(folder, poolPath(guid));
  const facts = readMessageFacts(path);
  return facts?.guid === guid ? { path, facts } : undefined;
}
