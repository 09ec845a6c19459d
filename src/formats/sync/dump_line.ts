/**
 * The lines of a dump: the APPLY commands that make users what they are, one a line as in the
 * protocol, with sums that tell which part of the dump is sound.
 *
 *     DUMP %(VERSION 1 PROGRAM Bobbin)
 *     APPLY MESSAGE (%{default <guid> <size>}…)
 *     CHECK %(N 1 SHA256 <hex of all bytes so far>)
 *     APPLY MAILBOX %(…)
 *     CHECK %(N 2 SHA256 <hex>)
 *     CHECK %(N 2 SHA256 <hex> USER fred)
 *     END %(N 2 SHA256 <hex>)
 *
 * A CHECK follows each command. A CHECK with USER (or TOPLEVEL, for shared mailboxes) says that
 * this owner is complete; his commands are applied only then. MISSING ((<name> <uniqueid or NIL>)…)
 * in it names what could not be read when the dump was made, which must not be taken for deleted.
 * END says that the dump is complete.
 */
import type { Owner } from "../../model/names.ts";
import { FieldError, itemsOf, kvlistOf, latin1Of, lookUp, u32Of } from "../dlist/access.ts";
import { printLine } from "../dlist/print.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
  NIL,
} from "../dlist/value.ts";

const DUMP_VERSION = 1;

/** What every dump begins with. */
export const DUMP_START = "DUMP %(VERSION ";

/** The first line, without its end. */
export function printDumpHeader(): Uint8Array {
  const value = dlistKvlist([
    ["VERSION", dlistNumber(DUMP_VERSION)],
    ["PROGRAM", dlistLatin1("Bobbin")],
  ]);
  return printLine("DUMP", value, { from: "client" });
}

/** Checks the first line. Throws FieldError for another version. */
export function parseDumpHeader(value: DlistValue): void {
  const version = u32Of(lookUp(kvlistOf(value, "DUMP"), "VERSION"), "VERSION");
  if (version !== DUMP_VERSION) throw new FieldError("VERSION", String(DUMP_VERSION));
}

/** What a dump lacks of an owner: one mailbox or, where there is no uniqueid, something else. */
export interface MissingInDump {
  readonly name: string;
  readonly uniqueid?: string;
}

export interface DumpCheck {
  /** The number of commands so far. */
  readonly count: number;
  /** The SHA-256 of all bytes before this line, in lower-case hex. */
  readonly sha256: string;
  /** The owner whose commands are complete with this line. */
  readonly owner?: Owner;
  /** What this owner has and the dump lacks. */
  readonly missing?: readonly MissingInDump[];
}

/** A CHECK, or the END, without its line end. */
export function printDumpCheck(check: DumpCheck, name: "CHECK" | "END" = "CHECK"): Uint8Array {
  const { count, sha256, owner, missing = [] } = check;
  const value = dlistKvlist([
    ["N", dlistNumber(count)],
    ["SHA256", dlistLatin1(sha256)],
    ["USER", owner?.kind === "user" ? dlistLatin1(owner.userid) : undefined],
    ["TOPLEVEL", owner?.kind === "shared" ? dlistLatin1(owner.toplevel) : undefined],
    ["MISSING", missing.length === 0 ? undefined : dlistList(missing.map(printMissing))],
  ]);
  return printLine(name, value, { from: "client" });
}

function printMissing({ name, uniqueid }: MissingInDump): DlistValue {
  return dlistList([dlistLatin1(name), uniqueid === undefined ? NIL : dlistLatin1(uniqueid)]);
}

function parseMissing(value: DlistValue): MissingInDump {
  const [name, uniqueid] = itemsOf(value, "MISSING");
  const found = { name: latin1Of(name, "MISSING") };
  return uniqueid?.kind === "nil" ? found : { ...found, uniqueid: latin1Of(uniqueid, "MISSING") };
}

/** The inverse of `printDumpCheck`. Throws FieldError. */
export function parseDumpCheck(value: DlistValue): DumpCheck {
  const kvlist = kvlistOf(value, "CHECK");
  const missing = lookUp(kvlist, "MISSING");
  const owner = ownerOf(kvlist);
  return {
    count: u32Of(lookUp(kvlist, "N"), "N"),
    sha256: latin1Of(lookUp(kvlist, "SHA256"), "SHA256"),
    ...(owner !== undefined && { owner }),
    ...(missing !== undefined && { missing: itemsOf(missing, "MISSING").map(parseMissing) }),
  };
}

function ownerOf(kvlist: DlistKvlist): Owner | undefined {
  const [user, toplevel] = [lookUp(kvlist, "USER"), lookUp(kvlist, "TOPLEVEL")];
  if (user !== undefined) return { kind: "user", userid: latin1Of(user, "USER") };
  if (toplevel === undefined) return undefined;
  return { kind: "shared", toplevel: latin1Of(toplevel, "TOPLEVEL") };
}

/** What comes next on a line of a dump after these words; see `Expectation`. */
export function expectDumpLine(words: readonly string[]): "word" | "value" | "line" | "text" {
  const [verb] = words;
  if (verb === undefined) return "word";
  if (verb === "APPLY") return "line";
  return verb === "DUMP" || verb === "CHECK" || verb === "END" ? "value" : "text";
}
