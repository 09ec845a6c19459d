/**
 * The SECTION item of a cache record: where each part of a message lies, for BODY[1.2] and its like
 * (spool-format 3), in words of 32 bits. For each message and multipart there is a count, then
 * places, then the same for what is in each of its parts:
 *
 *   count of places; 0 for a part that holds no others
 *   place 0: the message itself, or nothing for a multipart that is no message
 *   place n: part n, which is the body of a message that is no multipart
 *
 *   place: header offset and size, content offset and size, character set and encoding, then by the
 *   version of the cache: SHA-1 of the decoded content, its size, lines of the content as it is
 */
import { concat, fromLatin1, viewOf } from "../../core/bytes.ts";
import { isKnownCharset } from "../../formats/mime/charset.ts";
import { boundaryOf, type MimePart } from "../../formats/mime/message.ts";
import { decodeBase64, decodeQuoted } from "../../formats/mime/transfer_encoding.ts";
import { SHA1_BYTES, sha1Into } from "../../hash/sha1.ts";
import type { CacheDialect } from "./cache_dialect.ts";

export interface SectionInput {
  readonly message: Uint8Array;
  readonly part: MimePart;
  readonly dialect: CacheDialect;
}

interface Work extends SectionInput {
  /** Of the parts that have been hashed. */
  readonly contents: Map<MimePart, Content>;
}

/** The bytes of the item for the message that `part` is the structure of. */
export function sectionItem(input: SectionInput): Uint8Array {
  const out: Uint8Array[] = [];
  writeMessage(out, input.part, { ...input, contents: new Map() });
  return concat(out);
}

function writeMessage(out: Uint8Array[], part: MimePart, work: Work): void {
  const { parts } = part;
  const whole = place(part, work, "whole");
  if (parts.length > 0) writeList(out, [whole, ...parts.map((one) => place(one, work, "part"))]);
  else writeList(out, [whole, place(part, work, "body")]);
  if (parts.length > 0) for (const one of parts) writeInside(out, one, work);
  else writeInside(out, part, work);
}

function writeInside(out: Uint8Array[], part: MimePart, work: Work): void {
  if (part.message !== undefined) {
    writeMessage(out, part.message, work);
    return;
  }
  const { parts } = part;
  const places = parts.map((one) => place(one, work, "inner"));
  writeList(out, parts.length === 0 ? [] : [noPlace(work), ...places]);
  for (const one of parts) writeInside(out, one, work);
}

function writeList(out: Uint8Array[], places: readonly Uint8Array[]): void {
  out.push(words(places.length), ...places);
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = viewOf(bytes);
  for (const [at, value] of values.entries()) view.setUint32(4 * at, value);
  return bytes;
}

const NO_SIZE = 0xffff_ffff;

/** Place 0 of a multipart. */
function noPlace({ dialect }: Work): Uint8Array {
  const rest = new Uint8Array(dialect.digestBytes + 4 * dialect.sizes);
  return concat([words(0, NO_SIZE, 0, NO_SIZE, dialect.noCharset), rest]);
}

/** What a place is of: a message, a part of it, its body as part 1, or a part of a part. */
type Role = "whole" | "part" | "body" | "inner";

/** Of a multipart that has no parts Cyrus says, except as a whole message, that it is empty. */
function place(part: MimePart, work: Work, as: Role): Uint8Array {
  const { dialect } = work;
  const isPartless = part.type === "MULTIPART" && part.parts.length === 0;
  const isBody = isPartless && as === "body";
  const hasNoText = as === "whole" || isBody || (isPartless && as === "inner");
  const { digest, size } = isBody ? NO_CONTENT : contentOf(part, work);
  const contentSize = isPartless && as !== "whole" ? 0 : part.contentSize;
  const sizes = words(size, isBody ? 0 : part.contentLines);
  return concat([
    words(part.headerOffset, part.headerSize, part.contentOffset, contentSize),
    hasNoText ? words(dialect.noCharset) : charsetWord(part, dialect),
    digest.subarray(0, dialect.digestBytes),
    sizes.subarray(0, 4 * dialect.sizes),
  ]);
}

/** The SHA-1 of a part's content, decoded, and its size. */
interface Content {
  readonly digest: Uint8Array;
  readonly size: number;
}

const NO_CONTENT: Content = { digest: new Uint8Array(SHA1_BYTES), size: 0 };

/** The content of `part`, or none where Cyrus takes no digest of it. Each is hashed once. */
function contentOf(part: MimePart, { contents, message, dialect }: Work): Content {
  const known = contents.get(part);
  if (known !== undefined) return known;
  const bytes = dialect.digestBytes === 0 ? undefined : decodedContent(part, message);
  const digest = new Uint8Array(SHA1_BYTES);
  if (bytes !== undefined) sha1Into(bytes, digest);
  const content = bytes === undefined ? NO_CONTENT : { digest, size: bytes.length };
  contents.set(part, content);
  return content;
}

/** Numbers that Cyrus gives transfer encodings. */
const ENCODINGS: ReadonlyMap<string | undefined, number> = new Map([
  ...[undefined, "7BIT", "8BIT", "BINARY"].map((name) => [name, 0] as const),
  ...([
    ["QUOTED-PRINTABLE", 1],
    ["BASE64", 2],
  ] as const),
]);
const UNKNOWN_ENCODING = 255;

/** What a part says of its encoding. Of a message it is not asked. */
function encodingOf({ type, fields }: MimePart): number {
  return type === "MESSAGE" ? 0 : (ENCODINGS.get(fields.encoding) ?? UNKNOWN_ENCODING);
}

function isOtherMessage({ type, subtype }: MimePart): boolean {
  return type === "MESSAGE" && subtype !== "RFC822";
}

function decodedContent(part: MimePart, message: Uint8Array): Uint8Array | undefined {
  if (!part.hasContent) return undefined;
  if (part.type === "MULTIPART" && boundaryOf(part.fields) !== undefined) return undefined;
  const { contentOffset, contentSize } = part;
  const content = message.subarray(contentOffset, contentOffset + contentSize);
  switch (encodingOf(part)) {
    case 0:
      return content;
    case 1:
      return decodeQuoted(content);
    case 2:
      return decodeBase64(content);
    default:
      return undefined;
  }
}

/** The last character set of those that the part names that Cyrus knows. */
function charsetOf({ fields }: MimePart): string | undefined {
  const named = fields.parameters?.filter(({ name }) => name === "CHARSET") ?? [];
  return named.findLast(({ value }) => isKnownCharset(value))?.value;
}

/** The character set, by number or name, and the encoding. */
function charsetWord(part: MimePart, dialect: CacheDialect): Uint8Array {
  const encoding = encodingOf(part);
  const isText = part.type === "TEXT" || isOtherMessage(part);
  const said = part.type === "TEXT" ? charsetOf(part) : undefined;
  if (dialect.charset !== "name") {
    const number = isText ? (said?.toLowerCase() === "utf-8" ? 1 : 0) : 0xffff;
    return words((dialect.charset === "number" ? number << 16 : 0) | encoding);
  }
  if (!isText) return words(encoding);
  const name = said ?? "us-ascii";
  const padded = new Uint8Array((name.length + 4) & ~3);
  padded.set(fromLatin1(name));
  return concat([words((padded.length << 16) | encoding), padded]);
}
