/**
 * MD5, for one purpose: a message UUID of the old backup system starts with byte 02 and goes on
 * with the first 11 bytes of the message's MD5. It vouches for nothing else.
 */
import { createHash } from "node:crypto";

/** The MD5 of `bytes`: 16 bytes. */
export function md5(bytes: Uint8Array): Uint8Array {
  return createHash("md5").update(bytes).digest();
}

/** The MD5 of bytes that come in parts. */
export function md5OfParts(parts: Iterable<Uint8Array>): Uint8Array {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
