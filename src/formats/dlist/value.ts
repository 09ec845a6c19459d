/**
 * dlist: the nested values of Cyrus' replication protocol, of cyrus.header (new form) and of
 * mailboxes.db (sync-protocol.md section 2). The wire knows no types but these seven; whether a string
 * is a number, a date or a GUID is for its reader to say (access.ts).
 *
 * Strings are bytes. A parsed value shares memory with the input it came from: copy what is kept.
 */
import { fromLatin1, utf8 } from "../../core/bytes.ts";
import type { Guid } from "../../model/guid.ts";

/** A value without content; an atom `NIL` on the wire, which is not the string `"NIL"`. */
export interface DlistNil {
  readonly kind: "nil";
}

/** Atom, quoted string or literal: which of them is the printer's choice and carries no meaning. */
export interface DlistString {
  readonly kind: "string";
  readonly bytes: Uint8Array;
}

/** `\Seen` and its like; `bytes` hold the backslash too. */
export interface DlistFlag {
  readonly kind: "flag";
  readonly bytes: Uint8Array;
}

/** `(a b c)` */
export interface DlistList {
  readonly kind: "list";
  readonly items: readonly DlistValue[];
}

/** `%(NAME value NAME value)`: order is kept and a name may stand twice; the first one counts. */
export interface DlistKvlist {
  readonly kind: "kvlist";
  readonly entries: readonly DlistEntry[];
}

/** One name and its value. The name is in latin1: each character is one byte. */
export interface DlistEntry {
  readonly name: string;
  readonly value: DlistValue;
}

/** `%{partition guid size}` and `size` bytes: a message. */
export interface DlistFile {
  readonly kind: "file";
  /** In latin1. */
  readonly partition: string;
  readonly guid: Guid;
  /** Bytes of the message. */
  readonly size: number;
  /** The message; absent where the reader has handed it out while reading. */
  readonly content?: Uint8Array;
}

/**
 * A string or flag made here, from text that is printed as it stands. No parser gives one: to a reader it is a
 * string. Most of what is printed is this, and needs no bytes of its own.
 */
export interface DlistAtom {
  readonly kind: "atom";
  /** Latin1, fewer than 1024 safe characters, not `NIL`. */
  readonly text: string;
}

export type DlistValue =
  | (DlistNil | DlistString | DlistFlag | DlistAtom)
  | (DlistList | DlistKvlist | DlistFile);

export const NIL: DlistNil = { kind: "nil" };

/** A string from bytes, or from text in UTF-8. */
export function dlistString(content: Uint8Array | string): DlistString {
  return { kind: "string", bytes: typeof content === "string" ? utf8(content) : content };
}

/** From this length on a string is a literal whatever it holds. */
export const INLINE_BYTES = 1024;

const SAFE_TEXT = /^[!#$&'+-Z[\]-z|}~]+$/;

/** True for text that is printed as it stands: neither in quotes nor as a literal. */
export function isAtomText(text: string): boolean {
  return text.length < INLINE_BYTES && text !== "NIL" && SAFE_TEXT.test(text);
}

/** A string whose characters are bytes: names and other text that was decoded with `latin1`. */
export function dlistLatin1(text: string): DlistString | DlistAtom {
  return isAtomText(text) ? { kind: "atom", text } : { kind: "string", bytes: fromLatin1(text) };
}

/** An unsigned number or a date in decimal; a negative one as 2^64-n, the way Cyrus prints it. */
export function dlistNumber(value: number | bigint): DlistAtom {
  const text = value < 0 ? BigInt.asUintN(64, BigInt(value)).toString() : value.toString();
  return { kind: "atom", text };
}

/** 16 lower-case hex digits. */
export function dlistHex(value: bigint): DlistAtom {
  return { kind: "atom", text: BigInt.asUintN(64, value).toString(16).padStart(16, "0") };
}

/** A flag from its name with the backslash; it must be safe as an atom. */
export function dlistFlag(name: string): DlistAtom {
  return { kind: "atom", text: name };
}

export function dlistList(items: readonly DlistValue[]): DlistList {
  return { kind: "list", items };
}

/** A kvlist of the pairs whose value is not undefined, in their order. */
export function dlistKvlist(
  pairs: readonly (readonly [name: string, value: DlistValue | undefined])[],
): DlistKvlist {
  const entries: DlistEntry[] = [];
  for (const [name, value] of pairs) if (value !== undefined) entries.push({ name, value });
  return { kind: "kvlist", entries };
}
