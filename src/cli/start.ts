/** Answers `--version` at once, for scripts ask it often; else it loads the commands. */
import { EXIT, type ExitCode } from "./exit.ts";
import { leanEnvironment, startAgain } from "./lean_runtime.ts";
import { OutputClosed, writeAll } from "./output.ts";
import type { CliContext } from "./run_command.ts";
import { VERSION_TEXT } from "./version.ts";

function printVersion(): ExitCode {
  try {
    writeAll(1, Buffer.from(`${VERSION_TEXT}\n`));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
    error.tell();
    return EXIT.io;
  }
}

/** Runs one command line and returns its exit code. Never throws. */
export async function start(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) return printVersion();
  const lean = leanEnvironment({ argv, moduleUrl: context.workerUrl, env: process.env });
  if (lean !== undefined) startAgain(argv, lean);
  const { runCli } = await import("./run_command.ts");
  return runCli(argv, context);
}
