/** Whether a file is still what it was: neither replaced nor written to since. */
import { type BigIntStats, fstatSync, lstatSync, statSync } from "node:fs";
import { errnoOf } from "./errors.ts";

/**
 * One state of one file, as finely as the file system tells: device, inode, size, and both times in
 * nanoseconds. Where a path could not be looked at, the name of the error. Two stamps are compared
 * with `===`.
 */
export type FileStamp = string;

/** There is no such file. */
export const NO_FILE: FileStamp = "ENOENT";

/** What lies at `path` now. A link is a file of its own, unless it is to be followed. */
export function stampAt(
  path: string,
  { followsLinks = false }: { readonly followsLinks?: boolean } = {},
): FileStamp {
  const stat = lookAt(path, followsLinks);
  return typeof stat === "string" ? stat : printed(stat);
}

function lookAt(path: string, followsLinks: boolean): BigIntStats | FileStamp {
  const options = { bigint: true, throwIfNoEntry: false } as const;
  try {
    return (followsLinks ? statSync(path, options) : lstatSync(path, options)) ?? NO_FILE;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno === "ENOTDIR" ? NO_FILE : errno;
  }
}

/** The file that is open as `fd`, as it is now. */
export function stampOf(fd: number): FileStamp {
  return printed(fstatSync(fd, { bigint: true }));
}

function printed({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileStamp {
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

/** Well above the tick of any file system's clock, and above the skew of two machines. */
const SETTLED_MS = 2000;

/**
 * True for a file that nobody has written to in the last seconds before `nowMs`. Only then do times
 * that stay the same tell that nobody has written since, however coarse the clock of the files is.
 */
export function isSettled(stat: { readonly mtimeMs: number }, nowMs: number): boolean {
  return stat.mtimeMs < nowMs - SETTLED_MS;
}

/** A file as it was before it was read, which is read again only after a change. */
export interface WatchedFile {
  readonly path: string;
  /** Undefined for one that had just been written to: the next write could leave the same times. */
  readonly stamp: FileStamp | undefined;
}

/** To be called before the file is read. */
export function watched(path: string): WatchedFile {
  const stat = lookAt(path, false);
  if (typeof stat === "string") return { path, stamp: stat };
  const hasRest = isSettled({ mtimeMs: Number(stat.mtimeMs) }, Date.now());
  return { path, stamp: hasRest ? printed(stat) : undefined };
}

/** True where nobody can have written to the file since. */
export function isStill({ path, stamp }: WatchedFile): boolean {
  return stamp !== undefined && stampAt(path) === stamp;
}
