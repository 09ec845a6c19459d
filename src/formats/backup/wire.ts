/**
 * The lines of backupcyrusd's protocol (backup-format.md 10). A line is words with one space
 * between them; names in it are percent-encoded. Everything is latin1: each character is one byte.
 *
 *   META SLOT USER seen   →   OK, DATA seen SIZE MTIME INODE, SIZE bytes and directly behind them
 *                             DONE seen SHA1, DONE META
 *
 * `DONE` and `NO` have several meanings, which only their place in an answer tells apart: reading
 * an answer is left to the client (places/backupcyrus).
 */
import { FormatError } from "../../core/errors.ts";

/** All other characters than these are percent-encoded: some would end a word. */
const ENCODED = /[^A-Za-z0-9_.~-]/g;

/** `Two Words` becomes `Two%20Words`. */
export function encodeWord(word: string): string {
  const encoded = word.replace(
    ENCODED,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
  // Upstream's server prints the byte C3 as %FFFFFFC3: nothing of ours may look like that.
  return encoded.replaceAll("%FFF", "%FF%46");
}

/** The inverse of `encodeWord`. Upstream prints bytes over 127 with a sign, which is taken too. */
export function decodeWord(word: string): string {
  return word.replace(/%(?:F{6}(?=[89A-F]))?([0-9A-F]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** A line without its end; every word is encoded. */
export function printWords(...words: readonly (string | number | bigint)[]): string {
  return words.map((word) => encodeWord(String(word))).join(" ");
}

/** The words of a line, decoded. Throws FormatError for an empty word, or a quote without end. */
export function parseWords(line: string): [string, ...string[]] {
  const words: string[] = [];
  const next = /(?:"((?:[^"\\]|\\.)*)"|([^ "][^ ]*))(?: |$)/gsy;
  while (next.lastIndex < line.length) {
    const from = next.lastIndex;
    const [, quoted, plain = ""] = next.exec(line) ?? [];
    if (next.lastIndex === 0) throw new FormatError(from, "words with one space between them");
    words.push(decodeWord(quoted?.replace(/\\(.)/gs, "$1") ?? plain));
  }
  const [first, ...others] = words;
  if (first === undefined || line.endsWith(" ")) throw new FormatError(line.length, "a word");
  return [first, ...others];
}

/** What a server says of one of its files. */
export interface FileFacts {
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: bigint;
  readonly inode: bigint;
}

/** The file that a STAT or DATA line is about, and the folder where the line names one. */
export interface FileLine extends FileFacts {
  readonly folder: string | undefined;
  readonly name: string;
}

/** The words of a STAT or DATA line behind the verb. Throws FormatError. */
export function parseFileLine(words: readonly string[]): FileLine {
  const [inode = "", mtime = "", size = "", name, folder, ...more] = words.toReversed();
  if (name === undefined || more.length > 0) throw new FormatError(0, "a name and three numbers");
  return {
    ...{ folder, name },
    size: Number(numberIn(size)),
    mtime: numberIn(mtime),
    inode: numberIn(inode),
  };
}

function numberIn(word: string): bigint {
  if (/^-?\d{1,20}$/.test(word)) return BigInt(word);
  throw new FormatError(0, `a number, not ${word.slice(0, 30)}`);
}
