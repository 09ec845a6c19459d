/** Small helpers over bytes. Integers in Cyrus' files are big-endian and unsigned. */

const utf8Strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();
/** Buffer's `toString` takes any bytes; wrapping them first costs five times as much. */
const toText: (this: Uint8Array, encoding: "latin1" | "hex") => string = Buffer.prototype.toString;

/** A DataView over exactly the bytes of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The unsigned 32-bit number at byte `at`; faster than a DataView in loops. */
export function u32At(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
  const low = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  return (high | low) >>> 0;
}

/** The bytes of `text` in UTF-8. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return utf8Encoder.encode(text);
}

/** The text of `bytes` if they are valid UTF-8, else undefined. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8Strict.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Decodes each byte to the character of the same number, which loses nothing. */
export function latin1(bytes: Uint8Array): string {
  return toText.call(bytes, "latin1");
}

/** The inverse of `latin1`. */
export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  return Buffer.from(text, "latin1");
}

/** The bytes in lower-case hex. */
export function hexOf(bytes: Uint8Array): string {
  return toText.call(bytes, "hex");
}

/** An unsigned 32-bit number as 8 hex digits, the way checksums are shown. */
export function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** True when both hold the same bytes. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && Buffer.compare(left, right) === 0;
}

/** All `parts` one after the other; a single one is given as it is. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first : concat(parts);
}

/** All `parts` one after the other, in memory of their own. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
