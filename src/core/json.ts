/** JSON in which 64-bit values stay exact. */

/** `value` on one line; a bigint is a number up to 2^53 - 1 either way, else a string. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== "bigint") return part;
    return Number.isSafeInteger(Number(part)) ? Number(part) : part.toString();
  });
}
