/**
 * Runs a command under strace and reads what it did to the files below one folder: the raw material
 * of the kill tests (how many calls there are to kill at) and of the power cuts (what to drop).
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** One change to a file or folder, or one promise that changes are durable. Paths are absolute. */
export type FileEvent =
  | { readonly kind: "create"; readonly path: string; readonly truncate: boolean }
  | {
      readonly kind: "write";
      readonly path: string;
      readonly offset: number;
      readonly bytes: Buffer;
    }
  | { readonly kind: "copy"; readonly from: string; readonly path: string; readonly length: number }
  | { readonly kind: "truncate"; readonly path: string; readonly size: number }
  | { readonly kind: "sync"; readonly path: string }
  | { readonly kind: "sync_all" }
  | { readonly kind: "link"; readonly from: string; readonly path: string }
  | { readonly kind: "rename"; readonly from: string; readonly path: string }
  | { readonly kind: "unlink"; readonly path: string }
  | { readonly kind: "mkdir"; readonly path: string }
  /** A line that the traced program printed: what it has acknowledged. */
  | { readonly kind: "said"; readonly text: string };

/** Every call by which Bun or SQLite changes a file. */
const CALLS = [
  ...["openat", "open", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate"],
  ...[
    "truncate",
    "fsync",
    "fdatasync",
    "syncfs",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
  ],
  ...[
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "copy_file_range",
    "sendfile",
    "fallocate",
  ],
].join(",");

/** Traces `command`, which must end well; what it did below `root`, in order. */
export function traceFiles(command: readonly string[], root: string, log: string): FileEvent[] {
  const options = [
    "-f",
    "-y",
    "-xx",
    "-s",
    "100000000",
    "--seccomp-bpf",
    "-o",
    log,
    "-e",
    `trace=${CALLS}`,
  ];
  const run = Bun.spawnSync(["strace", ...options, ...command]);
  if (run.exitCode !== 0)
    throw new Error(`traced command ended with ${run.exitCode}: ${run.stderr}`);
  return parseTrace(readFileSync(log, "latin1"), resolve(root));
}

/** Reads the text of `strace -f -y -xx`. A call that it cannot read is an error, never skipped. */
export function parseTrace(text: string, root: string): FileEvent[] {
  const events: FileEvent[] = [];
  for (const line of joinUnfinished(text)) {
    const match = /^\d+\s+(\w+)\((.*)\)\s+= (-?\d+)/.exec(line);
    if (match === null) continue; // signals, exits
    const [, call = "", args = "", result = ""] = match;
    if (result.startsWith("-")) continue; // it failed: nothing changed
    const event = eventOf(call, splitArguments(args), Number(result), root);
    if (event !== undefined) events.push(event);
  }
  return events;
}

/** Puts `call(… <unfinished ...>` and `<... call resumed>…)` of one thread together again. */
function* joinUnfinished(text: string): Generator<string> {
  const open = new Map<string, string>();
  for (const line of text.split("\n")) {
    const pid = line.split(/\s/, 1)[0] ?? "";
    const begun = /^(.*?) ?<unfinished \.\.\.>$/.exec(line);
    if (begun !== null) {
      open.set(pid, begun[1] ?? "");
      continue;
    }
    const resumed = /^\d+\s+<\.\.\. \w+ resumed>(.*)$/.exec(line);
    if (resumed !== null) yield `${open.get(pid) ?? ""}${resumed[1] ?? ""}`;
    else yield line;
  }
}

/** The arguments of a call; strings are hex, so that no comma or quote can hide in one. */
function splitArguments(text: string): string[] {
  return text.split(/, (?![^<]*>)/);
}

/** The bytes of an argument `"\x41…"`, or of the path behind a descriptor `5<\x2f…>`. */
function bytesOf(argument: string): Buffer {
  const hex = argument.replace(/^[^"<]*["<]|[">].*$/g, "").replace(/\\x/g, "");
  if (/\.\.\.$/.test(argument) || !/^[0-9a-f]*$/.test(hex))
    throw new Error(`cannot read ${argument}`);
  return Buffer.from(hex, "hex");
}

function eventOf(
  call: string,
  args: readonly string[],
  result: number,
  root: string,
): FileEvent | undefined {
  const below = (path: string): boolean => path === root || path.startsWith(`${root}/`);
  const argument = (at: number): string => args[at] ?? "";
  const fdPath = (at: number): string => bytesOf(argument(at)).toString();
  const atPath = (at: number): string => resolve(fdPath(at), bytesOf(argument(at + 1)).toString());
  const path = (at: number): string => bytesOf(argument(at)).toString();
  const ours = (event: FileEvent & { path: string }): FileEvent | undefined =>
    below(event.path) ? event : undefined;
  switch (call) {
    case "openat": {
      const flags = argument(2);
      if (!flags.includes("O_CREAT") && !flags.includes("O_TRUNC")) return undefined;
      return ours({ kind: "create", path: atPath(0), truncate: flags.includes("O_TRUNC") });
    }
    case "write":
    case "pwrite64": {
      if (call === "write" && argument(0).startsWith("1<"))
        return { kind: "said", text: bytesOf(argument(1)).toString() };
      if (!argument(0).includes("<") || !below(fdPath(0))) return undefined;
      if (call === "write") throw new Error(`a write without an offset: ${fdPath(0)}`);
      return {
        kind: "write",
        path: fdPath(0),
        offset: Number(argument(3)),
        bytes: bytesOf(argument(1)).subarray(0, result),
      };
    }
    case "ftruncate":
      return ours({ kind: "truncate", path: fdPath(0), size: Number(argument(1)) });
    case "fsync":
    case "fdatasync":
      return ours({ kind: "sync", path: fdPath(0) });
    case "syncfs":
      return { kind: "sync_all" };
    case "link":
      return ours({ kind: "link", from: path(0), path: path(1) });
    case "rename":
      return ours({ kind: "rename", from: path(0), path: path(1) });
    case "unlink":
    case "rmdir":
      return ours({ kind: "unlink", path: path(0) });
    case "unlinkat":
      return ours({ kind: "unlink", path: atPath(0) });
    case "mkdir":
      return ours({ kind: "mkdir", path: path(0) });
    case "copy_file_range": {
      if (argument(1) !== "[0]" || argument(3) !== "[0]")
        throw new Error(`a copy from the middle: ${args}`);
      return ours({ kind: "copy", from: fdPath(0), path: fdPath(2), length: result });
    }
    default:
      if (args.some((_, at) => /[<"]/.test(argument(at)) && below(path(at))))
        throw new Error(`unknown call ${call}`);
      return undefined;
  }
}

/** How a command ended that strace interfered with. */
export interface InjectedRun {
  readonly ended: "well" | "failed" | "killed";
  /** Lines that it printed. */
  readonly said: readonly string[];
  readonly stderr: string;
}

/**
 * Runs the command with `fault` for its calls named `call`: `signal=KILL:when=3` kills it at the
 * third, which is not done, `error=ENOSPC:when=3+` fails that and all later ones. (Without
 * --seccomp-bpf, with which strace injects nothing.)
 */
export function runInjected(command: readonly string[], call: string, fault: string): InjectedRun {
  const options = ["-f", "-o", "/dev/null", "-e", `trace=${call}`, "-e", `inject=${call}:${fault}`];
  const run = Bun.spawnSync(["strace", ...options, ...command]);
  const lines = run.stdout.toString().split("\n");
  const said = lines.filter((line) => line !== "");
  const stderr = run.stderr.toString();
  if (run.exitCode === 0) return { ended: "well", said, stderr };
  const isKilled = run.signalCode === "SIGKILL" || run.exitCode === 137;
  return { ended: isKilled ? "killed" : "failed", said, stderr };
}
