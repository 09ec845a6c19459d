/**
 * A dump: the APPLY commands that make users what they are, one a line as on the wire, with sums that tell
 * how far it may be believed.
 *
 *     DUMP %(VERSION 1 PROGRAM Bobbin)
 *     APPLY MESSAGE (%{default <guid> <size>}…)
 *     CHECK %(N 1 SHA256 <hex of all bytes so far>)
 *     APPLY MAILBOX %(…)
 *     CHECK %(N 2 SHA256 <hex>)
 *     CHECK %(N 2 SHA256 <hex> USER fred)
 *     END %(N 2 SHA256 <hex>)
 *
 * After each command stands a CHECK. One with USER (or TOPLEVEL, for shared mailboxes) says that this owner is
 * complete: he is applied only then. END says that nothing is missing.
 */
import type { Owner } from "../../model/names.ts";
import { FieldError, kvlistOf, latin1Of, lookUp, u32Of } from "../dlist/access.ts";
import { printLine } from "../dlist/print.ts";
import { type DlistValue, dlistKvlist, dlistLatin1, dlistNumber } from "../dlist/value.ts";

export const DUMP_VERSION = 1;

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

export interface DumpCheck {
  /** Commands so far. */
  readonly count: number;
  /** Of all bytes before this line, in lower-case hex. */
  readonly sha256: string;
  /** Whose commands are complete. */
  readonly owner?: Owner;
}

/** A CHECK, or the END, without its line end. */
export function printDumpCheck(check: DumpCheck, name: "CHECK" | "END" = "CHECK"): Uint8Array {
  const { count, sha256, owner } = check;
  const value = dlistKvlist([
    ["N", dlistNumber(count)],
    ["SHA256", dlistLatin1(sha256)],
    ["USER", owner?.kind === "user" ? dlistLatin1(owner.userid) : undefined],
    ["TOPLEVEL", owner?.kind === "shared" ? dlistLatin1(owner.toplevel) : undefined],
  ]);
  return printLine(name, value, { from: "client" });
}

/** The inverse of `printDumpCheck`. Throws FieldError. */
export function parseDumpCheck(value: DlistValue): DumpCheck {
  const kvlist = kvlistOf(value, "CHECK");
  const [user, toplevel] = [lookUp(kvlist, "USER"), lookUp(kvlist, "TOPLEVEL")];
  const check = {
    count: u32Of(lookUp(kvlist, "N"), "N"),
    sha256: latin1Of(lookUp(kvlist, "SHA256"), "SHA256"),
  };
  if (user !== undefined) {
    return { ...check, owner: { kind: "user", userid: latin1Of(user, "USER") } };
  }
  if (toplevel === undefined) return check;
  return { ...check, owner: { kind: "shared", toplevel: latin1Of(toplevel, "TOPLEVEL") } };
}

/** What a dump's reader expects of its lines. */
export function expectDumpLine(words: readonly string[]): "word" | "value" | "line" | "text" {
  const [verb] = words;
  if (verb === undefined) return "word";
  if (verb === "APPLY") return "line";
  return verb === "DUMP" || verb === "CHECK" || verb === "END" ? "value" : "text";
}
