/** Runs a command line. Only here do errors become messages and exit codes. */
import { Command, CommanderError } from "commander";
import { systemError } from "../core/errors.ts";
import { tellBug } from "./bug.ts";
import type { CommandEnv, CommandResult, Handle } from "./command.ts";
import { COMMANDS } from "./command_table.ts";
import { EXIT, type ExitCode, exitOf } from "./exit.ts";
import { hintOf } from "./hints.ts";
import { INSECURE } from "./open_place.ts";
import { refuseEmpty } from "./options.ts";
import { type Output, OutputClosed, processOutput } from "./output.ts";
import { progressNow } from "./progress.ts";
import { type LastingSignals, outliveSignals } from "./signals.ts";
import { helpColumns } from "./text.ts";
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
      const program = programOf(handle, output);
      if (asksForHelp(argv)) (await import("./manual/help_text.ts")).addManual(program);
      await program.parseAsync(argv, { from: "user" });
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

/** All commands, of which each does what `handle` makes of its work. */
export function programOf(handle: Handle, output: Output): Command {
  const program = new Command("bobbin")
    .description("Checks, replicates, serves and keeps mail spools")
    .version(VERSION_TEXT, "-V, --version", "print version and commit")
    .helpOption("-h, --help", "tell what a command does, with examples")
    .helpCommand(false)
    .option("--json", "one JSON object a line on stdout, the last one a summary")
    .option("--quiet", "no talk on stderr but errors")
    .option("-v, --verbose", "more talk on stderr")
    .option("--no-progress", "no progress bar")
    .option("--internal", "mailbox names as Cyrus' internal ones (user.fred.Sub)")
    .showHelpAfterError("(bobbin help COMMAND tells more)")
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 20, subcommandTerm })
    .configureOutput({
      writeOut: (text) => output.bytes(Buffer.from(text)),
      getOutHelpWidth: () => helpColumns(process.stdout),
      getErrHelpWidth: () => helpColumns(process.stderr),
    })
    .exitOverride();
  for (const register of COMMANDS) register(program, handle);
  inheritSettings(program);
  return program;
}

/** How a command stands in the list of commands: its name and arguments. */
function subcommandTerm(command: Command): string {
  const names = command.registeredArguments.map((argument) => {
    const text = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${text}>` : `[${text}]`;
  });
  return [command.name(), ...names].join(" ");
}

/** Gives commands the program's settings; without them each would end the process. */
function inheritSettings(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent).helpCommand(false);
    inheritSettings(command);
  }
}

/** Only then is the manual loaded. */
function asksForHelp(argv: readonly string[]): boolean {
  const asking: readonly string[] = ["help", "--help", "-h"];
  return argv.length === 0 || argv.some((word) => asking.includes(word));
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
