/** What every command is given, and what it gives back. */
import type { Command } from "commander";
import type { ExitCode } from "./exit.ts";
import type { Output } from "./output.ts";

export interface CommandEnv {
  readonly output: Output;
  /** The module that worker threads run. */
  readonly workerUrl: URL;
  /** True when names are shown and taken as Cyrus' internal ones. */
  readonly internalNames: boolean;
  /**
   * For commands that end in good order on SIGINT and SIGTERM: from this call on the first signal only
   * aborts what is returned, and the exit code is the command's. A second signal ends the process.
   */
  takeSignals(): AbortSignal;
}

/** How a command ended. `summary` becomes the last line of `--json`. */
export interface CommandResult {
  readonly exit: ExitCode;
  readonly summary?: Readonly<Record<string, unknown>>;
}

/**
 * The work of one command: its arguments as commander collected them (strings, or arrays for a repeated
 * argument), its options, and the environment. Throws AppError for what ends the whole run.
 */
export type Handler = (
  args: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
  env: CommandEnv,
) => Promise<CommandResult>;

/** Adds a command to the program; `handle` turns a Handler into commander's action. */
export type Register = (program: Command, handle: Handle) => void;

// biome-ignore lint/suspicious/noExplicitAny: commander hands over arguments, options and the command
export type Handle = (handler: Handler) => (...args: any[]) => Promise<void>;
