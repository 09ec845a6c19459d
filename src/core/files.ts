/**
 * Reads files that others put there. A path may name anything by the time it is opened, so a file
 * is opened without following a link and without waiting for a writer, and must then prove to be
 * regular. Anything else is reported as a state, not as an exception.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { latin1 } from "./bytes.ts";
import { AppError, errnoOf, isAbsence } from "./errors.ts";
import { type FileStamp, NO_FILE, stampAt, stampOf } from "./file_stamp.ts";

/** Why a file cannot be opened. */
export type Unopened =
  | { readonly state: "missing" }
  | { readonly state: "not_regular" }
  | { readonly state: "unreadable"; readonly errno: string };

/** Why a file cannot be read. */
export type Unreadable = Unopened | { readonly state: "too_large"; readonly size: number };

/** The bytes of a file with its stat at opening, or the reason why there are none. */
export type FileBytes =
  | {
      readonly state: "read";
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly stat: Stats;
      readonly stamp: FileStamp;
    }
  | Unreadable;

/** An open regular file, or why it is not open. */
export type OpenedFile =
  | { readonly state: "open"; readonly fd: number; readonly stat: Stats }
  | Unopened;

/** Opens nothing but what lies at the path itself, and waits for no other process. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens a regular file for reading. The caller must close `fd`. */
export function openRegular(path: string | Buffer): OpenedFile {
  let fd: number | undefined;
  let opened: OpenedFile;
  try {
    fd = openSync(path, READ_FLAGS);
    const stat = fstatSync(fd);
    opened = stat.isFile() ? { state: "open", fd, stat } : { state: "not_regular" };
  } catch (error) {
    opened = whyUnreadable(error);
  }
  if (fd !== undefined && opened.state !== "open") closeSync(fd);
  return opened;
}

/** Reads a whole regular file of at most `limitBytes`. */
export function readRegular(path: string, limitBytes: number): FileBytes {
  const opened = openRegular(path);
  if (opened.state !== "open") return opened;
  try {
    const { size } = opened.stat;
    if (size > limitBytes) return { state: "too_large", size };
    const stamp = stampOf(opened.fd);
    const bytes = new Uint8Array(size);
    const length = readAt(opened.fd, bytes, 0);
    return { state: "read", bytes: bytes.subarray(0, length), stat: opened.stat, stamp };
  } catch (error) {
    return whyUnreadable(error);
  } finally {
    closeSync(opened.fd);
  }
}

/**
 * True when `path` is still the file, and in the state, that was opened. What could not be opened
 * has nothing that could have changed, but a file that was missing may have come.
 */
export function isSameFile(
  path: string,
  opened: { readonly state: string; readonly stamp?: FileStamp },
): boolean {
  const before = opened.state === "missing" ? NO_FILE : opened.stamp;
  return before === undefined || stampAt(path) === before;
}

/**
 * False only where nothing lies at `path`. What may not be looked at is there: whoever opens it is
 * told why it cannot be read.
 */
export function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return !isAbsence(error);
  }
}

/**
 * What lies at `path`; undefined also where it cannot be looked at. Only for what is said or
 * counted by the way: whoever opens the path is told why that fails.
 */
export function glance(
  path: string,
  { followsLinks = false }: { readonly followsLinks?: boolean } = {},
): Stats | undefined {
  const options = { throwIfNoEntry: false } as const;
  try {
    return followsLinks ? statSync(path, options) : lstatSync(path, options);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** True for a folder and for a link to one; false where nobody can tell. */
export function leadsToFolder(path: string): boolean {
  return glance(path, { followsLinks: true })?.isDirectory() === true;
}

/**
 * What stands where the folder `path`, or one above it, should be: a file, or a link that leads
 * nowhere, as to a disk that is not mounted. Undefined for a folder, and where there is just none.
 */
export function obstacleAt(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    try {
      if (lstatSync(at, { throwIfNoEntry: false }) !== undefined)
        return leadsToFolder(at) ? undefined : at;
    } catch (error) {
      // What may not be looked at is told by whoever opens it.
      if (!isAbsence(error)) return undefined;
    }
    if (dirname(at) === at) return undefined;
  }
}

/** Fills `into` from `position` of the file until it is full or the file ends; the length. */
export function readAt(fd: number, into: Uint8Array, position: number): number {
  let length = 0;
  while (length < into.length) {
    const count = readSync(fd, into, length, into.length - length, position + length);
    if (count === 0) break;
    length += count;
  }
  return length;
}

/** The first `length` bytes of a file as text, or fewer where it ends. */
export function startOf(fd: number, length: number): string {
  const start = new Uint8Array(length);
  return latin1(start.subarray(0, readAt(fd, start, 0)));
}

const CHUNK_BYTES = 256 * 1024;

/**
 * The bytes of a file from `start` up to `end`, each part in memory of its own. Throws AppError
 * (io) where the file, which errors call `name`, ends before that.
 */
export function* chunksOf(
  fd: number,
  {
    start = 0,
    end,
    name,
  }: { readonly start?: number; readonly end: number; readonly name: string },
): Generator<Uint8Array, void> {
  for (let at = start; at < end; ) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
    const length = readAt(fd, chunk, at);
    if (length === 0) throw new AppError("io", `Cannot read ${name}: it ends at byte ${at}`);
    yield chunk.subarray(0, length);
    at += length;
  }
}

/** The state that a failed open or read means; other errors are thrown on. */
function whyUnreadable(error: unknown): Unopened {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  if (isAbsence(error)) return { state: "missing" };
  // With O_NOFOLLOW a link gives ELOOP, with O_NONBLOCK a socket gives ENXIO.
  if (errno === "ELOOP" || errno === "ENXIO") return { state: "not_regular" };
  return { state: "unreadable", errno };
}
