/**
 * Encoded words in header fields (RFC 2047), decoded as Cyrus does for its searches: bytes outside
 * of them that are not ASCII become U+FFFD, as does a word in an unknown character set.
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";
import { type Decode, decodeAscii, decodeOf, decodeUtf8 } from "./charset.ts";
import { decodeBase64, decodeQ } from "./transfer_encoding.ts";

const WORD = /=\?([^?\s]*)\?([bq])\?([^?]*)\?=/giy;

/** Words that follow each other are decoded as one where a character may be split between them. */
interface Run {
  readonly decode: Decode;
  readonly encoding: string;
  readonly bytes: string;
}

/** `text` (one character a byte) with its encoded words decoded. */
export function decodeWords(text: string): string {
  let decoded = "";
  let at = 0;
  let run: Run | undefined;
  for (let start = text.indexOf("=?"); start !== -1; ) {
    WORD.lastIndex = start;
    const [word, charset = "", encoding = "", encoded = ""] = WORD.exec(text) ?? [];
    if (word === undefined) {
      start = text.indexOf("=?", start + 2);
      continue;
    }
    const between = text.slice(at, start);
    // White space between two words is not told.
    const isNext = run !== undefined && !/[^ \t\r\n]/.test(between);
    const next = readWord(charset, encoding.toLowerCase(), encoded);
    if (isNext && next.decode === decodeUtf8 && isLike(run, next)) {
      run = { ...next, bytes: run.bytes + next.bytes };
    } else {
      decoded += endOf(run) + (isNext ? "" : plain(between));
      run = next;
    }
    at = start + word.length;
    start = text.indexOf("=?", at);
  }
  return decoded + endOf(run) + plain(text.slice(at));
}

function isLike(run: Run | undefined, next: Run): run is Run {
  return run?.decode === next.decode && run.encoding === next.encoding;
}

function endOf(run: Run | undefined): string {
  return run === undefined ? "" : run.decode(run.bytes);
}

function readWord(charset: string, encoding: string, text: string): Run {
  const name = charset.replace(/\*.*$/, ""); // RFC 2231: a language may follow
  const encoded = fromLatin1(text.replace(/=?\r\n/g, ""));
  const bytes = latin1(encoding === "b" ? decodeBase64(encoded) : decodeQ(encoded));
  return { decode: decodeOf(name) ?? (() => "\ufffd"), encoding, bytes };
}

/** Text that is not encoded, without folds. */
function plain(text: string): string {
  return decodeAscii(text.replace(/\r(\n|$)/g, ""));
}
