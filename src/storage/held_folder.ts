/**
 * Folders that go with a process: it holds a lock on its folder, which the kernel frees when the
 * process is gone, whatever its number and whichever container it ran in. What is not held may be
 * removed by anybody.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf } from "../core/errors.ts";
import { diskError, makeFolder, statOf } from "./disk.ts";
import { lockAlone } from "./libc.ts";

/** A folder, locked. */
export interface HeldFolder {
  readonly path: string;
  /** Frees the lock: what is left may be taken then. */
  readonly release: () => void;
}

/** Who clears up can come between making and locking once in a great while. */
const ATTEMPTS = 10;
/** Where no locks can be had, a process is taken to be over after so long. */
const HELD_MS_MAX = 24 * 60 * 60 * 1000;

export interface HeldFolderOptions {
  /** What its name begins with. */
  readonly prefix?: string;
  /** Makes the folder; `makeFolder` if not given. */
  readonly make?: (path: string) => void;
}

/** Makes a folder in `parent` that `removeUnlessHeld` leaves alone until it is released. */
export function makeHeldFolder(
  parent: string,
  { prefix = "", make = makeFolder }: HeldFolderOptions = {},
): HeldFolder {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const path = join(parent, `${prefix}${process.pid}-${randomBytes(6).toString("hex")}`);
    make(path);
    const fd = openEntry(path);
    if (fd === undefined) continue;
    if (lockAlone(fd) !== false && statOf(path)?.ino === fstatSync(fd).ino)
      return { path, release: releaseOnce(fd) };
    closeSync(fd);
  }
  throw new AppError("io", `Cannot lock a folder in ${parent}`, {
    context: { path: parent },
    hint: "The file system must support flock(2) on folders.",
  });
}

/** The number of a closed file is soon another's. */
function releaseOnce(fd: number): () => void {
  let isHeld = true;
  return () => {
    if (isHeld) closeSync(fd);
    isHeld = false;
  };
}

/** Removes what lies at `path` unless a process holds it; true if it did. */
export function removeUnlessHeld(path: string): boolean {
  const fd = openEntry(path);
  if (fd === undefined) return false;
  try {
    const isFree = lockAlone(fd) ?? fstatSync(fd).ctimeMs < Date.now() - HELD_MS_MAX;
    if (isFree) rmSync(path, { recursive: true, force: true });
    return isFree;
  } finally {
    closeSync(fd);
  }
}

/** Undefined where it is gone. */
function openEntry(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw diskError(error, "lock", path);
  }
}
