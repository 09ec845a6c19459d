/**
 * A wrong checksum, explained as precisely as it can be: often the one byte that was changed is
 * known.
 */
import { locateByteError } from "../../hash/crc32_locate.ts";
import type { WrongCrc } from "../words/telling.ts";

/** What a checksum covers. */
export interface Covered {
  readonly bytes: Uint8Array;
  /** Byte of the file where they begin. */
  readonly base: number;
  /** The fields that lie in those bytes; may be empty. */
  readonly fields: readonly FieldRange[];
}

/** Where a field of a structure lies. */
interface FieldRange {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Both checksums and, where one changed byte explains the difference, that byte and its field. */
export function explainCrc(
  { stored, computed }: Pick<WrongCrc, "stored" | "computed">,
  { bytes, base, fields }: Covered,
): WrongCrc {
  const error = locateByteError(stored, computed, bytes.length);
  if (error === undefined) return { stored, computed };
  if (error.place.in === "checksum") return { stored, computed, changed: "checksum" };
  const { offset } = error.place;
  const found = bytes[offset] ?? 0;
  const field = fields.find((one) => one.offset <= offset && offset < one.offset + one.size);
  const at = base + offset;
  const changed = { at, found, expected: found ^ error.mask, field: field?.name };
  return { stored, computed, changed };
}
