/** What every command receives and returns. */
import type { Command } from "commander";
import type { ExitCode } from "./exit.ts";
import type { Output } from "./output.ts";
import type { LastingSignals } from "./signals.ts";

export interface CommandEnv {
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
  /** SIGHUP and SIGUSR1, which end no command. */
  readonly signals: LastingSignals;
}

/** How a command ended. `summary` becomes the last line of `--json`. */
export interface CommandResult {
  readonly exit: ExitCode;
  readonly summary?: Readonly<Record<string, unknown>>;
}

/**
 * The work of one command. It receives its arguments as commander collected them (strings, or
 * arrays for a repeated argument), its options and the environment. It throws AppError to end the
 * whole run.
 */
export type Handler = (
  args: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
  env: CommandEnv,
) => Promise<CommandResult>;

/** Adds a command to the program; `handle` makes a Handler what commander calls. */
export type Register = (program: Command, handle: Handle) => void;

// biome-ignore lint/suspicious/noExplicitAny: commander passes arguments, options, command
export type Handle = (handler: Handler) => (...args: any[]) => Promise<void>;
