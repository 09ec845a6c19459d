/**
 * Hashing one message file. What stands in its place is a result, never an exception.
 *
 * Reads are synchronous, into one buffer per thread: for files of some 30 KB that is twice as fast as
 * any asynchronous way, and workers give the concurrency.
 */
import { closeSync, readSync, type Stats } from "node:fs";
import { errnoOf } from "../core/errors.ts";
import { openRegular } from "../core/files.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import type { Engine } from "./engines.ts";

export type FileHash =
  /** `size` bytes were read to the end of the file and hashed; `stat` is from before the reading. */
  | { readonly kind: "hashed"; readonly size: number; readonly stat: Stats }
  | { readonly kind: "missing" }
  /** A link, folder, fifo, socket or device. */
  | { readonly kind: "not_regular" }
  /** Longer than a message can be (`limits.messageBytes`): not read, or not to its end. */
  | { readonly kind: "too_large"; readonly size: number }
  /** The system refused: `EACCES`, `EIO` … */
  | { readonly kind: "unreadable"; readonly errno: string };

export interface HashFileOptions {
  readonly engine: Engine;
  /** Bytes after which the file is no message any more. */
  readonly maxBytes?: number;
  /** Is shown the first part of the file, all of it up to `BUFFER_BYTES`; valid during the call. */
  readonly inspect?: (head: Uint8Array<ArrayBuffer>) => void;
}

/** Files up to this size are hashed in one call; larger ones in parts of it. */
export const BUFFER_BYTES = 256 * 1024;

/** One per thread; nothing in it outlives a call. */
let sharedBuffer: Uint8Array<ArrayBuffer> | undefined;

/** Hashes the file at `path`; the SHA-1 goes to `out` (20 bytes), which is untouched unless `hashed`. */
export function hashFile(
  path: string | Buffer,
  out: Uint8Array,
  options: HashFileOptions,
): FileHash {
  const opened = openRegular(path);
  switch (opened.state) {
    case "missing":
    case "not_regular":
      return { kind: opened.state };
    case "unreadable":
      return { kind: "unreadable", errno: opened.errno };
    case "open":
      break;
  }
  try {
    return hashOpen(opened, out, options);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { kind: "unreadable", errno };
  } finally {
    closeSync(opened.fd);
  }
}

interface Opened {
  readonly fd: number;
  readonly stat: Stats;
}

function hashOpen(opened: Opened, out: Uint8Array, options: HashFileOptions): FileHash {
  const { engine, maxBytes = DEFAULT_LIMITS.messageBytes } = options;
  const { fd, stat } = opened;
  if (stat.size > maxBytes) return { kind: "too_large", size: stat.size };
  sharedBuffer ??= new Uint8Array(BUFFER_BYTES);
  const buffer = sharedBuffer;
  const filled = fill(fd, buffer, stat.size);
  if (filled > maxBytes) return { kind: "too_large", size: filled };
  const head = buffer.subarray(0, filled);
  options.inspect?.(head);
  if (filled < buffer.length) {
    engine.sha1(head, out);
    return { kind: "hashed", size: filled, stat };
  }
  const stream = engine.sha1Stream();
  let size = 0;
  for (let part = filled; part > 0; part = fill(fd, buffer, 0)) {
    size += part;
    // It may grow while it is read, and faster than it is read.
    if (size > maxBytes) return { kind: "too_large", size };
    stream.update(part === buffer.length ? buffer : buffer.subarray(0, part));
  }
  stream.digest(out);
  return { kind: "hashed", size, stat };
}

/**
 * Reads until `buffer` is full or the file ends. That is where a read returns nothing, or where as much
 * has been read as the file held when it was opened: a read that could have given more gave no more.
 */
function fill(fd: number, buffer: Uint8Array, sizeAtOpen: number): number {
  let filled = 0;
  while (filled < buffer.length) {
    const count = readSync(fd, buffer, filled, buffer.length - filled, null);
    filled += count;
    if (count === 0 || filled === sizeAtOpen) break;
  }
  return filled;
}
