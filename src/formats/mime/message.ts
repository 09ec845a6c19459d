/**
 * The structure of a message (RFC 822, 2045, 2046) as Cyrus sees it: which part lies where, and
 * what its header says. It is that of Cyrus 3.6.1, which was given broken messages of each kind and
 * whose cyrus.cache was read, so that an index, a cache and an IMAP client see one structure
 * wherever the mail lies. What differs from the RFCs:
 *
 * - A header ends at a line of CR LF alone (`mailbox/header_end.ts`), or before a delimiter.
 * - A header is cut at its first NUL octet.
 * - The delimiter of an outer multipart, other than its last one, counts as one of the innermost.
 * - A multipart without a boundary, or whose header a delimiter ends, has no parts.
 * - No part is decoded: a message/rfc822 in base64 has a header and body that say nothing.
 */
import { latin1 } from "../../core/bytes.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { Boundaries } from "./boundaries.ts";
import { type Fields, readFields } from "./header_fields.ts";

/** A message, or a part of one. Offsets and sizes are of the message's bytes. */
export interface MimePart {
  readonly fields: Fields;
  readonly type: string;
  readonly subtype: string;
  readonly headerOffset: number;
  /** Up to and with the empty line, or to the first NUL, or to the line before a delimiter. */
  readonly headerSize: number;
  readonly headerLines: number;
  readonly contentOffset: number;
  /**
   * Without the line end before a delimiter. As Cyrus counts, which after a bare LF alone before a
   * delimiter is too much, and past the end of the message: whoever takes these bytes cuts there.
   */
  readonly contentSize: number;
  readonly contentLines: number;
  /** False where a delimiter ended the header: then there is no content at all. */
  readonly hasContent: boolean;
  /** The parts of a multipart. */
  readonly parts: readonly MimePart[];
  /** What a message/rfc822 holds. */
  readonly message: MimePart | undefined;
}

type Draft = { -readonly [Key in keyof MimePart]: MimePart[Key] } & { parts: MimePart[] };

/** How much was read, as Cyrus counts: what stands behind a NUL octet in a header is left out. */
interface Amount {
  readonly size: number;
  readonly lines: number;
}

const NONE: Amount = { size: 0, lines: 0 };

interface Scan {
  readonly bytes: Uint8Array;
  at: number;
  readonly boundaries: Boundaries;
  /** Messages that the part is in. */
  messages: number;
  /** All up to `at`. */
  read: Amount;
  /** The delimiter before `at`, with the line end before it; NONE at the end of the message. */
  delimiter: Amount;
}

const LF = 10;
const CR = 13;
const DASH = 0x2d;

/** The text of the header of `part`, one character a byte. */
export function headerText(bytes: Uint8Array, part: MimePart): string {
  return latin1(bytes.subarray(part.headerOffset, part.headerOffset + part.headerSize));
}

/** The structure of a whole message. */
export function parseMessage(bytes: Uint8Array): MimePart {
  const counts = { messages: 0, read: NONE, delimiter: NONE };
  return parsePart({ bytes, at: 0, boundaries: new Boundaries(), ...counts }, PLAIN);
}

/** What separates the parts of a multipart; undefined where its header does not say. */
export function boundaryOf({ parameters }: Fields): string | undefined {
  return parameters?.find(({ name }) => name === "BOUNDARY")?.value;
}

/** A part without header and content, for a message/rfc822 that has none. */
const NOTHING: MimePart = {
  fields: { parameters: [{ name: "CHARSET", value: "us-ascii" }] },
  ...{ type: "TEXT", subtype: "PLAIN", hasContent: false, parts: [], message: undefined },
  ...{ headerOffset: 0, headerSize: 0, headerLines: 0 },
  ...{ contentOffset: 0, contentSize: 0, contentLines: 0 },
};

const PLAIN: Fields = {
  type: "TEXT",
  subtype: "PLAIN",
  parameters: NOTHING.fields.parameters ?? [],
};
const RFC822: Fields = { type: "MESSAGE", subtype: "RFC822" };

function parsePart(scan: Scan, fallback: Fields): Draft {
  const part = readHeader(scan, fallback);
  const isMessage = part.type === "MESSAGE" && part.subtype === "RFC822";
  if (!part.hasContent) {
    if (isMessage) part.message = NOTHING;
    return part;
  }
  const before = scan.read;
  if (isMessage && scan.messages < DEFAULT_LIMITS.mimeMessages) {
    scan.messages += 1;
    part.message = parsePart(scan, PLAIN);
    scan.messages -= 1;
  } else if (part.type === "MULTIPART") readParts(scan, part);
  else skipContent(scan);
  // The content of a part of any kind is what was read of it, but for the delimiter behind it.
  part.contentSize = scan.read.size - before.size - scan.delimiter.size;
  part.contentLines = scan.read.lines - before.lines - scan.delimiter.lines;
  return part;
}

/** Notes that so much was read, and `delimiter` behind it. */
function count(scan: Scan, { size, lines }: Amount, delimiter: Amount): void {
  scan.delimiter = delimiter;
  scan.read = {
    size: scan.read.size + size + delimiter.size,
    lines: scan.read.lines + lines + delimiter.lines,
  };
}

/** Reads a header. Line by line, as a delimiter may end it. */
function readHeader(scan: Scan, fallback: Fields): Draft {
  const { bytes } = scan;
  const headerOffset = scan.at;
  let headerEnd: number | undefined;
  let delimiter = 0;
  while (headerEnd === undefined && scan.at < bytes.length) {
    const line = scan.at;
    const next = lineEnd(bytes, line);
    scan.at = next;
    if (bytes[line] === CR && bytes[line + 1] === LF) headerEnd = next;
    else if (isDelimiter(scan, line, untilNul(bytes, line, next))) {
      headerEnd = line === headerOffset ? line : line - 2;
      delimiter = untilNul(bytes, line, next) - line;
    }
  }
  headerEnd ??= scan.at;
  // Of a bare LF alone before a delimiter Cyrus makes a header with the delimiter in it.
  const isStray = headerEnd < headerOffset;
  const end = isStray ? scan.at : headerEnd;
  const headerSize = untilNul(bytes, headerOffset, end) - headerOffset;
  const fromHeader = bytes.subarray(headerOffset, headerOffset + headerSize);
  const header = isStray ? "" : latin1(fromHeader);
  const own = readFields(header);
  const fields = own.type === undefined ? { ...own, ...fallback } : own;
  const headerLines = isStray ? -1 : linesIn(fromHeader);
  const isBehindLine = delimiter > 0 && headerEnd !== headerOffset;
  const [size, lines] = isBehindLine ? [delimiter + 2, 2] : [delimiter, 1];
  const amount = { size: headerSize, lines: headerLines };
  count(scan, amount, delimiter === 0 ? NONE : { size, lines });
  return {
    fields,
    type: fields.type ?? "",
    subtype: fields.subtype ?? "",
    ...{ headerOffset, headerSize, headerLines },
    ...{ contentOffset: scan.at, contentSize: 0, contentLines: 0 },
    ...{ hasContent: delimiter === 0, parts: [], message: undefined },
  };
}

/** `end`, or where there is a NUL octet before it. */
function untilNul(bytes: Uint8Array, start: number, end: number): number {
  const nul = bytes.subarray(start, end).indexOf(0);
  return nul === -1 ? end : start + nul;
}

/** True for a line that is a delimiter of an open multipart; `next` is where it ends. */
function isDelimiter({ bytes, boundaries }: Scan, line: number, next: number): boolean {
  if (bytes[line] !== DASH || bytes[line + 1] !== DASH || boundaries.count === 0) return false;
  return boundaries.match(bytes.subarray(line + 2, next));
}

function lineEnd(bytes: Uint8Array, from: number): number {
  return bytes.indexOf(LF, from) + 1 || bytes.length;
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines += 1;
  return lines;
}

/** Goes on behind the next delimiter, or to the end of the message. */
function skipContent(scan: Scan): void {
  const { bytes } = scan;
  const from = scan.at;
  const line = nextDelimiter(scan);
  scan.at = line === bytes.length ? line : lineEnd(bytes, line);
  const content = { size: line - from, lines: linesIn(bytes.subarray(from, line)) };
  if (line === bytes.length) {
    count(scan, content, NONE);
    return;
  }
  // The line end before the delimiter, as far as there is one, is the delimiter's.
  const size = content.size > 1 ? 2 : 0;
  const lines = content.lines > 0 ? 1 : 0;
  const delimiter = { size: scan.at - line + size, lines: 1 + lines };
  count(scan, { size: content.size - size, lines: content.lines - lines }, delimiter);
}

/** Where the next delimiter of an open multipart begins, or the end of the message. */
function nextDelimiter(scan: Scan): number {
  const { bytes, boundaries } = scan;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let line = boundaries.count === 0 ? bytes.length : scan.at;
  while (line < bytes.length && !isDelimiter(scan, line, lineEnd(bytes, line))) {
    line = buffer.indexOf("\n--", line) + 1 || bytes.length;
  }
  return line;
}

/** Reads the parts of a multipart, with what stands before and behind them. */
function readParts(scan: Scan, part: Draft): void {
  const { boundaries, bytes } = scan;
  const boundary = boundaryOf(part.fields);
  if (boundary === undefined) {
    skipContent(scan);
    return;
  }
  // All that is behind is left out, as Cyrus does.
  if (boundaries.count + 1 >= DEFAULT_LIMITS.mimeMultiparts) {
    boundaries.close(0);
    scan.at = bytes.length;
    scan.delimiter = NONE;
    return;
  }
  const fallback = part.subtype === "DIGEST" ? RFC822 : PLAIN;
  const depth = boundaries.push(boundary);
  skipContent(scan);
  while (boundaries.count === depth) {
    part.parts.push(parsePart(scan, fallback));
    if (scan.at === bytes.length && scan.delimiter === NONE) boundaries.close(0);
  }
  if (boundaries.count === depth - 1) skipContent(scan);
}
