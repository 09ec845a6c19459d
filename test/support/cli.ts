/** Runs the built binary, as an administrator would. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { requireDeclared } from "./declared_exits.ts";
import { holdToSchema, requireSummary } from "./json_schema.ts";

const binary = join(import.meta.dir, "..", "..", "dist", "bobbin");

export interface CliResult {
  /** 128 + n when signal n ended it, as a shell says it. */
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Largest resident set, in bytes. */
  readonly peakBytes: number;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Run as this user; root only. */
  readonly uid?: number;
  /** What it finds on stdin; nothing without it. */
  readonly stdin?: string;
}

/** The path of the binary, which must have been built. */
export function bobbinPath(): string {
  if (!existsSync(binary)) throw new Error("dist/bobbin is not there: npm run build");
  return binary;
}

/** Runs `bobbin` with these arguments to its end. */
export async function bobbin(
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const as =
    options.uid === undefined ? [] : ["setpriv", `--reuid=${options.uid}`, "--clear-groups"];
  const child = Bun.spawn([...as, bobbinPath(), ...args], {
    stdout: "pipe",
    stderr: "pipe",
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const exit = await child.exited;
  holdOutput(args, { exit, stdout });
  requireDeclared(exit, args);
  return { exit, stdout, stderr, peakBytes: child.resourceUsage()?.maxRSS ?? 0 };
}

/** Holds what a run with `--json` has printed from its first line to its last to the schema. */
export function holdOutput(
  args: readonly string[],
  { exit, stdout }: { readonly exit: number; readonly stdout: string },
): void {
  if (!isJson(args) || exit === KILLED || exit === OUTPUT_CLOSED) return;
  requireSummary(jsonLines(stdout), exit);
}

/** 128 + SIGKILL: a process that was killed tells nothing more. */
const KILLED = 137;
/** Nor does one whose output nobody takes, which is one of the ways to this exit code. */
const OUTPUT_CLOSED = 74;

/** Help and version are text for people, whatever else is asked for. */
const TEXT_ALWAYS = ["--help", "-h", "--version", "-V"];

function isJson(args: readonly string[]): boolean {
  const options = args.slice(0, [...args, "--"].indexOf("--"));
  return options.includes("--json") && !TEXT_ALWAYS.some((one) => options.includes(one));
}

export interface TerminalOptions {
  /** What a person types after what was shown since the last time. */
  readonly answer?: (text: string) => string | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `bobbin` on a terminal, where stdout and stderr are one. */
export async function bobbinOnTerminal(
  args: readonly string[],
  { answer, env }: TerminalOptions = {},
): Promise<{ readonly exit: number; readonly shown: string }> {
  let shown = "";
  let unanswered = "";
  const child = Bun.spawn([bobbinPath(), ...args], {
    env: { ...process.env, TERM: "xterm", ...env },
    terminal: {
      cols: 120,
      data: (terminal, data) => {
        const text = Buffer.from(data).toString();
        shown += text;
        unanswered += text;
        const typed = answer?.(unanswered);
        if (typed === undefined) return;
        unanswered = "";
        terminal.write(typed);
      },
    },
  });
  return { exit: await child.exited, shown };
}

/** The objects of a `--json` run, or of a part of one, each held to the schema. */
export function jsonLines(stdout: string): Record<string, unknown>[] {
  const lines = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  holdToSchema(lines);
  return lines;
}

/** The ports on which `bobbin serve --json` listens, once it says so. */
export async function listeningPorts({
  stdout,
}: {
  readonly stdout: ReadableStream<Uint8Array>;
}): Promise<readonly number[]> {
  const reader = stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  const [line] = jsonLines(new TextDecoder().decode(value));
  const { addresses = [] } = (line ?? {}) as { addresses?: readonly string[] };
  return addresses.map((address) => Number(address.split(":").at(-1)));
}
