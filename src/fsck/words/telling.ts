/** What a finding says to people and programs, and the facts that several codes share. */
import { hex32 } from "../../core/bytes.ts";
import { errnoText } from "../../core/errors.ts";
import type { Unreadable } from "../../core/files.ts";
import type { Severity } from "../severity.ts";

/** Text and severity are those of the code's row where a finding has none of its own. */
export interface Telling {
  readonly severity?: Severity | undefined;
  /** One sentence without a final period. */
  readonly text?: string | undefined;
  /** The field concerned, as Cyrus spells it. */
  readonly field?: string | undefined;
  readonly expected?: string | number | bigint | undefined;
  readonly found?: string | number | bigint | undefined;
  /** The other party of a conflict: a mailbox, a path. */
  readonly other?: string | undefined;
}

/** Puts the facts of a code into words; the type of its parameter is the record of those facts. */
export type Words<Facts> = (facts: Facts) => Telling;

/** Two values of which one should be the other. */
export interface Pair<Value> {
  expected: Value;
  found: Value;
}

/** Words for a code whose facts are two values, of the field `field` where it is one. */
export function pair<Value extends string | number | bigint>(field?: string): Words<Pair<Value>> {
  return ({ expected, found }) => ({ field, expected, found });
}

export const INFO = { severity: "info" } as const;
export const WARNING = { severity: "warning" } as const;

/** Bytes that are not what a format asks for. */
export interface Malformed {
  state: "malformed";
  expected: string;
}

/** `is missing`, `is not a regular file`, `cannot be read: EACCES` …: the end of a sentence. */
export function faultWords(fault: Unreadable | Malformed): string {
  switch (fault.state) {
    case "missing":
      return "is missing";
    case "not_regular":
      return "is not a regular file";
    case "too_large":
      return `is too large: ${fault.size} bytes`;
    case "unreadable":
      return `cannot be read: ${errnoText(fault.errno)}`;
    case "malformed":
      return `cannot be read: expected ${fault.expected}`;
  }
}

/** A checksum that its bytes do not have. */
export interface WrongCrc {
  stored: number;
  computed: number;
  /** The one byte that explains the difference, where one does. */
  changed?: "checksum" | ChangedByte;
}

/** `at` is a byte of the file; `field` is what the byte belongs to, where that is known. */
export interface ChangedByte extends Pair<number> {
  at: number;
  field: string | undefined;
}

/** `title: byte 0x68 at 279 should be 0x78 (internaldate)`, with both checksums. */
export function tellCrc(title: string, { stored, computed, changed }: WrongCrc): Telling {
  const crcs = { expected: hex32(stored), found: hex32(computed) };
  if (changed === undefined) return { ...crcs, text: title };
  if (changed === "checksum") {
    return { ...crcs, text: `${title}: the checksum itself has a changed byte`, field: "crc" };
  }
  const { at, expected, found, field } = changed;
  const byte = `byte 0x${hexByte(found)} at ${at} should be 0x${hexByte(expected)}`;
  const ofField = field === undefined ? "" : ` (${field})`;
  return { ...crcs, text: `${title}: ${byte}${ofField}`, field };
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** What can be wrong with a database file, whatever it holds. */
export type DatabaseFacts =
  | { what: "file"; fault: Unreadable }
  | { what: "format"; format: string }
  | ({ what: "damage" } & DatabaseDamage);

/** Not `stable`: it changed at every look, and this may have been a write under way. */
interface DatabaseDamage extends Pair<string> {
  problem: string;
  offset: number;
  /** The key of the record concerned, where that is known. */
  key: string | undefined;
  stable: boolean;
}

/** Words for a database that goes by `title`. */
export function tellDatabase(title: string, facts: DatabaseFacts): Telling {
  if (facts.what === "file") return { text: `${title} ${faultWords(facts.fault)}` };
  if (facts.what === "format") {
    const { format: found } = facts;
    const text = `${title} has the format ${found}, which is not supported: not checked`;
    return { ...WARNING, text, found };
  }
  const { problem, offset, key: field, expected, found } = facts;
  const text = `${title} damaged at byte ${offset}: ${problem}`;
  return { ...(!facts.stable && INFO), text, field, expected, found };
}
