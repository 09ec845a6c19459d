/**
 * Small files that somebody names in an argument or in a configuration: certificates, passwords,
 * imapd.conf. What is named may be anything. So no more is read than such a file may hold, and
 * nothing is waited for that may never come.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { errnoOf } from "./errors.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

/** The bytes of a file; or why there are none, in words, with the error's name if there was one. */
export type GivenFile =
  | { readonly bytes: Uint8Array }
  | { readonly problem: string; readonly errno?: string; readonly cause?: unknown };

/** Reads a regular file whole, of at most `configBytes`. Links are followed. Does not throw. */
export function readGiven(path: string): GivenFile {
  return withOpen(path, (fd, stat) => {
    if (!stat.isFile()) return { problem: "it is no regular file" };
    return readUpTo(fd, { isEnough: () => false });
  });
}

/**
 * Reads up to the end of the first line of a regular file, a pipe, or of stdin, which is `-` and
 * may be anything: it is waited for. Does not throw.
 */
export function readFirstLine(path: string): GivenFile {
  return readStream(path, { isEnough: (bytes) => bytes.includes(LF) });
}

/** Reads the same to its end, of at most `limit` bytes. Does not throw. */
export function readToEnd(path: string, limit: number): GivenFile {
  return readStream(path, { isEnough: () => false, limit });
}

function readStream(path: string, end: EndOfReading): GivenFile {
  if (path === "-") return told(() => readUpTo(0, end));
  return withOpen(path, (fd, stat) => {
    if (!stat.isFile() && !stat.isFIFO()) return { problem: "it is neither a file nor a pipe" };
    return readUpTo(fd, end);
  });
}

const LF = 0x0a;
/** How long the writer of a pipe may take, and how often we look meanwhile. */
const WAIT_MS = 30_000;
const LOOK_EVERY_MS = 20;

function withOpen(path: string, read: (fd: number, stat: Stats) => GivenFile): GivenFile {
  return told(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return read(fd, fstatSync(fd));
    } finally {
      closeSync(fd);
    }
  });
}

function told(read: () => GivenFile): GivenFile {
  try {
    return read();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { problem: errno, errno, cause: error };
  }
}

interface EndOfReading {
  /** True where what was read last is all that is wanted. */
  readonly isEnough: (last: Uint8Array) => boolean;
  readonly limit?: number;
}

/** Reads up to the end, or as far as is wanted. */
function readUpTo(
  fd: number,
  { isEnough, limit = DEFAULT_LIMITS.configBytes }: EndOfReading,
): GivenFile {
  const bytes = new Uint8Array(limit + 1);
  const endMs = performance.now() + WAIT_MS;
  let length = 0;
  for (;;) {
    if (length > limit) return { problem: `it has more than ${limit} bytes` };
    const count = readSome(fd, bytes.subarray(length));
    if (count === "nothing yet") {
      if (performance.now() > endMs) return { problem: "nothing came out of it" };
      Bun.sleepSync(LOOK_EVERY_MS);
      continue;
    }
    length += count;
    if (count === 0 || isEnough(bytes.subarray(length - count, length))) {
      return { bytes: bytes.subarray(0, length) };
    }
  }
}

function readSome(fd: number, into: Uint8Array): number | "nothing yet" {
  try {
    return readSync(fd, into, 0, into.length, null);
  } catch (error) {
    if (errnoOf(error) === "EAGAIN") return "nothing yet";
    throw error;
  }
}
