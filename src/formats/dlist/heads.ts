/**
 * The heads of literals and files, `{5}`, `{5+}` and `%{partition guid 5}`, which stand at the ends
 * of lines. Whatever else is wrong with a line, the peer sends the bytes that its end announces,
 * and they must never be read as commands: the parser and what drops broken lines both ask here.
 */
import { latin1 } from "../../core/bytes.ts";

const LITERAL_HEAD = /^\{(\d{1,10})\+?\}\r\n$/;
const ASTRING = '("(?:[^"\\\\\r\n]|\\\\[^\r\n])*"|[^\\s()"]+)';
const FILE_HEAD = new RegExp(`^\\{${ASTRING} ${ASTRING} (\\d{1,10})\\}\\r?\\n$`);
const ANNOUNCEMENT = /(^|[ {])(\d+)\+?\}\r?\n?$/;

/** So much of a line's end is looked at: longer numbers than fit in are as good as endless. */
const TAIL_BYTES = 64;

/** The size in the head of a literal; undefined if it is malformed. */
export function parseLiteralHead(head: string): number | undefined {
  const digits = LITERAL_HEAD.exec(head)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** What the head of a file says, without its `%`; undefined if it is malformed. */
export function parseFileHead(
  head: string,
): { readonly partition: string; readonly guid: string; readonly size: number } | undefined {
  const [, partition, guid, digits] = FILE_HEAD.exec(head) ?? [];
  if (partition === undefined || guid === undefined || digits === undefined) return undefined;
  const lower = unquote(guid).toLowerCase();
  return { partition: unquote(partition), guid: lower, size: Number(digits) };
}

function unquote(astring: string): string {
  return astring.startsWith('"') ? astring.slice(1, -1).replace(/\\(.)/gs, "$1") : astring;
}

/** How many bytes the latin1 text at the end of a line announces; undefined if it does not. */
export function announcedBytes(lineEnd: string): number | undefined {
  const tail = lineEnd.slice(-TAIL_BYTES);
  const [, before, digits] = ANNOUNCEMENT.exec(tail) ?? [];
  const isCut = before === "" && tail.length < TAIL_BYTES;
  return digits === undefined || isCut ? undefined : Number(digits);
}

/** The last bytes of pieces that follow each other, enough to see what they announce. */
export function tailOf(pieces: readonly Uint8Array[]): string {
  let tail = "";
  for (let at = pieces.length - 1; at >= 0 && tail.length < TAIL_BYTES; at--) {
    const piece = pieces[at];
    if (piece !== undefined) tail = latin1(piece.subarray(-TAIL_BYTES)) + tail;
  }
  return tail.slice(-TAIL_BYTES);
}
