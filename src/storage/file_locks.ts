/**
 * Cyrus' own locks (spool-format 8): on whole files, in the order user, mailbox name, cyrus.index,
 * each shared or exclusive.
 *
 * They are taken as *open file description* locks (fcntl F_OFD_SETLK). Those conflict with the
 * POSIX locks of Cyrus' processes like its own do, but belong to one opening of the file: a POSIX
 * lock would be gone as soon as any thread of this process closed the same file. A lock is never
 * waited for inside the kernel. Whoever only reads creates and writes nothing; whoever writes makes
 * a lock file that is not there, as Cyrus does, or a process of Cyrus could make and lock it
 * meanwhile.
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError, errnoOf, isAbsence } from "../core/errors.ts";
import { READ_FLAGS } from "../core/files.ts";
import { FILE_MODE, makeFolder, statOf } from "./disk.ts";
import { openLibc } from "./libc.ts";

/** The lock files of one mailbox, by the release that made them there are several for a user. */
export interface LockPaths {
  readonly user: readonly string[];
  readonly mailbox: string | undefined;
  readonly index: string;
}

/**
 * What is done under the locks: `replace` is to put other files in place, or to remove messages.
 */
export type LockPurpose = "read" | "write" | "replace";

type LockMode = "shared" | "exclusive";

/** How Cyrus takes each lock: the name's is shared for a writer that only adds to the files. */
const MODES: Readonly<Record<LockPurpose, Readonly<Record<keyof LockPaths, LockMode>>>> = {
  read: { user: "shared", mailbox: "shared", index: "shared" },
  write: { user: "exclusive", mailbox: "shared", index: "exclusive" },
  replace: { user: "exclusive", mailbox: "exclusive", index: "exclusive" },
};

/** Held locks. */
export interface HeldLocks {
  release(): void;
}

const F_OFD_SETLK = 37;
/** F_RDLCK and F_WRLCK. */
const LOCK_TYPE: Readonly<Record<LockMode, number>> = { shared: 0, exclusive: 1 };
/** `struct flock` of 64-bit Linux: type 2, whence 2, start 8 at 8, length 8 at 16, pid 4 at 24. */
const FLOCK_BYTES = 32;

let libc: ReturnType<typeof openFcntl> | undefined;

function openFcntl() {
  return openLibc({ fcntl: { args: ["int", "int", "ptr"], returns: "int" } });
}

/** Pauses between attempts; a commit of Cyrus takes a few milliseconds, a repack up to seconds. */
const PAUSES_MS = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

/**
 * Takes the locks of a mailbox; undefined when one of them stayed busy for about 2.5 s. For a
 * reader a lock file that is missing is held by nobody. Throws AppError where locks cannot be taken
 * at all.
 */
export async function lockMailbox(
  paths: LockPaths,
  purpose: LockPurpose = "read",
): Promise<HeldLocks | undefined> {
  for (let round = 0; ; round++) {
    const held = tryLocks(paths, purpose);
    if (held !== undefined) return held;
    const pauseMs = PAUSES_MS[round];
    if (pauseMs === undefined) return undefined;
    await sleep(pauseMs);
  }
}

/** All of them, or none. */
function tryLocks(
  { user, mailbox, index }: LockPaths,
  purpose: LockPurpose,
): HeldLocks | undefined {
  const open: number[] = [];
  const release = () => {
    for (const fd of open.splice(0).reverse()) closeSync(fd);
  };
  const modes = MODES[purpose];
  const mayMake = purpose !== "read";
  const wanted = [
    ...user.map((path) => ({ path, mode: modes.user, mayMake })),
    ...(mailbox === undefined ? [] : [{ path: mailbox, mode: modes.mailbox, mayMake }]),
    { path: index, mode: modes.index, mayMake: false },
  ];
  try {
    for (const { path, mode, mayMake } of wanted) {
      const fd = openLockFile(path, { mode, mayMake });
      if (fd === undefined) continue;
      open.push(fd);
      if (lock(fd, mode) && isStillAt(fd, path)) continue;
      release();
      return undefined;
    }
  } catch (error) {
    release();
    throw error;
  }
  return { release };
}

/** Undefined for a file that is not there and is not to be made. */
function openLockFile(
  path: string,
  { mode, mayMake }: { readonly mode: LockMode; readonly mayMake: boolean },
): number | undefined {
  const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
  try {
    if (mayMake) makeFolder(dirname(path));
    // An exclusive lock needs a descriptor that may write.
    const isWritten = mode === "exclusive" || mayMake;
    const flags = isWritten ? O_RDWR | O_NOFOLLOW | O_NONBLOCK : READ_FLAGS;
    return openSync(path, mayMake ? flags | O_CREAT : flags, FILE_MODE);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw new AppError("refused", `Cannot lock ${path}: ${errnoOf(error) ?? String(error)}`, {
      cause: error,
      hint: "Run as the user Cyrus runs as, or leave --lock out",
    });
  }
}

/**
 * False where the file was replaced between its opening and its lock: that lock keeps nobody out.
 */
function isStillAt(fd: number, path: string): boolean {
  const [opened, now] = [fstatSync(fd), statOf(path)];
  return opened.ino === now?.ino && opened.dev === now.dev;
}

/** False where another opening of the file holds a lock against it. */
function lock(fd: number, mode: LockMode): boolean {
  libc ??= openFcntl();
  if (libc === undefined) {
    throw new AppError("refused", "Cannot lock: no C library to be found on this machine", {
      hint: "Leave --lock out: fsck then looks twice instead",
    });
  }
  const flock = new Uint8Array(FLOCK_BYTES);
  new DataView(flock.buffer).setInt16(0, LOCK_TYPE[mode], true);
  return libc.fcntl(fd, F_OFD_SETLK, flock) === 0;
}
