/** cyrus.annotations of one mailbox: the part of row AN01 that concerns the file itself. */
import type { FileBytes } from "../../core/files.ts";
import { type MessageAnnotations, readAnnotations } from "../../mailbox/annotation_image.ts";
import { describeUnreadable } from "../unreadable.ts";
import type { Collector } from "./collector.ts";

/** The annotations in the file; undefined where not all can be read. A missing file holds none. */
export function readMessageAnnotations(
  file: FileBytes,
  path: string,
  collector: Collector,
): MessageAnnotations | undefined {
  if (file.state === "missing") return new Map();
  if (file.state !== "read") {
    collector.add("AN01", { text: `cyrus.annotations ${describeUnreadable(file)}`, path });
    return undefined;
  }
  const reading = readAnnotations(file.bytes);
  if (reading.kind === "unsupported") {
    const text = `cyrus.annotations is a ${reading.format} file, which is not read here`;
    collector.add("AN01", { severity: "info", text, path });
    return undefined;
  }
  for (const { what, offset } of reading.problems) {
    if (offset === undefined) collector.add("AN01", { text: what, path });
    else collector.add("AN01", { text: `cyrus.annotations: ${what}`, path, found: offset });
  }
  return reading.problems.length === 0 ? reading.byUid : undefined;
}
