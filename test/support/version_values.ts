/** Reading what stand-ins of servers are sent. */
import { kvlistOf, latin1Of, lookUp } from "../../src/formats/dlist/access.ts";
import type { DlistKvlist, DlistValue } from "../../src/formats/dlist/value.ts";

export function fieldsOf(value: DlistKvlist): Map<string, DlistValue> {
  return new Map(value.entries.map((one) => [one.name, one.value] as const));
}

export function flagsOf(record: DlistKvlist): readonly DlistValue[] {
  const flags = lookUp(record, "FLAGS");
  return flags?.kind === "list" ? flags.items : [];
}

/** A string in latin1; empty for NIL and for what is not there. */
export function text(value: DlistValue | undefined): string {
  return value === undefined || value.kind === "nil" ? "" : latin1Of(value, "a value");
}

export function textAt(value: DlistValue, key: string): string {
  return text(lookUp(kvlistOf(value, key), key));
}
