/**
 * Cyrus' own locks, taken as a reader of Cyrus takes them (spool-format 8, protocol A): shared, on
 * whole files, in the order user, mailbox name, cyrus.index.
 *
 * They are taken as *open file description* locks (fcntl F_OFD_SETLK). Those conflict with the
 * POSIX locks of Cyrus' processes like its own do, but belong to one opening of the file: a POSIX
 * lock would be gone as soon as any thread of this process closed the same file. Nothing is ever
 * created or written, and a lock is never waited for inside the kernel.
 */
import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError, errnoOf } from "../core/errors.ts";
import { openLibc } from "./libc.ts";

/** The lock files of one mailbox, by the release that made them there are several for a user. */
export interface LockPaths {
  readonly user: readonly string[];
  readonly mailbox: string | undefined;
  readonly index: string;
}

/** Held locks. */
export interface HeldLocks {
  release(): void;
}

const F_OFD_SETLK = 37;
const F_RDLCK = 0;
/** `struct flock` of 64-bit Linux: type 2, whence 2, start 8 at 8, length 8 at 16, pid 4 at 24. */
const FLOCK_BYTES = 32;

let libc: ReturnType<typeof openFcntl> | undefined;

function openFcntl() {
  return openLibc({ fcntl: { args: ["int", "int", "ptr"], returns: "int" } });
}

/** Pauses between attempts; a commit of Cyrus takes a few milliseconds, a repack up to seconds. */
const PAUSES_MS = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

/**
 * Takes the locks of a mailbox; undefined when one of them stayed busy for about 2.5 s. A lock file
 * that is missing is held by nobody. Throws AppError where locks cannot be taken at all.
 */
export async function lockMailbox(paths: LockPaths): Promise<HeldLocks | undefined> {
  for (let round = 0; ; round++) {
    const held = tryLocks(paths);
    if (held !== undefined) return held;
    const pauseMs = PAUSES_MS[round];
    if (pauseMs === undefined) return undefined;
    await sleep(pauseMs);
  }
}

/** All of them, or none. */
function tryLocks({ user, mailbox, index }: LockPaths): HeldLocks | undefined {
  const open: number[] = [];
  const release = () => {
    for (const fd of open.splice(0).reverse()) closeSync(fd);
  };
  for (const path of [...user, mailbox, index]) {
    const fd = path === undefined ? undefined : openLockFile(path);
    if (fd === undefined) continue;
    open.push(fd);
    if (lockShared(fd)) continue;
    release();
    return undefined;
  }
  return { release };
}

function openLockFile(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw new AppError("refused", `Cannot lock ${path}: ${errno ?? String(error)}`, {
      cause: error,
      hint: "Run as the user Cyrus runs as, or leave --lock out",
    });
  }
}

function lockShared(fd: number): boolean {
  libc ??= openFcntl();
  if (libc === undefined) {
    throw new AppError("refused", "Cannot lock: no C library to be found on this machine", {
      hint: "Leave --lock out: fsck then looks twice instead",
    });
  }
  const flock = new Uint8Array(FLOCK_BYTES);
  new DataView(flock.buffer).setInt16(0, F_RDLCK, true);
  return libc.fcntl(fd, F_OFD_SETLK, flock) === 0;
}
