/**
 * `cyrus.mailbox_annotations`: the annotations of the mailbox itself, as an indented JSON array of
 * `[entry, userid, value]` (backup-format.md 2). Modseqs are not in it.
 */
import { fromLatin1, latin1, textOf, utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import type { Annotation } from "../../model/annotation.ts";

/** Bytes that are no UTF-8 are printed as latin1: `FOLDER_FILE.state` has them exactly. */
export function printMailboxAnnotations(annotations: readonly Annotation[]): Uint8Array {
  const textIn = (bytes: Uint8Array) => textOf(bytes) ?? latin1(bytes);
  const triples = annotations.map(({ entry, userid, value }) =>
    [fromLatin1(entry), fromLatin1(userid ?? ""), value].map(textIn),
  );
  return utf8(JSON.stringify(triples, undefined, 2));
}

/** The inverse of `printMailboxAnnotations`. Throws FormatError. */
export function parseMailboxAnnotations(bytes: Uint8Array): Annotation[] {
  const triples = parseJson(bytes);
  if (!Array.isArray(triples)) throw new FormatError(0, "a list of annotations");
  return triples.map((triple) => {
    const isTriple =
      Array.isArray(triple) &&
      triple.length === 3 &&
      triple.every((text) => typeof text === "string");
    if (!isTriple) throw new FormatError(0, "annotations of an entry, a user and a value");
    const [entry, userid, value] = triple.map((text: string) => utf8(text)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]; // three texts, as was looked at
    return { entry: latin1(entry), userid: latin1(userid), modseq: 0n, value };
  });
}
