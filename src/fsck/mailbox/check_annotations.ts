/**
 * cyrus.annotations of one mailbox, by itself and against the records of the mailbox (row AN01).
 */
import type { FileBytes } from "../../core/files.ts";
import type { MessageAnnotation } from "../../formats/cyrus/annotations_db.ts";
import { type MessageAnnotations, readAnnotations } from "../../mailbox/annotation_image.ts";
import { isVirtualAnnotation } from "../../model/sync_crc.ts";
import { type Finding, finding } from "../finding.ts";
import type { AnnotationsFileFacts } from "../words/server_words.ts";
import type { Collector } from "./collector.ts";

/** The annotations in the file; undefined where not all can be read. A missing file holds none. */
export function checkAnnotationsFile(
  file: FileBytes,
  path: string,
  collector: Collector,
): MessageAnnotations | undefined {
  const add = (about: AnnotationsFileFacts) =>
    collector.add("AN01", { path }, { what: "of_messages", file: about });
  if (file.state === "missing") return new Map();
  if (file.state !== "read") {
    add({ fault: file });
    return undefined;
  }
  const reading = readAnnotations(file.bytes);
  if (reading.kind === "unsupported") {
    add({ format: reading.format });
    return undefined;
  }
  for (const { what, offset } of reading.problems) add({ problem: what, offset });
  return reading.problems.length === 0 ? reading.byUid : undefined;
}

export interface MessageAnnotationsInput {
  readonly annotations: Iterable<MessageAnnotation>;
  /** True for the UID of any record, expunged ones too. */
  readonly hasRecord: (uid: number) => boolean;
  readonly minorVersion: number;
  /** Of cyrus.annotations. */
  readonly path: string;
}

/** Annotations without a message, and those that a newer index keeps in its records. */
export function checkMessageAnnotations(input: MessageAnnotationsInput): Finding[] {
  const { annotations, hasRecord, minorVersion, path } = input;
  const findings: Finding[] = [];
  for (const { uid, entry, deleted } of annotations) {
    if (deleted) continue;
    const what = hasRecord(uid) ? "in_record" : "no_record";
    if (what === "in_record" && !isVirtualAnnotation(entry, minorVersion)) continue;
    findings.push(finding("AN01", { uid, path }, { what, entry }));
  }
  return findings;
}
