/** The annotations of a mailbox's messages, from the bytes of its cyrus.annotations (spool-format 7.2). */
import { FormatError } from "../../core/errors.ts";
import { OWNER_TOKEN, parseMessageAnnotation } from "../../formats/cyrus/annotations_db.ts";
import { readDatabase } from "../../formats/cyrus/databases/database.ts";
import type { Annotation } from "../../model/annotation.ts";
import { isVirtualAnnotation } from "../../model/sync_crc.ts";

/** By UID; a message without annotations is absent. */
export type MessageAnnotations = ReadonlyMap<number, readonly Annotation[]>;

export const NO_ANNOTATIONS: MessageAnnotations = new Map();

export interface AnnotationsContext {
  /** User id behind `OWNER_TOKEN`; "" where the mailbox belongs to nobody. */
  readonly owner: string;
  /** What an index of this version keeps in its records is stale in the database. */
  readonly indexVersion: number;
}

/**
 * Annotations that stand, without the tombstones of those that were removed. Throws FormatError for a
 * database that is damaged or of a format that is not read here: a part of it would look as if the rest
 * had been removed.
 */
export function readMessageAnnotations(
  bytes: Uint8Array,
  { owner, indexVersion }: AnnotationsContext,
): MessageAnnotations {
  const database = readDatabase(bytes);
  if (database.kind === "unsupported") {
    throw new FormatError(0, `a database that Bobbin reads, not ${database.format}`);
  }
  const [problem] = database.problems;
  if (problem !== undefined) {
    throw new FormatError(problem.offset, `${problem.what} ${problem.expected}`);
  }
  const byUid = new Map<number, Annotation[]>();
  for (const entry of database.entries) {
    const found = parseMessageAnnotation(entry);
    if (found.deleted || isVirtualAnnotation(found.entry, indexVersion)) continue;
    const annotation: Annotation = {
      entry: found.entry,
      userid: found.userid === OWNER_TOKEN ? owner : (found.userid ?? null),
      modseq: found.modseq,
      value: found.value,
    };
    const same = byUid.get(found.uid);
    if (same === undefined) byUid.set(found.uid, [annotation]);
    else same.push(annotation);
  }
  return byUid;
}
