/**
 * One reading of a live mailbox without any lock (spool-format 8, protocol B): files are opened and read,
 * then looked at again by path. If none was replaced or written to meanwhile, what was read is one state
 * of the mailbox, or one that a crash could have left.
 */
import { existsSync, lstatSync, type Stats } from "node:fs";
import { type FileBytes, readRegular } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { type FolderListing, listFolder } from "./listing.ts";
import type { MailboxPaths } from "./mailbox_files.ts";

/** Bytes of one cyrus.annotations that is read into memory. */
const ANNOTATIONS_BYTES = 2 ** 30;

export interface MailboxReading {
  readonly paths: MailboxPaths;
  readonly header: FileBytes;
  readonly index: FileBytes;
  readonly annotations: FileBytes;
  /** `cyrus.expunge` of Cyrus 2.3, beside the index. */
  readonly expunge: FileBytes;
  /** A repack has written a new cache and not yet renamed it over the old one. */
  readonly hasNewCache: boolean;
  /** The folder itself; undefined when it is gone. */
  readonly folder: Stats | undefined;
}

/** Reads the index alone. */
export function readIndex(paths: MailboxPaths): FileBytes {
  return readRegular(paths.index, DEFAULT_LIMITS.indexBytes);
}

/** Reads cyrus.header alone. */
export function readMailboxHeader(paths: MailboxPaths): FileBytes {
  return readRegular(paths.header, DEFAULT_LIMITS.headerFileBytes);
}

/** Reads the files of a mailbox that say what it holds. */
export function readMailbox(paths: MailboxPaths): MailboxReading {
  const index = readIndex(paths);
  return {
    paths,
    index,
    header: readMailboxHeader(paths),
    annotations: readRegular(paths.annotations, ANNOTATIONS_BYTES),
    expunge: readRegular(paths.index.replace(/index$/, "expunge"), DEFAULT_LIMITS.indexBytes),
    hasNewCache: existsSync(`${paths.cache}.NEW`),
    folder: lstatSync(paths.data, { throwIfNoEntry: false }),
  };
}

/** Lists the folders of a mailbox that hold messages. */
export function listMailbox(paths: MailboxPaths): {
  readonly spool: FolderListing;
  readonly archive: FolderListing | undefined;
} {
  return {
    spool: listFolder(paths.data),
    archive: paths.archive === undefined ? undefined : listFolder(paths.archive),
  };
}

/** Seconds since a file was last written; 0 when it is gone. */
export function fileAge(path: string, nowSeconds: number): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat === undefined ? 0 : nowSeconds - stat.mtimeMs / 1000;
}

/** True when index and header are still the files, and in the state, that were read. */
export function isUnchanged(reading: MailboxReading): boolean {
  const { paths, index, header } = reading;
  return isSameFile(paths.index, index) && isSameFile(paths.header, header);
}

/**
 * True when nobody wrote to index, header or annotations in the last seconds before `nowMs`: then times
 * that are still the same tell that nobody has written since, however coarse the clock of the files is.
 */
export function isSettled(reading: MailboxReading, nowMs: number): boolean {
  return [reading.index, reading.header, reading.annotations].every(
    (file) => file.state !== "read" || file.stat.mtimeMs < nowMs - SETTLED_MS,
  );
}

/** Well above the tick of any filesystem's clock, and the slips between two machines' clocks. */
const SETTLED_MS = 2000;

/** True when `path` is still the file, and in the state, that was read. */
export function isSameFile(path: string, read: FileBytes): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (read.state === "missing") return now === undefined;
  if (read.state !== "read") return true;
  return (
    now !== undefined &&
    now.ino === read.stat.ino &&
    now.size === read.stat.size &&
    now.mtimeMs === read.stat.mtimeMs &&
    now.ctimeMs === read.stat.ctimeMs
  );
}
