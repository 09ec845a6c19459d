/**
 * Small files that somebody names in an argument or in a configuration: certificates, passwords,
 * imapd.conf. What is named may be anything. So no more is read than such a file may hold, and
 * nothing is waited for that may never come.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { errnoOf } from "./errors.ts";
import { readAt } from "./files.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

/** The bytes of a file; or why there are none, in words, with the error's name if there was one. */
export type GivenFile =
  | { readonly bytes: Uint8Array }
  | { readonly problem: string; readonly errno?: string; readonly cause?: unknown };

/** Reads a regular file whole, of at most `configBytes`. Links are followed. Does not throw. */
export function readGiven(path: string): GivenFile {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!fstatSync(fd).isFile()) return { problem: "it is no regular file" };
      const bytes = new Uint8Array(DEFAULT_LIMITS.configBytes + 1);
      const length = readAt(fd, bytes, 0);
      return length === bytes.length ? tooMuch(length - 1) : { bytes: bytes.subarray(0, length) };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return problemOf(error);
  }
}

/**
 * Reads up to the end of the first line of a regular file, a pipe, or of stdin, which is `-` and
 * may be anything: it is waited for, and a signal is heard meanwhile. Does not throw.
 */
export function readFirstLine(path: string): Promise<GivenFile> {
  return readStream(path, { isEnough: (bytes) => bytes.includes(LF) });
}

/** Reads the same to its end, of at most `limit` bytes. Does not throw. */
export function readToEnd(path: string, limit: number): Promise<GivenFile> {
  return readStream(path, { isEnough: () => false, limit });
}

const LF = 0x0a;
/** How long the writer of a pipe may take, and how often we look meanwhile. */
const WAIT_MS = 30_000;
const LOOK_EVERY_MS = 20;
const PART_BYTES = 64 * 1024;

function problemOf(error: unknown): GivenFile {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return { problem: errno, errno, cause: error };
}

function tooMuch(limit: number): GivenFile {
  return { problem: `it has more than ${limit} bytes` };
}

interface EndOfReading {
  /** True where what was read last is all that is wanted. */
  readonly isEnough: (last: Uint8Array) => boolean;
  readonly limit?: number;
}

async function readStream(
  path: string,
  { isEnough, limit = DEFAULT_LIMITS.configBytes }: EndOfReading,
): Promise<GivenFile> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of path === "-" ? Bun.stdin.stream() : partsOf(path)) {
      if (typeof part === "string") return { problem: part };
      parts.push(part);
      length += part.length;
      if (length > limit) return tooMuch(limit);
      if (isEnough(part)) break;
    }
  } catch (error) {
    return problemOf(error);
  }
  return { bytes: Buffer.concat(parts) };
}

/** The bytes of a file or pipe as they come, or in words why none do. */
async function* partsOf(path: string): AsyncGenerator<Uint8Array | string, void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() && !stat.isFIFO()) return yield "it is neither a file nor a pipe";
    const endMs = performance.now() + WAIT_MS;
    for (;;) {
      const part = new Uint8Array(PART_BYTES);
      const count = readSome(fd, part);
      if (count === 0) return;
      if (count !== "nothing yet") yield part.subarray(0, count);
      else if (performance.now() > endMs) return yield "nothing came out of it";
      else await Bun.sleep(LOOK_EVERY_MS);
    }
  } finally {
    closeSync(fd);
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
