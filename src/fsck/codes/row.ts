/** What a row of the catalogue is made of, and the facts that several codes share. */
import { hex32 } from "../../core/bytes.ts";
import type { Unreadable } from "../../core/files.ts";
import type { Severity } from "../severity.ts";

/** What a finding says to people and programs; text and severity default to those of its row. */
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

export interface Row<Facts> {
  readonly title: string;
  readonly severity: Severity;
  /** What a safe repair would do. Nothing here ever deletes mail. */
  readonly repair: string;
  /** The type of its parameter is the record of facts that findings of this code carry. */
  readonly tell: (facts: Facts) => Telling;
}

/** The facts of a code that says everything by its place. */
export type NoFacts = Readonly<Record<string, never>>;

/** One row: `tell` puts the facts of a finding into words. */
export function row<Facts = NoFacts>(
  title: string,
  severity: Severity,
  repair: string,
  tell: (facts: Facts) => Telling = () => ({}),
): Row<Facts> {
  return { title, severity, repair, tell };
}

/** Bytes that are not what a format asks for. */
export interface Malformed {
  readonly state: "malformed";
  readonly expected: string;
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
      return `cannot be read: ${fault.errno}`;
    case "malformed":
      return `cannot be read: expected ${fault.expected}`;
  }
}

/** A checksum that its bytes do not have. */
export interface WrongCrc {
  readonly stored: number;
  readonly computed: number;
  /** The one byte that explains the difference, where one does. */
  readonly changed?: "checksum" | ChangedByte | undefined;
}

export interface ChangedByte {
  /** Byte of the file. */
  readonly at: number;
  readonly expected: number;
  readonly found: number;
  /** The field that the byte belongs to, where that is known. */
  readonly field: string | undefined;
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
  | { readonly what: "file"; readonly fault: Unreadable }
  | { readonly what: "format"; readonly format: string }
  | {
      readonly what: "damage";
      readonly problem: string;
      readonly offset: number;
      /** The key of the record concerned, where that is known. */
      readonly key: string | undefined;
      readonly expected: string | number;
      readonly found: string | number;
      /** False: it changed at every look, and this may have been a write under way. */
      readonly stable: boolean;
    };

/** Words for a database that goes by `title`. */
export function tellDatabase(title: string, facts: DatabaseFacts): Telling {
  switch (facts.what) {
    case "file":
      return { text: `${title} ${faultWords(facts.fault)}` };
    case "format": {
      const { format } = facts;
      const text = `${title} has the format ${format}, which is not supported: not checked`;
      return { severity: "info", text, found: format };
    }
    case "damage": {
      const { problem, offset, key, expected, found, stable } = facts;
      const text = `${title} damaged at byte ${offset}: ${problem}`;
      return { ...(!stable && { severity: "info" }), text, field: key, expected, found };
    }
  }
}
