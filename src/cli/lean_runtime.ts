/**
 * The last tier of the runtime's compiler is meant for programs that calculate. Those that carry mail from a disk to a
 * socket and back get nothing from it and pay for it: a fifth of all CPU time of `bobbin replicate` into `bobbin serve`
 * (`npm run bench -- replicate`). Only the environment can turn it off, and only before the runtime starts.
 */

import { assert } from "../core/assert.ts";

const SETTING = "BUN_JSC_useFTLJIT";

/** Commands that are mostly carrying. */
const CARRIERS: ReadonlySet<string> = new Set(["replicate", "serve"]);

/** Where the files of a compiled executable seem to lie. */
const EMBEDDED = "/$bunfs/";

export interface RunningProgram {
  readonly argv: readonly string[];
  /** Of a module of the program. */
  readonly moduleUrl: URL;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The environment in which the program should be started again; undefined where it is right as it is, has been set by
 * somebody, or the program is not the compiled one. Sockets that systemd has handed over would be lost on the way.
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

/** Replaces this process by the same command in that environment; what is open and the pid stay. Does not return. */
export function startAgain(argv: readonly string[], env: Readonly<Record<string, string>>): never {
  assert(process.execve !== undefined, "a compiled program runs where execve(2) is");
  return process.execve(process.execPath, [process.execPath, ...argv], { ...env });
}
