/**
 * SHA-1 by the runtime's own code, for everything that needs one: the GUID of a message is the
 * SHA-1 of its bytes. The native engine of `engines.ts` is made of these functions. A message is
 * called damaged only after the second engine there has found the same.
 */

/** Bytes of a digest. */
export const SHA1_BYTES = 20;

/** A SHA-1 of bytes that come in parts. Any number of them may be at work at the same time. */
export interface Sha1 {
  update(bytes: Uint8Array): void;
  /** The digest of all bytes so far in lower-case hex; ends the hash. */
  digest(): string;
  /** The same, written to `out` (20 bytes). */
  digestInto(out: Uint8Array): void;
}

/** A SHA-1 of no bytes yet. */
export function beginSha1(): Sha1 {
  const hash = new Bun.SHA1();
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest("hex"),
    digestInto: (out) => void hash.digest(out),
  };
}

/** The SHA-1 of `bytes` in lower-case hex. */
export function sha1Of(bytes: Uint8Array): string {
  return Bun.SHA1.hash(bytes, "hex");
}

/** Writes the SHA-1 of `bytes` to `out` (20 bytes), without making an object. */
export function sha1Into(bytes: Uint8Array, out: Uint8Array): void {
  Bun.SHA1.hash(bytes, out);
}
