/**
 * A mailbox opened to be looked at without any lock (spool-format 8, protocol B): small files are read,
 * the index is open to be read piece by piece. Afterwards its files are looked at again by path: if none
 * was replaced or written to, what was seen is one state of the mailbox, or one that a crash could leave.
 */
import { existsSync, lstatSync, type Stats } from "node:fs";
import { type FileBytes, readRegular } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import type { MailboxPaths } from "./mailbox_files.ts";
import { readMailboxHeader } from "./mailbox_reading.ts";
import { type IndexOpening, openIndex } from "./open_index.ts";

export interface OpenMailbox {
  readonly paths: MailboxPaths;
  /** Open until `closeMailbox`. */
  readonly index: IndexOpening;
  readonly header: FileBytes;
  readonly annotations: FileBytes;
  /** `cyrus.expunge` of Cyrus 2.3, beside the index. */
  readonly expunge: FileBytes;
  /** A repack has written a new cache and not yet renamed it over the old one. */
  readonly hasNewCache: boolean;
  /** The folder itself; undefined when it is gone. */
  readonly folder: Stats | undefined;
}

/** Opens a mailbox; what cannot be opened is a state of the result. Close it. */
export function openMailbox(paths: MailboxPaths): OpenMailbox {
  return {
    paths,
    index: openIndex(paths.index),
    header: readMailboxHeader(paths),
    annotations: readRegular(paths.annotations, DEFAULT_LIMITS.annotationsBytes),
    expunge: readRegular(paths.index.replace(/index$/, "expunge"), DEFAULT_LIMITS.indexBytes),
    hasNewCache: existsSync(`${paths.cache}.NEW`),
    folder: lstatSync(paths.data, { throwIfNoEntry: false }),
  };
}

export function closeMailbox({ index }: OpenMailbox): void {
  if (index.state === "open") index.close();
}

/** True when index and header are still the files, and in the state, that were opened. */
export function stillStands({ paths, index, header }: OpenMailbox): boolean {
  return isSame(paths.index, statOf(index)) && isSame(paths.header, statOf(header));
}

/** What is known of a file: its state when it was read, null when it was missing. */
function statOf(file: { readonly state: string; readonly stat?: Stats }): Stats | null | undefined {
  return file.state === "missing" ? null : file.stat;
}

function isSame(path: string, before: Stats | null | undefined): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (before === undefined) return true; // never opened: nothing that could have changed
  if (before === null) return now === undefined;
  return (
    now !== undefined &&
    now.ino === before.ino &&
    now.size === before.size &&
    now.mtimeMs === before.mtimeMs &&
    now.ctimeMs === before.ctimeMs
  );
}
