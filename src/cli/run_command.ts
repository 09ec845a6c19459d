/** Runs a command line. Only here do errors become messages and exit codes. */
import { Command, CommanderError } from "commander";
import { systemError } from "../core/errors.ts";
import { pushAll } from "../core/lists.ts";
import { tellBug } from "./bug.ts";
import { type CommandEnv, type CommandResult, type Handle, pathOf } from "./command.ts";
import { COMMANDS } from "./command_table.ts";
import { EXIT, type ExitCode, exitOf } from "./exit.ts";
import { errorFacts } from "./hints.ts";
import type { ErrorFacts } from "./json/lines.ts";
import type { Counts } from "./json/summaries.ts";
import { INSECURE } from "./open_place.ts";
import { refuseEmpty } from "./options.ts";
import { type Loudness, type Output, OutputClosed, processOutput } from "./output.ts";
import { progressNow } from "./progress/progress.ts";
import { EXIT_OF_SIGNAL, outliveSignals } from "./signals.ts";
import { similarName } from "./similar_names.ts";
import { helpColumns } from "./text.ts";
import { VERSION_TEXT } from "./version.ts";

export interface CliContext {
  readonly workerUrl: URL;
}

/** Runs one command line and returns its exit code. Never throws. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const output = outputOf(argv);
  let command: string | undefined;
  let soFar: (() => Counts) | undefined;
  const end = ({ exit, summary = soFar?.() }: CommandResult): ExitCode => {
    output.end({ command, ...summary, exit });
    return exit;
  };
  let result: CommandResult | undefined;
  const handle: Handle =
    (handler) =>
    async (...args) => {
      const called = args.pop() as Command;
      args.pop(); // the command's own options; below they are read with the program's
      command = pathOf(called);
      const options = called.optsWithGlobals();
      const env: CommandEnv = {
        output,
        workerUrl: context.workerUrl,
        internalNames: options["internal"] === true,
        signals: outliveSignals(() => tellState(called, output)),
        takeSignals: takeSignals((exit) => process.exit(orClosed(() => end({ exit })))),
        soFar: (tell) => {
          let told: ReturnType<typeof tell> | undefined;
          const once = () => {
            told ??= tell();
            return told;
          };
          soFar = once;
          return once;
        },
      };
      refuseEmpty(called);
      if (options["insecure"] === true) output.talk(INSECURE);
      result = await handler(args, options, env);
    };
  const program = programOf(handle, output);
  try {
    if (asksForHelp(argv)) (await import("./manual/help_text.ts")).addManual(program);
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok; // help, version
    return orClosed(() =>
      end({ exit: report(error, { output, typed: typedCommand(program, argv), argv }) }),
    );
  }
  return orClosed(() => end(result ?? { exit: EXIT.ok }));
}

/** The exit code that `end` gives, or that of an output which nobody takes any more. */
function orClosed(end: () => ExitCode): ExitCode {
  try {
    return end();
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
    error.tell();
    return EXIT.io;
  }
}

function tellState(command: Command, output: Output): void {
  const seconds = Math.round(performance.now() / 1000);
  const at = progressNow() ?? "no count yet";
  output.talk(`bobbin ${command.name()}: running for ${seconds} s, ${at}`);
}

/** From now on a signal ends the process by `end`, until the command takes signals itself. */
function takeSignals(end: (exit: ExitCode) => void): () => AbortSignal {
  const controller = new AbortController();
  let act = (name: SignalName): void => end(EXIT_OF_SIGNAL[name]);
  for (const name of SIGNAL_NAMES) process.once(name, () => act(name));
  return () => {
    act = (name) => controller.abort(name);
    return controller.signal;
  };
}

type SignalName = keyof typeof EXIT_OF_SIGNAL;

const SIGNAL_NAMES = Object.keys(EXIT_OF_SIGNAL) as SignalName[]; // it has no other keys

/** All commands, of which each does what `handle` makes of its work. */
export function programOf(handle: Handle, output: Output): Command {
  const program = new Command("bobbin")
    .description(
      "Checks, copies, compares, backs up, restores and serves the mail of Cyrus servers",
    )
    .version(VERSION_TEXT, "-V, --version", "print version and commit")
    .helpOption("-h, --help", "print the help of the command, with examples")
    .helpCommand(false)
    .option("--json", "one JSON object a line on stdout; the last one is a summary")
    .option("--quiet", "print only errors, what was asked for, and what is wrong")
    .option("--summary", "the same as --quiet, and the last line")
    .option("-v, --verbose", "print each error, also where many are alike")
    .option("--no-progress", "no progress bar")
    .option("--internal", "names of mailboxes as Cyrus has them inside: user.fred.Sub")
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 20, subcommandTerm })
    .configureOutput({
      writeOut: (text) => output.bytes(Buffer.from(text)),
      outputError: () => undefined, // `report` tells it
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

/** The first of them that is given counts. */
const LOUDNESS: readonly (readonly [flag: string, loudness: Loudness])[] = [
  ...([
    ["--summary", "summary"],
    ["--quiet", "errors"],
  ] as const),
  ...([
    ["-v", "more"],
    ["--verbose", "more"],
  ] as const),
];

/** The output options, read before commander parses, as they apply to its errors too. */
function outputOf(argv: readonly string[]): Output {
  const end = argv.indexOf("--");
  const options = new Set(end === -1 ? argv : argv.slice(0, end));
  return processOutput({
    json: options.has("--json"),
    loudness: LOUDNESS.find(([flag]) => options.has(flag))?.[1] ?? "usual",
    progress: !options.has("--no-progress"),
  });
}

/** A command line, and the command that it names. */
interface TypedLine {
  readonly typed: Command;
  readonly argv: readonly string[];
}

/** Reports an error, and gives the exit code. Throws it where the output is closed. */
function report(
  error: unknown,
  { output, ...line }: { readonly output: Output } & TypedLine,
): ExitCode {
  if (error instanceof CommanderError) {
    output.error(...usageError(error, line));
    return EXIT.usage;
  }
  const known = systemError(error);
  if (known !== undefined) {
    output.error(known.message, errorFacts(known));
    return exitOf(known.code);
  }
  tellBug(error, output);
  return EXIT.bug;
}

/** The command that a command line names, as far as its words are those of commands. */
function typedCommand(program: Command, argv: readonly string[]): Command {
  let typed = program;
  for (const word of argv) typed = typed.commands.find((one) => one.name() === word) ?? typed;
  return typed;
}

/** The first option that the command does not have, and the one that may have been meant. */
function misspeltIn({ typed, argv }: TypedLine): readonly [string, string | undefined] | undefined {
  const known: string[] = [];
  for (let one: Command | null = typed; one !== null; one = one.parent)
    pushAll(
      known,
      one.options.map(({ long }) => long ?? ""),
    );
  const given = argv.filter((word) => /^--./.test(word)).map((word) => word.replace(/=.*/s, ""));
  const wrong = given.find((word) => !known.includes(word));
  return wrong === undefined ? undefined : [wrong, similarName(wrong, known)];
}

/** What commander says of a command line, with what it may have been meant for. */
function usageError(
  { code, message }: CommanderError,
  { typed, argv }: TypedLine,
): [text: string, facts: ErrorFacts] {
  const help = ["bobbin help", pathOf(typed)].join(" ").trim();
  const isMissing = code === "commander.missingMandatoryOptionValue";
  // Commander misses an option before it sees that it was only written wrongly.
  const [unknown, instead] = (isMissing && misspeltIn({ typed, argv })) || [];
  if (unknown !== undefined) {
    const hint = instead === undefined ? `\`${help}\` tells more` : `Did you mean ${instead}?`;
    return [`Unknown option '${unknown}'`, { code: "usage", hint }];
  }
  const [first = "", meant] = message.replace(/^error: /, "").split("\n");
  // It has printed the help of a command that wants the name of another one after it.
  const text = code === "commander.help" ? "a command is missing" : first;
  const [, wrong = ""] = /^unknown command '(.*)'$/.exec(first) ?? [];
  const similar = similarName(
    wrong,
    typed.commands.map((one) => one.name()),
  );
  const hint = similar === undefined ? meant?.replace(/^\((.*)\)$/, "$1") : `Is ${similar} meant?`;
  return [
    `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`,
    { code: "usage", hint: hint ?? `\`${help}\` tells more` },
  ];
}
