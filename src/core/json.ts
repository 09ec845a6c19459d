/** JSON in which 64-bit values stay exact. */
import { textOf } from "./bytes.ts";
import { FormatError } from "./errors.ts";

/** `value` on one line; a bigint is a number up to 2^53 - 1 either way, else a string. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== "bigint") return part;
    return Number.isSafeInteger(Number(part)) ? Number(part) : part.toString();
  });
}

/** The value that `bytes` say. Throws FormatError where they are no JSON in UTF-8. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes) ?? "");
  } catch (error) {
    if (error instanceof SyntaxError) throw new FormatError(0, "JSON in UTF-8");
    throw error;
  }
}
