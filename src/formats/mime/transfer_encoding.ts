/**
 * Content in base64 or quoted-printable (RFC 2045 6), decoded as Cyrus does: what is no part of an
 * encoding is skipped or kept, never refused.
 */
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const EQUALS = 0x3d;
const UNDERSCORE = 0x5f;

const BASE64 = new Int8Array(256).fill(-1);
for (const [value, char] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries()) {
  BASE64[char.charCodeAt(0)] = value;
}

/** The bytes that `encoded` stands for. */
export function decodeBase64(encoded: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil((encoded.length * 3) / 4));
  let length = 0;
  let bits = 0;
  let count = 0;
  for (const byte of encoded) {
    if (byte === EQUALS) count = 0;
    const value = BASE64[byte] as number;
    if (value < 0) continue;
    bits = (bits << 6) | value;
    count = (count + 1) % 4;
    if (count !== 1) out[length++] = bits >> (((4 - count) % 4) * 2);
  }
  return out.subarray(0, length);
}

/** The bytes that `encoded` stands for: lines without the white space at their ends. */
export function decodeQuoted(encoded: Uint8Array): Uint8Array {
  const out = new Uint8Array(encoded.length * 2);
  let length = 0;
  for (let start = 0; start < encoded.length; ) {
    const lineFeed = encoded.indexOf(LF, start);
    let end = lineFeed === -1 ? encoded.length : lineFeed;
    const next = end + 1;
    while (end > start && isSpace(encoded[end - 1] as number)) end -= 1;
    const isSoft = end > start && encoded[end - 1] === EQUALS;
    length = decodeHex(encoded.subarray(start, isSoft ? end - 1 : end), out, length);
    if (!isSoft && lineFeed !== -1) {
      out[length++] = CR;
      out[length++] = LF;
    }
    start = next;
  }
  return out.subarray(0, length);
}

/** The bytes that the text of an encoded word stands for (RFC 2047 4.2). */
export function decodeQ(encoded: Uint8Array): Uint8Array {
  const out = new Uint8Array(encoded.length);
  const spaced = encoded.map((byte) => (byte === UNDERSCORE ? SPACE : byte));
  const end = encoded.at(-1) === EQUALS ? encoded.length - 1 : encoded.length;
  return out.subarray(0, decodeHex(spaced.subarray(0, end), out, 0));
}

/** Puts `encoded` with its `=XX` decoded to `out` at `length`; the new length. */
function decodeHex(encoded: Uint8Array, out: Uint8Array, length: number): number {
  let to = length;
  for (let at = 0; at < encoded.length; at++) {
    const byte = encoded[at] as number;
    const high = byte === EQUALS ? hexValue(encoded[at + 1]) : -1;
    const low = high < 0 ? -1 : hexValue(encoded[at + 2]);
    if (byte === CR) continue;
    if (low >= 0) at += 2;
    out[to++] = low < 0 ? byte : high * 16 + low;
  }
  return to;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CR;
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte & 0xdf;
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x37 : -1;
}
