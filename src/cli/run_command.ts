/** Runs a command line. Only here do errors become messages and exit codes. */
import { Command, CommanderError } from "commander";
import { systemError } from "../core/errors.ts";
import { tellBug } from "./bug.ts";
import type { CommandEnv, CommandResult, Handle } from "./command.ts";
import { COMMANDS } from "./command_table.ts";
import { EXIT, type ExitCode, exitOf } from "./exit.ts";
import { hintOf } from "./hints.ts";
import { type LastingSignals, outliveSignals } from "./lasting_signals.ts";
import { INSECURE } from "./open_place.ts";
import { refuseEmpty } from "./options.ts";
import { type Output, OutputClosed, processOutput } from "./output.ts";
import { progressNow } from "./progress.ts";
import { VERSION_TEXT } from "./version.ts";

export interface CliContext {
  readonly workerUrl: URL;
}

/** Runs one command line and returns its exit code. Never throws. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const output = outputOf(argv);
  let result: CommandResult = { exit: EXIT.ok };
  let ran = false;
  const handle: Handle =
    (handler) =>
    async (...args) => {
      ran = true;
      const command = args.pop() as Command;
      args.pop(); // the command's own options; below they are read with the program's
      const options = command.optsWithGlobals();
      const signals = outliveSignals(() => {
        const seconds = Math.round(performance.now() / 1000);
        const at = progressNow() ?? "no count yet";
        output.talk(`bobbin ${command.name()}: running for ${seconds} s, ${at}`);
      });
      const env = environmentOf({ output, options, context, signals });
      refuseEmpty(command);
      if (options["insecure"] === true) output.talk(INSECURE);
      result = await handler(args, options, env);
    };
  try {
    try {
      await programOf(handle, output).parseAsync(argv, { from: "user" });
    } catch (error) {
      result = report(error, output);
      ran ||= !(error instanceof CommanderError);
    }
    if (ran) output.object({ type: "summary", ...result.summary, exit: result.exit });
    output.flush();
    return result.exit;
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
    error.tell();
    return EXIT.io;
  }
}

function programOf(handle: Handle, output: Output): Command {
  const program = new Command("bobbin")
    .description("Checks, replicates, serves and keeps mail spools")
    .version(VERSION_TEXT, "--version", "print version and commit")
    .option("--json", "one JSON object a line on stdout, the last one a summary")
    .option("--quiet", "no talk on stderr but errors")
    .option("-v, --verbose", "more talk on stderr")
    .option("--no-progress", "no progress bar")
    .option("--internal", "mailbox names as Cyrus' internal ones (user.fred.Sub)")
    .showHelpAfterError("(bobbin help COMMAND tells more)")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => output.bytes(Buffer.from(text)) })
    .exitOverride();
  for (const register of COMMANDS) register(program, handle);
  inheritSettings(program);
  return program;
}

/** Gives commands the program's settings; without them each would end the process. */
function inheritSettings(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inheritSettings(command);
  }
}

/** The output options, read before commander parses, as they apply to its errors too. */
function outputOf(argv: readonly string[]): Output {
  const end = argv.indexOf("--");
  const options = new Set(end === -1 ? argv : argv.slice(0, end));
  return processOutput({
    json: options.has("--json"),
    quiet: options.has("--quiet"),
    verbose: options.has("-v") || options.has("--verbose"),
    progress: !options.has("--no-progress"),
  });
}

interface Situation {
  readonly output: Output;
  readonly options: Readonly<Record<string, unknown>>;
  readonly context: CliContext;
  readonly signals: LastingSignals;
}

function environmentOf({ output, options, context, signals }: Situation): CommandEnv {
  return {
    output,
    signals,
    workerUrl: context.workerUrl,
    internalNames: options["internal"] === true,
    takeSignals: () => {
      const controller = new AbortController();
      for (const name of ["SIGINT", "SIGTERM"] as const) {
        process.once(name, () => controller.abort(name));
      }
      return controller.signal;
    },
  };
}

/** Reports an error as text on stderr and as an object with `--json`, and gives the exit code. */
function report(error: unknown, output: Output): CommandResult {
  if (error instanceof OutputClosed) throw error;
  if (error instanceof CommanderError) {
    return { exit: error.exitCode === 0 ? EXIT.ok : EXIT.usage }; // commander has printed it
  }
  const known = systemError(error);
  if (known !== undefined) {
    const hint = hintOf(known);
    output.error(known.message, { code: known.code, ...known.context, hint });
    if (hint !== undefined) output.talk(`  ${hint}`);
    return { exit: exitOf(known.code) };
  }
  tellBug(error, output);
  return { exit: EXIT.bug };
}
