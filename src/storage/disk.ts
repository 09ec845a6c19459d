/**
 * Small synchronous file operations of the store, each of which either did all it says or throws an
 * `AppError` that names the path. Nothing here follows a symbolic link out of a folder of the
 * store.
 */
import {
  closeSync,
  constants,
  type Dirent,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { AppError, errnoOf, isAbsence } from "../core/errors.ts";
import { READ_FLAGS, readAt } from "../core/files.ts";

/** Mail is for its owner alone. */
export const FILE_MODE = 0o600;
export const FOLDER_MODE = 0o700;

/** The `AppError` for a failed system call: `doing` is a phrase such as "link message 7". */
export function diskError(error: unknown, doing: string, path: string): AppError {
  if (error instanceof AppError) return error;
  const errno = errnoOf(error);
  return new AppError("io", `Cannot ${doing} at ${path}: ${errno ?? String(error)}`, {
    cause: error,
    context: { path, errno: errno ?? "unknown" },
  });
}

/** Writes all of `bytes` at `offset`; write(2) may take less than it is given. */
export function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/** Reads `length` bytes at `offset`, or fewer where the file ends. */
export function readFully(fd: number, length: number, offset: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readAt(fd, bytes, offset));
}

/** The whole of a regular file of at most `limit` bytes, or undefined where there is none. */
export function readWhole(path: string, limit: number): Uint8Array<ArrayBuffer> | undefined {
  if (statOf(path) === undefined) return undefined; // an exception costs more than a look
  let fd: number;
  try {
    fd = openSync(path, READ_FLAGS);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw diskError(error, "open", path);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new AppError("bad_data", `Cannot read ${path}: not a regular file`);
    if (stat.size > limit) {
      const text = `Cannot read ${path}: ${stat.size} bytes, at most ${limit} expected`;
      throw new AppError("bad_data", text);
    }
    return readFully(fd, stat.size, 0);
  } catch (error) {
    throw diskError(error, "read", path);
  } finally {
    closeSync(fd);
  }
}

/** `length` bytes from `offset` on, fewer where the file ends; undefined without a file. */
export function readPart(
  path: string,
  { offset, length }: { readonly offset: number; readonly length: number },
): Uint8Array<ArrayBuffer> | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, READ_FLAGS);
    return readFully(fd, length, offset);
  } catch (error) {
    // No error of a read says that there is no file.
    if (fd === undefined && isAbsence(error)) return undefined;
    throw diskError(error, "read", path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Creates `path`, which must not exist, with `bytes`. Not durable yet. */
export function createFile(path: string, bytes: Uint8Array): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, "wx", FILE_MODE);
    writeFully(fd, bytes, 0);
  } catch (error) {
    // A file cut short by a full disk must not stay under the name of a whole one.
    if (fd !== undefined) unlinkSync(path);
    throw diskError(error, "write", path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Puts `bytes` over a file that exists, in place. Not atomic, so only for what a journal would do
 * again; ext4 flushes each file that is renamed over another, which costs half a millisecond a
 * mailbox.
 */
export function overwriteFile(path: string, bytes: Uint8Array): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
    writeFully(fd, bytes, 0);
    if (fstatSync(fd).size !== bytes.length) ftruncateSync(fd, bytes.length);
  } catch (error) {
    throw diskError(error, "write", path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Removes a file; true if there was one. */
export function removeFile(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw diskError(error, "remove", path);
  }
}

/** Makes a folder and those above it; returns those made, which are to be made durable. */
export function makeFolder(path: string): string[] {
  // An exception costs more than a look. What this one cannot look at, mkdir tells.
  if (existsSync(path)) return [];
  try {
    return makeIn(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw diskError(error, "make the folder", path);
  }
  const above = makeFolder(dirname(path));
  try {
    return [...above, ...makeIn(path)];
  } catch (error) {
    // ENOENT still: what lies above is a link to nowhere, or takes no folders, as /proc.
    throw diskError(error, "make the folder", path);
  }
}

/** One folder; none where there is something of its name. */
function makeIn(path: string): string[] {
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
    return [path];
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return [];
    throw error;
  }
}

/** The names in a folder, sorted; none where there is no folder. */
export function namesIn(path: string): string[] {
  return listed(path, () => readdirSync(path)).sort();
}

/** The names of the folders in a folder, sorted. A link to a folder is none. */
export function foldersIn(path: string): string[] {
  return namesIn(path).filter((name) => statOf(join(path, name))?.isDirectory() === true);
}

/** What lies in a folder, with its kind where the file system tells it in a listing. */
export function entriesIn(path: string): Dirent[] {
  return listed(path, () => readdirSync(path, { withFileTypes: true }));
}

/** Nothing where there is no folder, be it that a file has its name. */
function listed<T>(path: string, list: () => T[]): T[] {
  try {
    return list();
  } catch (error) {
    if (isAbsence(error)) return [];
    throw diskError(error, "list", path);
  }
}

/** What lies at `path` or, if links are followed, where it leads; undefined for nothing. */
export function statOf(
  path: string,
  { followsLinks = false }: { readonly followsLinks?: boolean } = {},
): Stats | undefined {
  const options = { throwIfNoEntry: false } as const;
  try {
    return followsLinks ? statSync(path, options) : lstatSync(path, options);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw diskError(error, "look", path);
  }
}
