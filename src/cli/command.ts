/** What every command receives and returns. */
import type { Command } from "commander";
import type { ExitCode } from "./exit.ts";
import type { Counted, Counts } from "./json/summaries.ts";
import type { Output } from "./output.ts";
import type { LastingSignals } from "./signals.ts";

/** What a command works with; `Name` is its own, of which it counts what it does. */
export interface CommandEnv<Name extends Counted = Counted> {
  readonly output: Output;
  /** The module that worker threads run. */
  readonly workerUrl: URL;
  /** True if names are shown and accepted in Cyrus' internal form. */
  readonly internalNames: boolean;
  /**
   * For commands that end in an orderly way on SIGINT and SIGTERM. After this call the first signal
   * only aborts the returned AbortSignal, and the command gives the exit code; a second one ends
   * the process.
   */
  takeSignals(): AbortSignal;
  /**
   * `tell` prints what was found and done so far, and gives the counts of it: it is called where a
   * signal or an error ends the command. What is returned calls it, but only once: a command that
   * comes to its end does that.
   */
  soFar<Told extends Counts<Name>>(tell: () => Told): () => Told;
  /** SIGHUP and SIGUSR1, which end no command. */
  readonly signals: LastingSignals;
}

/** How a command ended. `summary` becomes the last line of `--json`. */
export interface CommandResult<Name extends Counted = Counted> {
  readonly exit: ExitCode;
  readonly summary?: Counts<Name>;
}

/**
 * The work of one command. It receives its arguments as commander collected them (strings, or
 * arrays for a repeated argument), its options and the environment. It throws AppError to end the
 * whole run.
 */
export type Handler<Name extends Counted = Counted> = (
  args: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
  env: CommandEnv<Name>,
) => Promise<CommandResult<Name>>;

/** Adds a command to the program; `handle` makes a Handler what commander calls. */
export type Register = (program: Command, handle: Handle) => void;

export type Handle = <Name extends Counted>(
  handler: Handler<Name>,
  // biome-ignore lint/suspicious/noExplicitAny: commander passes arguments, options, command
) => (...args: any[]) => Promise<void>;

/** The words of a command without the program's name: `store init`. */
export function pathOf(command: Command): string {
  const { parent } = command;
  return parent === null ? "" : `${pathOf(parent)} ${command.name()}`.trim();
}
