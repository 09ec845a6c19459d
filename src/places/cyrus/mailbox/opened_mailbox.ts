/**
 * A mailbox that is opened to be checked, without any lock. Its small files are read as a whole.
 * The index is read in parts, so that one of a million records takes no more memory than one of ten
 * thousand.
 */
import { closeSync, type Stats } from "node:fs";
import { FormatError } from "../../../core/errors.ts";
import { type FileStamp, stampOf } from "../../../core/file_stamp.ts";
import { isSameFile, openRegular, readAt, type Unopened } from "../../../core/files.ts";
import { IndexImage } from "../../../mailbox/index_image.ts";
import type { MailboxPaths } from "./mailbox_files.ts";
import { type MailboxReading, readMailbox } from "./mailbox_reading.ts";

/** A mailbox whose index is open until `closeMailbox`. */
export type OpenMailbox = MailboxReading<IndexOpening>;

/** Opens a mailbox. A file that cannot be opened is a state of the result. Close it. */
export function openMailbox(paths: MailboxPaths): OpenMailbox {
  return readMailbox(paths, openIndex(paths.index));
}

/** Closes the file that `openMailbox` has opened, if any. */
export function closeMailbox({ index }: OpenMailbox): void {
  if (index.state === "open") index.close();
}

/** True when index and header are still the files, and in the state, that were opened. */
export function stillStands(reading: MailboxReading<Parameters<typeof isSameFile>[1]>): boolean {
  const { paths, index, header } = reading;
  return isSameFile(paths.index, index) && isSameFile(paths.header, header);
}

/** An index that is open, or why there is none. */
export type IndexOpening =
  | {
      readonly state: "open";
      readonly image: IndexImage;
      /** The file as it was opened; the image is of that many bytes. */
      readonly stat: Stats;
      readonly stamp: FileStamp;
      readonly close: () => void;
    }
  | Unopened
  /** Not an index that Bobbin knows. `expected` says what should have stood there. */
  | { readonly state: "malformed"; readonly expected: string; readonly stamp: FileStamp };

/** Opens the index at `path` and reads its header. Close it. */
export function openIndex(path: string): IndexOpening {
  const opened = openRegular(path);
  if (opened.state !== "open") return opened;
  const { fd, stat } = opened;
  const stamp = stampOf(fd);
  const read = (offset: number, length: number, into = new Uint8Array(length)): Uint8Array => {
    const part = into.subarray(0, length);
    return part.subarray(0, readAt(fd, part, offset));
  };
  try {
    const image = IndexImage.open({ size: stat.size, read }, path);
    return { state: "open", image, stat, stamp, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    if (!(error instanceof FormatError)) throw error;
    return { state: "malformed", expected: error.expected, stamp };
  }
}
