/** Parses a line of the protocol, of a capture or of a dump that is whole in memory. */
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { DlistError } from "../../src/formats/dlist/dlist_error.ts";
import { DlistParser } from "../../src/formats/dlist/parser.ts";
import type { DlistEntry } from "../../src/formats/dlist/value.ts";

/** Parses `NAME value`; a line end may follow it. Throws FormatError. */
export function parseLine(bytes: Uint8Array): DlistEntry {
  const parser = new DlistParser({ start: "line", limits: DEFAULT_LIMITS });
  let event = parser.take(bytes, 0);
  if (event.kind === "more") event = parser.finish();
  const rest = Buffer.from(bytes.subarray(parser.at)).toString("latin1");
  if (event.kind !== "done" || !["", "\n", "\r\n"].includes(rest)) {
    throw new DlistError(parser.offset, "one whole line");
  }
  return { name: event.name, value: event.value };
}
