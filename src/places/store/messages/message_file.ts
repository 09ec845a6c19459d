/**
 * What a message file says of itself: its GUID (SHA-1 of every byte), its size, and where its
 * header ends.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { AppError, isAbsence } from "../../../core/errors.ts";
import { READ_FLAGS } from "../../../core/files.ts";
import { beginSha1 } from "../../../hash/sha1.ts";
import { HeaderEnd } from "../../../mailbox/header_end.ts";
import { diskError, readFully } from "../../../storage/disk.ts";

export interface MessageFacts {
  readonly guid: string;
  readonly size: number;
  /** As Cyrus counts it (`HeaderEnd`). */
  readonly headerSize: number;
}

/** A message file whose bytes were found to be what its facts say. */
export interface KnownMessage {
  readonly path: string;
  readonly facts: MessageFacts;
}

/**
 * A message file, open, and what was read of it through that descriptor. Whoever has it closes it.
 */
export interface OpenedMessage {
  readonly fd: number;
  readonly facts: MessageFacts;
  /** All of it, where it is no larger than was to be kept. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}

/** Opens the file at `path` and reads it once; undefined where there is none. */
export function openMessage(path: string, keptBytes: number): OpenedMessage | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, READ_FLAGS);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new AppError("bad_data", `Cannot read ${path}: not a regular file`);
    const bytes = stat.size <= keptBytes ? readFully(fd, stat.size, 0) : undefined;
    return { fd, facts: factsOf(bytes === undefined ? blocksOf(fd) : [bytes]), bytes };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (isAbsence(error)) return undefined;
    throw diskError(error, "read the message", path);
  }
}

/** Reads the file at `path` once; undefined where there is none. */
export function readMessageFacts(path: string): MessageFacts | undefined {
  const opened = openMessage(path, 0);
  if (opened !== undefined) closeSync(opened.fd);
  return opened?.facts;
}

const BLOCK_BYTES = 256 * 1024;
const block = new Uint8Array(BLOCK_BYTES);

/** The bytes of a file, all in the same block. */
function* blocksOf(fd: number): Generator<Uint8Array> {
  for (let at = 0; ; ) {
    const got = readSync(fd, block, 0, BLOCK_BYTES, at);
    if (got === 0) return;
    yield block.subarray(0, got);
    at += got;
  }
}

function factsOf(parts: Iterable<Uint8Array>): MessageFacts {
  const hash = beginSha1();
  const scan = new HeaderEnd();
  let size = 0;
  for (const bytes of parts) {
    hash.update(bytes);
    scan.feed(bytes);
    size += bytes.length;
  }
  return { guid: hash.digest(), size, headerSize: scan.headerSize ?? size };
}
