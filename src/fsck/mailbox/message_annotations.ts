/** cyrus.annotations of one mailbox: the part of row AN01 that concerns the file itself. */
import { FormatError } from "../../core/errors.ts";
import type { FileBytes } from "../../core/files.ts";
import {
  type MessageAnnotation,
  parseMessageAnnotation,
} from "../../formats/cyrus/annotations_db.ts";
import { readDatabase } from "../../formats/cyrus/databases/database.ts";
import { describeUnreadable } from "../unreadable.ts";
import type { Collector } from "./collector.ts";

/** Annotations by UID. */
export type MessageAnnotations = ReadonlyMap<number, readonly MessageAnnotation[]>;

/** The annotations in the file; undefined where not all can be read. A missing file holds none. */
export function readMessageAnnotations(
  file: FileBytes,
  path: string,
  collector: Collector,
): MessageAnnotations | undefined {
  const byUid = new Map<number, MessageAnnotation[]>();
  if (file.state === "missing") return byUid;
  if (file.state !== "read") {
    collector.add("AN01", { text: `cyrus.annotations ${describeUnreadable(file)}`, path });
    return undefined;
  }
  const contents = readDatabase(file.bytes, { expected: "twoskip" });
  if (contents.kind === "unsupported") {
    const text = `cyrus.annotations is a ${contents.format} file, which is not read here`;
    collector.add("AN01", { severity: "info", text, path });
    return undefined;
  }
  let isSound = contents.problems.length === 0;
  for (const { what, offset } of contents.problems) {
    collector.add("AN01", { text: `cyrus.annotations: ${what}`, path, found: offset });
  }
  for (const entry of contents.entries) {
    try {
      const annotation = parseMessageAnnotation(entry);
      const same = byUid.get(annotation.uid);
      if (same === undefined) byUid.set(annotation.uid, [annotation]);
      else same.push(annotation);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      isSound = false;
      collector.add("AN01", { text: `annotation cannot be parsed: ${error.message}`, path });
    }
  }
  return isSound ? byUid : undefined;
}
