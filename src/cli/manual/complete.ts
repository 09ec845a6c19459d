/**
 * What may come next on a command line, for a shell in which Tab was pressed: commands, options and
 * their values from commander's tree; paths, users, mailboxes and accounts from where they lie.
 */
import type { Command, Option } from "commander";
import type { CommandEnv } from "../command.ts";
import { pathOf } from "../command.ts";
import { CODE_HELP } from "./code_help.ts";
import { valuesOf } from "./completed_values.ts";
import { allCommands, TOPICS } from "./sections.ts";
import { type Candidate, optionsOf, parseTyped, type Wanted } from "./typed_line.ts";

/**
 * The candidates for the last of `words`, which do not have the program's name. Never throws: what
 * cannot be read has no candidates.
 */
export async function complete(
  words: readonly string[],
  { program, env }: { readonly program: Command; readonly env: CommandEnv },
): Promise<readonly Candidate[]> {
  const current = words.at(-1) ?? "";
  const typed = parseTyped(words.slice(0, -1), program);
  const { command, awaiting, isPastOptions } = typed;
  if (awaiting !== undefined) return valuesFor(awaiting, { current, typed, env });
  if (!current.startsWith("-") || isPastOptions) {
    return beginningWith(current, await wordsFor({ current, typed, env }));
  }
  const [, name, value] = /^(--[a-z-]+)=(.*)$/s.exec(current) ?? [];
  const options = optionsOf(command);
  const option = options.find(({ long }) => long === name);
  if (value === undefined || option === undefined) {
    const named = options.map(({ long = "", description }) => ({ word: long, tells: description }));
    return beginningWith(current, named);
  }
  const values = await valuesFor(option, { current: value, typed, env });
  return values.map((one) => ({ ...one, word: `${name}=${one.word}` }));
}

/** Commands and values for the next argument. */
async function wordsFor(wanted: Wanted): Promise<readonly Candidate[]> {
  const { command, args } = wanted.typed;
  if (command.name() === "help") return helpWords(args, command.parent ?? command);
  const below = args.length > 0 ? [] : command.createHelp().visibleCommands(command);
  const commands = below.map((one) => ({ word: one.name(), tells: one.summary() }));
  const last = command.registeredArguments.at(-1);
  const argument =
    command.registeredArguments[args.length] ?? (last?.variadic === true ? last : undefined);
  if (argument === undefined) return commands;
  const choices = argument.argChoices?.map((word) => ({ word }));
  return [...commands, ...(choices ?? (await valuesOf(argument.name(), wanted)))];
}

async function valuesFor(option: Option, wanted: Wanted): Promise<readonly Candidate[]> {
  const choices = option.argChoices?.map((word) => ({ word }));
  const kind = /<([^>]+)>/.exec(option.flags)?.[1] ?? "";
  return beginningWith(wanted.current, choices ?? (await valuesOf(kind, wanted)));
}

/** The next word of the name of a command; topics and codes as the first word. */
function helpWords(args: readonly string[], program: Command): readonly Candidate[] {
  const before = args.length === 0 ? "" : `${args.join(" ")} `;
  const paths = allCommands(program).filter((one) => pathOf(one).startsWith(before));
  const commands = paths.map((one) => {
    return { word: pathOf(one).slice(before.length).split(" ")[0] ?? "", tells: one.summary() };
  });
  if (args.length > 0) return commands;
  const others = [...Object.keys(TOPICS), ...Object.keys(CODE_HELP)].map((word) => ({ word }));
  return [...commands, ...others];
}

/** Each word once, and only those that go on where `current` ends. */
function beginningWith(current: string, all: readonly Candidate[]): readonly Candidate[] {
  const words = new Set<string>();
  return all.filter(({ word }) => {
    if (word === "" || !word.startsWith(current) || words.has(word)) return false;
    words.add(word);
    return true;
  });
}
