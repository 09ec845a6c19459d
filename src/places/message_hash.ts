/** The SHA-1 of a message that comes in parts, for places that take it off a wire or a stream. */
import { createHash } from "node:crypto";
import type { Guid } from "../model/guid.ts";

export interface MessageHash {
  update(bytes: Uint8Array): void;
  /** The GUID of all bytes so far; ends the hash. */
  digest(): Guid;
}

/** A hash of no bytes. Any number of them may be at work at the same time. */
export function sha1Of(): MessageHash {
  const hash = createHash("sha1");
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest("hex"),
  };
}
