/**
 * dlist: the nested values of Cyrus' replication protocol, of cyrus.header in its new form, and of
 * mailboxes.db (sync-protocol.md section 2). The format knows only these seven types; access.ts
 * reads a string as a number, a date or a GUID.
 *
 * Strings are bytes. A parsed value shares memory with the input that it came from: copy what must
 * outlive it.
 */
import { fromLatin1, utf8 } from "../../core/bytes.ts";
import type { Guid } from "../../model/guid.ts";

/** A value without content: the atom `NIL`, which is not the string `"NIL"`. */
export interface DlistNil {
  readonly kind: "nil";
}

/** An atom, a quoted string or a literal, which mean the same; the printer chooses one. */
export interface DlistString {
  readonly kind: "string";
  readonly bytes: Uint8Array;
}

/** A flag such as `\Seen`; `bytes` hold the backslash too. */
export interface DlistFlag {
  readonly kind: "flag";
  readonly bytes: Uint8Array;
}

/** `(a b c)` */
export interface DlistList {
  readonly kind: "list";
  readonly items: readonly DlistValue[];
}

/** `%(NAME value NAME value)`: the order is kept. A name may stand twice; then the first counts. */
export interface DlistKvlist {
  readonly kind: "kvlist";
  readonly entries: readonly DlistEntry[];
}

/** One name and its value. The name is in latin1: each character is one byte. */
export interface DlistEntry {
  readonly name: string;
  readonly value: DlistValue;
}

/** A message: `%{partition guid size}` and `size` bytes. */
export interface DlistFile {
  readonly kind: "file";
  /** In latin1. */
  readonly partition: string;
  readonly guid: Guid;
  /** Bytes of the message. */
  readonly size: number;
  /** The bytes of the message; absent where the reader has given them out as events. */
  readonly content?: Uint8Array;
}

/**
 * A string or flag that was made here and whose text is printed as it stands. No parser returns
 * one: it reads such text as a string. Most of what is printed is of this kind and needs no bytes
 * of its own.
 */
export interface DlistAtom {
  readonly kind: "atom";
  /** Latin1 text of fewer than 1024 characters, all of them safe in an atom, and not `NIL`. */
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

/** A string of this many bytes or more is printed as a literal, whatever it holds. */
export const INLINE_BYTES = 1024;

const SAFE_TEXT = /^[!#$&'+-Z[\]-z|}~]+$/;

/** True for text that is printed as an atom, neither in quotes nor as a literal. */
export function isAtomText(text: string): boolean {
  return text.length < INLINE_BYTES && text !== "NIL" && SAFE_TEXT.test(text);
}

/** A string whose characters are bytes: names and other text that was decoded with `latin1`. */
export function dlistLatin1(text: string): DlistString | DlistAtom {
  return isAtomText(text) ? { kind: "atom", text } : { kind: "string", bytes: fromLatin1(text) };
}

/** A number or a date in decimal. A negative one is printed as 2^64-n, as Cyrus does. */
export function dlistNumber(value: number | bigint): DlistAtom {
  const text = value < 0 ? BigInt.asUintN(64, BigInt(value)).toString() : value.toString();
  return { kind: "atom", text };
}

/** A flag from its name with the backslash; it must be safe as an atom. */
export function dlistFlag(name: string): DlistAtom {
  return { kind: "atom", text: name };
}

/** A list of these values. */
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

/** What a value costs in memory beside its bytes, and one with its name in a kvlist: measured. */
export const VALUE_WEIGHT = 184;
export const PAIR_WEIGHT = 304;
