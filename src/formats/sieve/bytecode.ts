/**
 * Compiled sieve scripts, `x.bc`: `CyrSBytecode` and a 32-bit version, big-endian. 2.4 and 2.5
 * write 9, 3.0 writes 17, 3.2 27, 3.4 30 (seen in files of those servers). A server runs what is
 * not newer than what it writes.
 */
import { latin1 } from "../../core/bytes.ts";

const MAGIC = "CyrSBytecode";

/** The version of a compiled script; undefined for bytes that are none. */
export function bytecodeVersion(bytes: Uint8Array): number | undefined {
  if (bytes.length < MAGIC.length + 4 || latin1(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    return undefined;
  }
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length);
}
