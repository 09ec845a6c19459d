/**
 * Which folders of `.staging` have a session: a session holds a lock on its folder, which the
 * kernel frees when the process is gone, whatever its number and whichever container it ran in.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { diskError, makeFolder, statOf } from "../../../storage/disk.ts";
import { lockAlone } from "../../../storage/libc.ts";

/** A session's folder, locked. */
export interface SessionFolder {
  readonly path: string;
  /** Frees the lock; gc may take what is left then. */
  readonly release: () => void;
}

/** gc can come between making and locking once in a great while. */
const ATTEMPTS = 10;
/** Where no locks can be had, a session is taken to be over after so long. */
const SESSION_MS_MAX = 24 * 60 * 60 * 1000;

/** Makes a folder in `staging` that gc leaves alone until it is released. */
export function makeSessionFolder(staging: string): SessionFolder {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const path = join(staging, `${process.pid}-${randomBytes(6).toString("hex")}`);
    makeFolder(path);
    const fd = openEntry(path);
    if (fd === undefined) continue;
    if (lockAlone(fd) !== false && statOf(path)?.ino === fstatSync(fd).ino)
      return { path, release: releaseOnce(fd) };
    closeSync(fd);
  }
  throw new AppError("io", `Cannot lock a folder in ${staging}`, {
    context: { path: staging },
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

/** Removes what lies at `path` in `.staging` unless a session has it; true if it did. */
export function removeUnlessHeld(path: string): boolean {
  const fd = openEntry(path);
  if (fd === undefined) return false;
  try {
    const isFree = lockAlone(fd) ?? fstatSync(fd).ctimeMs < Date.now() - SESSION_MS_MAX;
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
