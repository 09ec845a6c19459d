/** What has been typed of a command line whose next word a shell wants to complete. */
import type { Command, Option } from "commander";
import type { CommandEnv } from "../command.ts";

export interface Candidate {
  /** The whole word; one that ends in `/`, `:` or `=` is to be gone on with. */
  readonly word: string;
  readonly tells?: string;
}

/** What of a command line has been typed before the word that is completed. */
export interface Typed {
  readonly command: Command;
  /** Arguments of the command. */
  readonly args: readonly string[];
  /** Values by the long name of their option: `--from`. */
  readonly values: ReadonlyMap<string, string>;
  /** Long names of the options that take no value. */
  readonly flags: ReadonlySet<string>;
  /** The option whose value comes next. */
  readonly awaiting: Option | undefined;
  /** No option comes any more. */
  readonly isPastOptions: boolean;
}

/** What is completed: a word, or the value of an option. */
export interface Wanted {
  /** As far as it has been typed. */
  readonly current: string;
  readonly typed: Typed;
  readonly env: CommandEnv;
}

/** Reads `words`, which do not have the program's name. */
export function parseTyped(words: readonly string[], program: Command): Typed {
  let command = program;
  let awaiting: Option | undefined;
  let isPastOptions = false;
  const args: string[] = [];
  const values = new Map<string, string>();
  const flags = new Set<string>();
  for (const word of words) {
    if (awaiting !== undefined) {
      values.set(awaiting.long ?? "", word);
      awaiting = undefined;
    } else if (word === "--" && !isPastOptions) {
      isPastOptions = true;
    } else if (word.startsWith("-") && word !== "-" && !isPastOptions) {
      const [name = "", ...value] = word.split("=");
      const option = optionsOf(command).find(({ long, short }) => name === long || name === short);
      if (value.length > 0) values.set(name, value.join("="));
      else if (option?.required === true) awaiting = option;
      else flags.add(option?.long ?? name);
    } else {
      const below = args.length > 0 ? undefined : named(word, command);
      if (below === undefined) args.push(word);
      else command = below;
    }
  }
  return { command, args, values, flags, awaiting, isPastOptions };
}

/** The options of a command and of those above it. */
export function optionsOf(command: Command): readonly Option[] {
  const own = command.createHelp().visibleOptions(command);
  return command.parent === null ? own : [...own, ...command.parent.options];
}

function named(word: string, command: Command): Command | undefined {
  return command.commands.find((one) => one.name() === word);
}
