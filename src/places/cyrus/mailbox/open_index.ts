/**
 * A cyrus.index opened to be read in parts, so that an index of a million records takes no more
 * memory than one of ten thousand.
 */
import { closeSync, type Stats } from "node:fs";
import { FormatError } from "../../../core/errors.ts";
import { openRegular, readAt, type Unopened } from "../../../core/files.ts";
import { IndexImage } from "../../../mailbox/index_image.ts";

/** An index that is open, or why there is none. */
export type IndexOpening =
  | {
      readonly state: "open";
      readonly image: IndexImage;
      /** The file as it was opened; the image is of that many bytes. */
      readonly stat: Stats;
      readonly close: () => void;
    }
  | Unopened
  /** Not an index that Bobbin knows: what should have stood there. */
  | { readonly state: "malformed"; readonly expected: string; readonly stat: Stats };

/** Opens the index at `path` and reads its header. Close it. */
export function openIndex(path: string): IndexOpening {
  const opened = openRegular(path);
  if (opened.state !== "open") return opened;
  const { fd, stat } = opened;
  const read = (offset: number, length: number, into = new Uint8Array(length)): Uint8Array => {
    const part = into.subarray(0, length);
    return part.subarray(0, readAt(fd, part, offset));
  };
  try {
    const image = IndexImage.open({ size: stat.size, read }, path);
    return { state: "open", image, stat, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    if (!(error instanceof FormatError)) throw error;
    return { state: "malformed", expected: error.expected, stat };
  }
}
