/** Annotations of mailboxes and messages, as the protocol has them (sync-protocol.md 4.3). */
import { equalBytes } from "../core/bytes.ts";

export interface Annotation {
  /** `/comment`, `/vendor/cmu/cyrus-imapd/…`; latin1, each character is one byte. */
  readonly entry: string;
  /**
   * Empty for a shared annotation, else the user whose private one it is. Null where the peer sent
   * no user id, as 2.5 and 3.0 do for some shared annotations.
   */
  readonly userid: string | null;
  /** 0 where the peer does not say it, as 2.5 and 3.0, and in answers to GET ANNOTATION. */
  readonly modseq: bigint;
  readonly value: Uint8Array;
}

/** The key of an annotation: no two annotations of a mailbox or a message have the same. */
export function annotationKey(annotation: Pick<Annotation, "entry" | "userid">): string {
  return `${annotation.entry}\0${annotation.userid ?? ""}`;
}

/**
 * True if both hold the same entries with the same values, in any order. Modseqs are not compared:
 * Cyrus does not compare them either, and each replica may assign its own.
 */
export function sameAnnotations(
  left: readonly Annotation[],
  right: readonly Annotation[],
): boolean {
  if (left.length === 0 && right.length === 0) return true;
  const [ours, theirs] = [left, right].map(
    (list) => new Map(list.map((one) => [annotationKey(one), one.value])),
  ) as [Map<string, Uint8Array>, Map<string, Uint8Array>]; // two lists in, two maps out
  return (
    ours.size === theirs.size &&
    [...theirs].every(([key, value]) => {
      const own = ours.get(key);
      return own !== undefined && equalBytes(own, value);
    })
  );
}
