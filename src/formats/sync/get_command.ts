/** The GET commands as values (sync-protocol.md 4.1). */
import type { Guid } from "../../model/guid.ts";
import { FieldError, guidOf, kvlistOf, latin1Of, lookUp, u32Of, wordsOf } from "../dlist/access.ts";
import {
  type DlistEntry,
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
  NIL,
} from "../dlist/value.ts";
import { parseScriptName, type ScriptName, scriptName } from "./user_lines.ts";

export type GetCommand =
  | { readonly kind: "user"; readonly userid: string }
  | { readonly kind: "meta"; readonly userid: string }
  | { readonly kind: "mailboxes"; readonly names: readonly string[] }
  | { readonly kind: "uniqueids"; readonly uniqueids: readonly string[] }
  | { readonly kind: "fullmailbox"; readonly name: string }
  /** The name may be empty, which means the annotations of the server. */
  | { readonly kind: "annotation"; readonly name: string }
  | { readonly kind: "quota"; readonly root: string }
  /** Bobbin's own: all owners that the account may touch. */
  | { readonly kind: "owners" }
  /** Bobbin's own: the mailboxes of a shared top level, answered as GET USER is. */
  | { readonly kind: "shared"; readonly toplevel: string }
  | GetFetch
  | ({ readonly kind: "fetchSieve" } & ScriptName);

export interface GetFetch {
  readonly kind: "fetch";
  readonly mailbox: string;
  readonly partition: string;
  /** Empty where the peer does not send it, as 2.4 and 2.5. */
  readonly uniqueid: string;
  readonly guid: Guid;
  readonly uid: number;
}

/** Parses `name value`; undefined for an unknown name. Throws FieldError. */
export function parseGet(name: string, value: DlistValue): GetCommand | undefined {
  const key = name.toUpperCase();
  switch (key) {
    case "USER":
      return { kind: "user", userid: latin1Of(value, key) };
    case "META":
      return { kind: "meta", userid: latin1Of(value, key) };
    case "MAILBOXES":
      return { kind: "mailboxes", names: wordsOf(value, key) };
    case "UNIQUEIDS":
      return { kind: "uniqueids", uniqueids: wordsOf(value, key) };
    case "FULLMAILBOX":
      return { kind: "fullmailbox", name: latin1Of(value, key) };
    case "ANNOTATION":
      return { kind: "annotation", name: latin1Of(value, key) };
    case "QUOTA":
      return { kind: "quota", root: latin1Of(value, key) };
    case "OWNERS":
      if (value.kind !== "nil") throw new FieldError(key, "NIL");
      return { kind: "owners" };
    case "SHARED":
      return { kind: "shared", toplevel: latin1Of(value, key) };
    case "FETCH":
      return parseFetch(value);
    case "FETCH_SIEVE":
      return { kind: "fetchSieve", ...parseScriptName(kvlistOf(value, key)) };
    default:
      return undefined;
  }
}

function parseFetch(value: DlistValue): GetFetch {
  const kvlist = kvlistOf(value, "FETCH");
  const uniqueid = lookUp(kvlist, "UNIQUEID");
  return {
    kind: "fetch",
    mailbox: latin1Of(lookUp(kvlist, "MBOXNAME"), "MBOXNAME"),
    partition: latin1Of(lookUp(kvlist, "PARTITION"), "PARTITION"),
    uniqueid: uniqueid === undefined ? "" : latin1Of(uniqueid, "UNIQUEID"),
    guid: guidOf(lookUp(kvlist, "GUID"), "GUID"),
    uid: u32Of(lookUp(kvlist, "UID"), "UID"),
  };
}

/** A list of strings. */
export function printTexts(texts: readonly string[]): DlistValue {
  return dlistList(texts.map(dlistLatin1));
}

/** The inverse of `parseGet`. */
export function printGet(command: GetCommand): DlistEntry {
  switch (command.kind) {
    case "user":
    case "meta":
      return { name: command.kind.toUpperCase(), value: dlistLatin1(command.userid) };
    case "mailboxes":
      return { name: "MAILBOXES", value: printTexts(command.names) };
    case "uniqueids":
      return { name: "UNIQUEIDS", value: printTexts(command.uniqueids) };
    case "fullmailbox":
    case "annotation":
      return { name: command.kind.toUpperCase(), value: dlistLatin1(command.name) };
    case "quota":
      return { name: "QUOTA", value: dlistLatin1(command.root) };
    case "owners":
      return { name: "OWNERS", value: NIL };
    case "shared":
      return { name: "SHARED", value: dlistLatin1(command.toplevel) };
    case "fetch":
      return { name: "FETCH", value: printFetch(command) };
    case "fetchSieve":
      return { name: "FETCH_SIEVE", value: dlistKvlist(scriptName(command)) };
  }
}

function printFetch(command: GetFetch): DlistValue {
  return dlistKvlist([
    ["MBOXNAME", dlistLatin1(command.mailbox)],
    ["PARTITION", dlistLatin1(command.partition)],
    ["UNIQUEID", dlistLatin1(command.uniqueid)],
    ["GUID", dlistLatin1(command.guid)],
    ["UID", dlistNumber(command.uid)],
  ]);
}
