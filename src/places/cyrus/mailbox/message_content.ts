/**
 * Gives out a message of a Cyrus spool once every byte of it has been hashed. A small message is
 * kept in memory from that first reading. A large one is read a second time through the same file
 * descriptor, and hashed again on the way.
 */
import { closeSync } from "node:fs";
import { hexOf } from "../../../core/bytes.ts";
import { AppError, errnoOf } from "../../../core/errors.ts";
import { type OpenedFile, openRegular, readAt } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { confirmingEngine, type Engine, engineOf } from "../../../hash/engines.ts";
import { md5OfParts } from "../../../hash/md5.ts";
import { SHA1_BYTES } from "../../../hash/sha1.ts";
import { type Guid, isSha1, md5PrefixOf } from "../../../model/guid.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import type { MessageContent } from "../../place.ts";
import { accessRefusal } from "../refused_access.ts";

/** Messages up to this size are kept in memory from the check until they are given out. */
const KEPT_BYTES = 4 * 1024 * 1024;
const BLOCK_BYTES = 256 * 1024;

export interface WantedMessage {
  /** The message as error messages call it: `user.ann uid 7`. */
  readonly label: string;
  /** Where the file may lie: in the spool, in the archive. */
  readonly paths: readonly string[];
  readonly guid: Guid;
  /**
   * The size by the index. Needed where the GUID is a number that says nothing about the content.
   */
  readonly recordedSize?: number;
}

/** Open files of large messages that have not been read to their end. */
export type HeldFiles = Set<number>;

/**
 * Opens the first of the files that has the GUID. Refused as `nonexistent` where there is no file
 * at all, as `damaged` where there are only files with another content, as `permissionDenied` or
 * `failed` where the system does not let a file be read.
 */
export async function openMessage(
  wanted: WantedMessage,
  held: HeldFiles,
): Promise<Outcome<MessageContent>> {
  let flaw: string | undefined;
  for (const path of wanted.paths) {
    const file = openRegular(path);
    if (file.state === "missing") continue;
    if (file.state === "unreadable")
      return accessRefusal(wanted.label, { path, errno: file.errno });
    if (file.state === "not_regular") {
      flaw ??= "it is not a regular file";
      continue;
    }
    try {
      const result = await openFile(wanted, { ...file, path }, held);
      if (typeof result !== "string") return ok(result);
      flaw ??= result;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      return accessRefusal(wanted.label, { path, errno });
    }
  }
  if (flaw === undefined) {
    return refused("nonexistent", `There is no message file of ${wanted.label}`);
  }
  return refused("damaged", `Cannot give out ${wanted.label}: ${flaw}`);
}

type MessageFile = Extract<OpenedFile, { state: "open" }> & { readonly path: string };

/** The content of an open file, or what is wrong with it. The file is closed unless `held`. */
async function openFile(
  wanted: WantedMessage,
  file: MessageFile,
  held: HeldFiles,
): Promise<MessageContent | string> {
  held.add(file.fd);
  const release = () => {
    if (held.delete(file.fd)) closeSync(file.fd);
  };
  let keep = false;
  try {
    const { size } = file.stat;
    if (size > DEFAULT_LIMITS.messageBytes) return `it has ${size} bytes, more than any message`;
    const kept = size <= KEPT_BYTES ? readKept(file) : undefined;
    const flaw = await flawOf(wanted, file, kept);
    if (flaw !== undefined) return flaw;
    if (kept !== undefined) return { size: kept.length, chunks: () => [kept] };
    keep = true;
    const engine = await engineOf("auto");
    return { size, chunks: () => readAgain(wanted, file, { engine, release }) };
  } finally {
    if (!keep) release();
  }
}

function readKept({ fd, stat }: MessageFile): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(stat.size); // only the part that is read is given out
  return bytes.subarray(0, readAt(fd, bytes, 0));
}

/** What is wrong with a message: damage only when both hash engines find the wrong SHA-1. */
async function flawOf(
  wanted: WantedMessage,
  file: MessageFile,
  kept: Uint8Array | undefined,
): Promise<string | undefined> {
  const { guid, recordedSize } = wanted;
  if (isSha1(guid)) {
    if (sha1Of(file, kept, await engineOf("auto")) === guid) return undefined;
    const found = sha1Of(file, kept, await confirmingEngine());
    return found === guid ? undefined : `its SHA-1 is ${found}, not ${guid}`;
  }
  const { size } = file.stat;
  if (size !== recordedSize) return `it has ${size} bytes, and ${recordedSize} by the index`;
  const prefix = md5PrefixOf(guid);
  if (prefix === undefined) return undefined;
  const parts = kept === undefined ? partsOf(file, new Uint8Array(BLOCK_BYTES)) : [kept];
  return hexOf(md5OfParts(parts)).startsWith(prefix) ? undefined : `its MD5 is not that of ${guid}`;
}

function sha1Of(file: MessageFile, kept: Uint8Array | undefined, engine: Engine): Guid {
  const digest = new Uint8Array(SHA1_BYTES);
  if (kept !== undefined) {
    engine.sha1(kept, digest);
    return hexOf(digest);
  }
  const stream = engine.sha1Stream();
  const block = new Uint8Array(BLOCK_BYTES);
  for (const part of partsOf(file, block)) stream.update(part);
  stream.digest(digest);
  return hexOf(digest);
}

/** The file's bytes up to the size it had when opened, each part in the same block. */
function* partsOf({ fd, stat }: MessageFile, block: Uint8Array): Generator<Uint8Array, void> {
  for (let at = 0; at < stat.size; ) {
    const length = readAt(fd, block.subarray(0, Math.min(BLOCK_BYTES, stat.size - at)), at);
    if (length === 0) return;
    yield block.subarray(0, length);
    at += length;
  }
}

interface SecondReading {
  readonly engine: Engine;
  readonly release: () => void;
}

/**
 * Reads a message a second time, and throws AppError (io) if its bytes have changed: nobody ever
 * writes to the file of a message.
 */
function* readAgain(
  wanted: WantedMessage,
  file: MessageFile,
  { engine, release }: SecondReading,
): Generator<Uint8Array, void> {
  try {
    // The native engine's streams do not disturb each other, so several messages may be under way.
    const stream = engine.sha1Stream();
    for (let at = 0; at < file.stat.size; ) {
      const block = new Uint8Array(Math.min(BLOCK_BYTES, file.stat.size - at));
      const length = readAt(file.fd, block, at);
      if (length === 0) break;
      const part = block.subarray(0, length);
      stream.update(part);
      yield part;
      at += length;
    }
    const digest = new Uint8Array(SHA1_BYTES);
    stream.digest(digest);
    if (isSha1(wanted.guid) && hexOf(digest) !== wanted.guid) {
      throw new AppError("io", `${file.path} changed while it was read`);
    }
  } finally {
    release();
  }
}
