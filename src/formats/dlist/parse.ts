/** Parses dlist from memory: cyrus.header, mailboxes.db, one line of a dump or capture. */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { DlistError } from "./dlist_error.ts";
import { type DlistLimits, DlistParser, type ParserOptions } from "./parser.ts";
import type { DlistEntry, DlistValue } from "./value.ts";

export interface ParseOptions {
  readonly limits?: DlistLimits;
}

/** The one value that `bytes` hold; a line end may follow it. Throws FormatError. */
export function parseValue(bytes: Uint8Array, options: ParseOptions = {}): DlistValue {
  return parseWhole(bytes, { start: "value", limits: options.limits ?? DEFAULT_LIMITS }).value;
}

/** Parses `NAME value`; a line end may follow it. Throws FormatError. */
export function parseLine(bytes: Uint8Array, options: ParseOptions = {}): DlistEntry {
  return parseWhole(bytes, { start: "line", limits: options.limits ?? DEFAULT_LIMITS });
}

function parseWhole(bytes: Uint8Array, options: ParserOptions): DlistEntry {
  const parser = new DlistParser(options);
  let event = parser.take(bytes, 0);
  if (event.kind === "more") event = parser.finish();
  if (event.kind !== "done") throw new DlistError(parser.offset, "one whole value");
  const rest = Buffer.from(bytes.subarray(parser.at)).toString("latin1");
  if (!["", "\n", "\r\n"].includes(rest))
    throw new DlistError(parser.offset, "the end of the line");
  return { name: event.name, value: event.value };
}
