/**
 * `meta/x-sieve` and `meta/x-quota`: what a user has beside mail and what upstream does not back
 * up, as the APPLY commands of the sync protocol that set it, one a line.
 */
import { concat, utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { printLine } from "../dlist/print.ts";
import { DlistReader } from "../dlist/reader.ts";
import { printSieve } from "./apply_bytes.ts";
import { parseApply, printApply } from "./apply_command.ts";

/** The commands that a line may be. */
export type SettingCommand = Extract<
  ApplyCommand,
  { readonly kind: "sieve" | "activateSieve" | "quota" }
>;

const APPLY = utf8("APPLY ");
const LINE_END = utf8("\r\n");

export function printSettings(commands: readonly SettingCommand[]): Uint8Array {
  return concat(commands.flatMap((command) => [APPLY, printed(command), LINE_END]));
}

function printed(command: SettingCommand): Uint8Array {
  if (command.kind === "sieve") return printSieve(command);
  const { name, value } = printApply(command);
  return printLine(name, value, { from: "client" });
}

/** The inverse of `printSettings`. Throws FormatError. */
export function parseSettings(bytes: Uint8Array): SettingCommand[] {
  const expect = (words: readonly string[]) => (words.length === 0 ? "word" : "line");
  const reader = new DlistReader({ limits: DEFAULT_LIMITS, expect });
  const commands: SettingCommand[] = [];
  for (const event of reader.feed(bytes)) {
    if (event.kind === "malformed") throw event.error;
    const command = event.kind === "dlist" ? parseApply(event.name, event.value) : undefined;
    if (command === undefined || !isSetting(command)) throw new FormatError(0, "a setting");
    commands.push(command);
  }
  if (!reader.isBetweenLines) throw new FormatError(bytes.length, "a whole line");
  return commands;
}

function isSetting(command: { readonly kind: string }): command is SettingCommand {
  return ["sieve", "activateSieve", "quota"].includes(command.kind);
}
