/**
 * Reads the files of a mailbox that say what it holds, without any lock (spool-format 8, protocol
 * B). Afterwards the files are looked at again by path: if none of them was replaced or written to
 * meanwhile, they are one state of the mailbox, or one that a crash could have left.
 */
import type { Stats } from "node:fs";
import { dirname } from "node:path";
import { FormatError } from "../../../core/errors.ts";
import { type FileBytes, glance, isThere, readRegular } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { type HeaderFile, parseHeaderFile } from "../../../formats/cyrus/header_file.ts";
import { type FolderListing, listFolder } from "./listing.ts";
import type { MailboxPaths } from "./mailbox_files.ts";

/** What was read of a mailbox. A file that could not be opened is a state of the result. */
export interface MailboxReading<Index> {
  readonly paths: MailboxPaths;
  readonly index: Index;
  readonly header: FileBytes;
  readonly annotations: FileBytes;
  /** `cyrus.expunge` of Cyrus 2.3, beside the index. */
  readonly expunge: FileBytes;
  /** A repack has written a new cache and not yet renamed it over the old one. */
  readonly hasNewCache: boolean;
  /** The mailbox's folder; undefined when it is gone. */
  readonly folder: Folder | undefined;
}

/** A folder, and what stat says of it. */
export interface Folder {
  readonly path: string;
  readonly stat: Stats;
}

/** Reads all of them but the index, which the caller has read before. */
export function readMailbox<Index>(paths: MailboxPaths, index: Index): MailboxReading<Index> {
  return {
    paths,
    index,
    header: readMailboxHeader(paths),
    annotations: readRegular(paths.annotations, DEFAULT_LIMITS.annotationsBytes),
    expunge: readRegular(paths.index.replace(/index$/, "expunge"), DEFAULT_LIMITS.indexBytes),
    hasNewCache: isThere(`${paths.cache}.NEW`),
    folder: folderOf(paths),
  };
}

/**
 * The folder with the messages, or with other files of the mailbox: once all messages are in the
 * archive, Cyrus needs none in the spool. It may be a link, and a link that leads nowhere is there.
 */
export function folderOf(paths: MailboxPaths): Folder | undefined {
  for (const path of new Set([paths.data, dirname(paths.index), paths.archive ?? paths.data])) {
    // Whoever walks or lists a folder that cannot be looked at tells what is wrong with it.
    const stat = glance(path, { followsLinks: true }) ?? glance(path);
    if (stat !== undefined) return { path, stat };
  }
  return undefined;
}

/** Reads the whole index. */
export function readIndex(paths: MailboxPaths): FileBytes {
  return readRegular(paths.index, DEFAULT_LIMITS.indexBytes);
}

/** Reads cyrus.header alone. */
function readMailboxHeader(paths: MailboxPaths): FileBytes {
  return readRegular(paths.header, DEFAULT_LIMITS.headerFileBytes);
}

/** Reads cyrus.header. Undefined where that cannot be done: whoever reads the mailbox is told. */
export function headerFileOf(paths: MailboxPaths): HeaderFile | undefined {
  const file = readMailboxHeader(paths);
  if (file.state !== "read") return undefined;
  try {
    return parseHeaderFile(file.bytes);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Lists the folders of a mailbox in which messages lie. */
export function listMailbox(paths: MailboxPaths): {
  readonly spool: FolderListing;
  readonly archive: FolderListing | undefined;
} {
  return {
    spool: listFolder(paths.data),
    archive: paths.archive === undefined ? undefined : listFolder(paths.archive),
  };
}

/** Seconds since a file was last written; 0 where it is gone, or cannot be looked at now. */
export function fileAge(path: string, nowSeconds: number): number {
  const stat = glance(path);
  return stat === undefined ? 0 : nowSeconds - stat.mtimeMs / 1000;
}
