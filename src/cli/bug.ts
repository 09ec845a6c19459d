/** Reporting a bug: an error that only Bobbin's authors can do something about. */
import { BugError } from "../core/assert.ts";
import type { OwnerFacts } from "./json/values.ts";
import { type Output, OutputClosed } from "./output.ts";
import { VERSION_TEXT } from "./version.ts";

/** Reports a bug with its stack, after `who`; throws an error that is none. */
export function tellBug(
  error: unknown,
  output: Output,
  { who = "", ...facts }: { readonly who?: string } & OwnerFacts = {},
): void {
  if (error instanceof OutputClosed) throw error;
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  const kind =
    error instanceof BugError ? "a promise inside Bobbin was broken" : "unexpected error";
  output.error(`${who}${kind}: ${message}`, { code: "bug", ...facts });
  for (const line of stack.split("\n")) output.talk(`  ${line}`);
  output.talk(`This is a bug in Bobbin ${VERSION_TEXT}: please report it with the lines above`);
}
