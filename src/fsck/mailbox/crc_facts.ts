/** A wrong checksum, told as precisely as it can be: often the one byte that was changed is known. */
import { hex32 } from "../../core/bytes.ts";
import { locateByteError } from "../../hash/crc32_locate.ts";
import type { FindingFacts } from "../finding_codes.ts";

/** Where a field of a structure lies. */
export interface FieldRange {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface WrongCrc {
  readonly stored: number;
  readonly computed: number;
  /** The bytes that the checksum covers. */
  readonly covered: Uint8Array;
  /** Byte of the file where they begin. */
  readonly base: number;
  /** What those bytes mean; may be empty. */
  readonly fields: readonly FieldRange[];
}

/**
 * Expected and found checksum, and, where one changed byte explains the difference, that byte and its
 * field: `byte 0x68 at 279 should be 0x78 (internaldate)`.
 */
export function crcFacts(title: string, wrong: WrongCrc): FindingFacts {
  const { stored, computed, covered, base, fields } = wrong;
  const facts = { expected: hex32(stored), found: hex32(computed) };
  const error = locateByteError(stored, computed, covered.length);
  if (error === undefined) return { ...facts, text: title };
  if (error.place.in === "checksum") {
    return { ...facts, text: `${title}: the checksum itself has a changed byte`, field: "crc" };
  }
  const { offset } = error.place;
  const found = covered[offset] ?? 0;
  const field = fields.find(
    (range) => range.offset <= offset && offset < range.offset + range.size,
  );
  const place = `byte 0x${hexByte(found)} at ${base + offset} should be 0x${hexByte(found ^ error.mask)}`;
  return {
    ...facts,
    text: `${title}: ${place}${field === undefined ? "" : ` (${field.name})`}`,
    ...(field !== undefined && { field: field.name }),
  };
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
