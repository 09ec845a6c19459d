/**
 * Turns off the last tier of the runtime's JIT compiler, which is meant for programs that
 * calculate. A command that carries mail from a disk to a socket gains nothing from it and pays a
 * fifth of all CPU time (`npm run bench -- replicate` into `bobbin serve`). Only the environment
 * can turn it off, and only before the runtime starts.
 */
import { assert } from "../core/assert.ts";

const SETTING = "BUN_JSC_useFTLJIT";

/** The commands that mostly carry mail. */
const CARRIERS: ReadonlySet<string> = new Set(["replicate", "serve", "backup"]);

/** The folder in which the files of a compiled executable appear to lie. */
const EMBEDDED = "/$bunfs/";

export interface RunningProgram {
  readonly argv: readonly string[];
  /** The URL of a module of the program. */
  readonly moduleUrl: URL;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The environment in which the program should be started again. Undefined if the environment is
 * right already or somebody has set it, if the program is not the compiled one, or if systemd has
 * passed sockets, which a new start would lose.
 */
export function leanEnvironment({
  argv,
  moduleUrl,
  env,
}: RunningProgram): Record<string, string> | undefined {
  const isCarrier = CARRIERS.has(argv[0] ?? "") && moduleUrl.pathname.startsWith(EMBEDDED);
  const mayStartAgain = env[SETTING] === undefined && env["LISTEN_FDS"] === undefined;
  if (!isCarrier || !mayStartAgain) return undefined;
  const kept = Object.entries(env).filter((one): one is [string, string] => one[1] !== undefined);
  return { ...Object.fromEntries(kept), [SETTING]: "0" };
}

/** Runs the same command in that environment, in place of this process. Never returns. */
export function startAgain(argv: readonly string[], env: Readonly<Record<string, string>>): never {
  assert(process.execve !== undefined, "a compiled program runs where execve(2) is");
  return process.execve(process.execPath, [process.execPath, ...argv], { ...env });
}
