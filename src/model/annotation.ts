/** Annotations of mailboxes and messages, in the terms of the replication protocol (sync-protocol.md 4.3). */
import { equalBytes } from "../core/bytes.ts";

export interface Annotation {
  /** `/comment`, `/vendor/cmu/cyrus-imapd/…`; latin1, each character is one byte. */
  readonly entry: string;
  /** `""` = shared, else private to that user; null is what 2.5 and 3.0 say for some shared ones. */
  readonly userid: string | null;
  /** 0 = not said, as by 2.5 and 3.0 and in the answers to GET ANNOTATION. */
  readonly modseq: bigint;
  readonly value: Uint8Array;
}

/** What an annotation is found by: no two of a mailbox or message have the same. */
export function annotationKey(annotation: Pick<Annotation, "entry" | "userid">): string {
  return `${annotation.entry}\0${annotation.userid ?? ""}`;
}

/**
 * True when both hold the same entries with the same values, in whatever order. Modseqs do not count:
 * Cyrus does not compare them either, and each replica may assign its own.
 */
export function sameAnnotations(
  left: readonly Annotation[],
  right: readonly Annotation[],
): boolean {
  if (left.length !== right.length) return false;
  const values = new Map(left.map((one) => [annotationKey(one), one.value]));
  return right.every((one) => {
    const value = values.get(annotationKey(one));
    return value !== undefined && equalBytes(value, one.value);
  });
}
