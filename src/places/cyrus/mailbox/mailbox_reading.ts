/**
 * One reading of a live mailbox without any lock (spool-format 8, protocol B): files are opened and
 * read, then looked at again by path. If none was replaced or written to meanwhile, what was read
 * is one state of the mailbox, or one that a crash could have left.
 */

import { existsSync, lstatSync, type Stats } from "node:fs";
import { FormatError } from "../../../core/errors.ts";
import { type FileBytes, readRegular } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import { type HeaderFile, parseHeaderFile } from "../../../formats/cyrus/header_file.ts";
import { type FolderListing, listFolder } from "./listing.ts";
import type { MailboxPaths } from "./mailbox_files.ts";

/**
 * The files of a mailbox that say what it holds. What cannot be opened is a state of the result.
 */
export interface MailboxReading<Index> {
  readonly paths: MailboxPaths;
  readonly index: Index;
  readonly header: FileBytes;
  readonly annotations: FileBytes;
  /** `cyrus.expunge` of Cyrus 2.3, beside the index. */
  readonly expunge: FileBytes;
  /** A repack has written a new cache and not yet renamed it over the old one. */
  readonly hasNewCache: boolean;
  /** The folder itself; undefined when it is gone. */
  readonly folder: Stats | undefined;
}

/** Reads them all but the index: `index` is what the caller has of that, read before. */
export function readMailbox<Index>(paths: MailboxPaths, index: Index): MailboxReading<Index> {
  return {
    paths,
    index,
    header: readMailboxHeader(paths),
    annotations: readRegular(paths.annotations, DEFAULT_LIMITS.annotationsBytes),
    expunge: readRegular(paths.index.replace(/index$/, "expunge"), DEFAULT_LIMITS.indexBytes),
    hasNewCache: existsSync(`${paths.cache}.NEW`),
    folder: lstatSync(paths.data, { throwIfNoEntry: false }),
  };
}

/** Reads the whole index. */
export function readIndex(paths: MailboxPaths): FileBytes {
  return readRegular(paths.index, DEFAULT_LIMITS.indexBytes);
}

/** Reads cyrus.header alone. */
export function readMailboxHeader(paths: MailboxPaths): FileBytes {
  return readRegular(paths.header, DEFAULT_LIMITS.headerFileBytes);
}

/**
 * What cyrus.header says, read now; undefined where it is missing, cannot be read, or is damaged:
 * whoever reads the mailbox itself is told.
 */
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
