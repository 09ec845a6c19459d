/** `ANNOTATIONS (%(ENTRY s USERID s MODSEQ n VALUE b) …)` (sync-protocol.md 4.3). */
import type { Annotation } from "../../model/annotation.ts";
import { itemsOf, kvlistOf, latin1Of, lookUp, ownBytesOf, u64Of } from "../dlist/access.ts";
import {
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
  dlistString,
  NIL,
} from "../dlist/value.ts";

const NONE: readonly Annotation[] = [];

/**
 * The annotations under the key ANNOTATIONS; none if it is missing. MODSEQ may be absent, as 2.5
 * and 3.0 send it (Cyrus 3.2 and later then fail or drop the rest of the list). Throws FieldError.
 */
export function parseAnnotations(value: DlistValue | undefined): readonly Annotation[] {
  if (value === undefined) return NONE;
  return itemsOf(value, "ANNOTATIONS").map((item) => {
    const kvlist = kvlistOf(item, "ANNOTATIONS");
    const userid = lookUp(kvlist, "USERID");
    const modseq = lookUp(kvlist, "MODSEQ");
    return {
      entry: latin1Of(lookUp(kvlist, "ENTRY"), "ENTRY"),
      userid: userid?.kind === "nil" ? null : latin1Of(userid, "USERID"),
      modseq: modseq === undefined ? 0n : u64Of(modseq, "MODSEQ"),
      value: ownBytesOf(lookUp(kvlist, "VALUE"), "VALUE"),
    };
  });
}

/** The inverse, always with MODSEQ; undefined for none, whose key is left out. */
export function printAnnotations(annotations: readonly Annotation[]): DlistValue | undefined {
  if (annotations.length === 0) return undefined;
  return dlistList(
    annotations.map((annotation) =>
      dlistKvlist([
        ["ENTRY", dlistLatin1(annotation.entry)],
        ["USERID", annotation.userid === null ? NIL : dlistLatin1(annotation.userid)],
        ["MODSEQ", dlistNumber(annotation.modseq)],
        ["VALUE", dlistString(annotation.value)],
      ]),
    ),
  );
}
