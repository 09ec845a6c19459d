/** Parses a dlist value from memory: that of cyrus.header and of mailboxes.db. */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { DlistError } from "./dlist_error.ts";
import { type DlistLimits, DlistParser } from "./parser.ts";
import type { DlistValue } from "./value.ts";

export interface ParseOptions {
  readonly limits?: DlistLimits;
}

/** The one value that `bytes` hold; a line end may follow it. Throws FormatError. */
export function parseValue(bytes: Uint8Array, options: ParseOptions = {}): DlistValue {
  const parser = new DlistParser({ start: "value", limits: options.limits ?? DEFAULT_LIMITS });
  let event = parser.take(bytes, 0);
  if (event.kind === "more") event = parser.finish();
  if (event.kind !== "done") throw new DlistError(parser.offset, "one whole value");
  const rest = Buffer.from(bytes.subarray(parser.at)).toString("latin1");
  if (!["", "\n", "\r\n"].includes(rest))
    throw new DlistError(parser.offset, "the end of the line");
  return event.value;
}
