/**
 * Mail made up for benches and for tests that need much of it: one plain-text part, of any size,
 * with the cache record that Cyrus 3.6 makes of it (cache version 11), byte for byte, so that
 * `reconstruct -G` finds nothing to say.
 */
import { concat, hexOf, utf8, viewOf } from "../../../src/core/bytes.ts";
import type { CacheItems } from "../formats/cache.ts";
import { randomOf } from "./random.ts";

export interface SampleMail {
  readonly bytes: Uint8Array;
  /** Bytes up to and including the blank line. */
  readonly headerSize: number;
  readonly guid: string;
  /** The Date header, unix seconds. */
  readonly date: number;
  readonly cacheItems: CacheItems;
}

export const CACHE_VERSION = 11;

/** A body line with its line end. */
const LINE_BYTES = 78;
const LINES = 16_384;
const EMPTY = new Uint8Array(0);

/**
 * Lines of words, of which every body is a piece: made once, so that a spool is made at disk speed.
 */
const TEXT = textOfLines();

function textOfLines(): Uint8Array {
  const random = randomOf(7);
  const text = new Uint8Array(LINE_BYTES * LINES);
  for (let line = 0; line < LINES; line++) {
    const at = line * LINE_BYTES;
    for (let column = 0; column < LINE_BYTES - 2; column++) {
      const isSpace = random.below(6) === 0 && column > 0;
      text[at + column] = isSpace ? 0x20 : 0x61 + random.below(26);
    }
    text[at + LINE_BYTES - 2] = 0x0d;
    text[at + LINE_BYTES - 1] = 0x0a;
  }
  return text;
}

/**
 * The mail of this number: about `sizeBytes` long (never below its header and one line), no two
 * alike.
 */
export function sampleMail(number: number, sizeBytes: number, date: number): SampleMail {
  const fields = fieldsOf(number, date);
  const header = utf8(
    [
      `Received: from mx.example.com by bobbin.example.org; ${fields.date}`,
      `Date: ${fields.date}`,
      `From: ${fields.from}`,
      `To: ${fields.to}`,
      `Subject: ${fields.subject}`,
      `Message-ID: ${fields.messageId}`,
      "MIME-Version: 1.0",
      `${CONTENT_HEADERS}\r\n`,
    ].join("\r\n"),
  );
  const lines = Math.max(1, Math.round((sizeBytes - header.length) / LINE_BYTES));
  const body = bodyOf(number, lines);
  const bytes = concat([header, body]);
  return {
    bytes,
    headerSize: header.length,
    guid: sha1Hex(bytes),
    date,
    cacheItems: cacheItemsOf(fields, { headerSize: header.length, body, lines }),
  };
}

const CONTENT_HEADERS =
  "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n";

interface Fields {
  readonly date: string;
  readonly local: string;
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly messageId: string;
}

function fieldsOf(number: number, date: number): Fields {
  return {
    date: new Date(date * 1000).toUTCString().replace("GMT", "+0000"),
    local: `ann${number % 97}`,
    from: `Ann Spinner <ann${number % 97}@example.com>`,
    to: "Fred Weaver <fred@example.org>",
    subject: `Thread ${number} of the loom`,
    messageId: `<${number}.${date}@example.com>`,
  };
}

function bodyOf(number: number, lines: number): Uint8Array {
  const body = new Uint8Array(lines * LINE_BYTES);
  let from = ((number * 2_654_435_761) % LINES) * LINE_BYTES;
  for (let at = 0; at < body.length; from = 0) {
    const piece = TEXT.subarray(from, Math.min(TEXT.length, from + body.length - at));
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

interface BodyFacts {
  readonly headerSize: number;
  readonly body: Uint8Array;
  readonly lines: number;
}

function cacheItemsOf(fields: Fields, facts: BodyFacts): CacheItems {
  const from = `(("Ann Spinner" NIL "${fields.local}" "example.com"))`;
  const to = '(("Fred Weaver" NIL "fred" "example.org"))';
  const people = `${from} ${from} ${from} ${to}`;
  const envelope =
    `("${fields.date}" "${fields.subject}" ${people} NIL NIL NIL ` + `"${fields.messageId}")`;
  const part =
    `"TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" ${facts.body.length} ` + `${facts.lines}`;
  return {
    envelope: utf8(envelope),
    bodystructure: utf8(`(${part} NIL NIL NIL NIL)`),
    body: utf8(`(${part})`),
    section: sectionOf(facts),
    headers: utf8(CONTENT_HEADERS),
    from: utf8(fields.from),
    to: utf8(fields.to),
    cc: EMPTY,
    bcc: EMPTY,
    subject: utf8(`"${fields.subject}"`),
  };
}

/**
 * The part map: a count of 2, the message, its part 1, and 0 parts below that. Message and part:
 * header offset and size, content offset and size, charset (length and encoding in one word, then
 * the NUL-padded name), SHA-1, decoded size and lines of the content.
 */
function sectionOf(facts: BodyFacts): Uint8Array {
  const { headerSize, body, lines } = facts;
  const digest = Buffer.from(sha1Hex(body), "hex");
  const numbers = [0, headerSize, headerSize, body.length];
  const describe = (charset: readonly Uint8Array[]): Uint8Array[] => [
    words(numbers),
    ...charset,
    digest,
    words([body.length, lines]),
  ];
  const name = utf8("us-ascii\0\0\0\0");
  return concat([
    words([2]),
    ...describe([words([0xffff])]),
    ...describe([words([name.length << 16]), name]),
    words([0]),
  ]);
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = viewOf(bytes);
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value);
  return bytes;
}

export function sha1Hex(bytes: Uint8Array): string {
  const digest = new Uint8Array(20);
  Bun.SHA1.hash(bytes, digest);
  return hexOf(digest);
}
