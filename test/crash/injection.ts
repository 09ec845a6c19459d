/**
 * Makes one file call of a command fail, by strace: finds all calls that concern the files of a
 * folder or the output, then runs the command anew with an error in place of one of them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { holdOutput } from "../support/cli.ts";
import { tempDir } from "../support/temp_dir.ts";

/** The errors that a disk, a limit or a permission may give to any file call. */
export const ERRNOS = [
  ...["EACCES", "EIO", "ENOSPC", "EDQUOT", "ENOTDIR", "ELOOP", "EMFILE", "ENOMEM"],
] as const;

/** Calls by which the runtime and SQLite read, write and look at files. */
const FILE_CALLS = [
  ...["openat", "open", "read", "pread64", "readv", "write", "pwrite64", "writev", "fsync"],
  ...["fdatasync", "syncfs", "ftruncate", "fallocate", "link", "linkat", "rename", "renameat"],
  ...["renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "stat", "lstat", "fstat"],
  ...["newfstatat", "statx", "statfs", "fstatfs", "getdents64", "access", "faccessat"],
  ...["faccessat2", "flock", "copy_file_range", "chmod", "fchmod", "utimensat", "futimens"],
  ...["readlink", "mmap", "symlink", "fchown", "lseek", "fadvise64"],
] as const;

/** The `nth` call of this name that a thread of the command makes. */
export interface FileCall {
  readonly call: string;
  readonly nth: number;
  /** What it does, for messages. */
  readonly text: string;
}

/** How a command ended, as a shell says it; undefined where it had not ended after a minute. */
export interface Ended {
  readonly exit: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command behind `under`, which is strace with its options. */
export type Runner = (under: readonly string[]) => Promise<Ended>;

/** The file calls of a run that concern `root` or what it prints, and how the run ended. */
export async function fileCallsOf(
  run: Runner,
  root: string,
): Promise<{ readonly calls: readonly FileCall[]; readonly ended: Ended }> {
  const log = join(tempDir("trace"), "log");
  const known = FILE_CALLS.map((name) => `?${name}`).join(","); // not every machine has them all
  const ended = await run(["strace", "-f", "-y", "-s", "0", "-o", log, "-e", `trace=${known}`]);
  const counts = new Map<string, number>();
  const found = new Map<string, FileCall>();
  for (const line of readFileSync(log, "latin1").split("\n")) {
    const [, thread, call = ""] = /^(\d+)\s+(\w+)\(/.exec(line) ?? [];
    if (thread === undefined) continue; // a signal, an exit, or the end of a call
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, nth);
    if (!concerns(line, root)) continue;
    const text = line.replace(/^\d+\s+/, "").replaceAll(root, "…");
    found.set(`${call} ${nth}`, { call, nth, text });
  }
  return { calls: [...found.values()], ended };
}

/** Whether a line of strace tells of a call for a file below `root`, or for the output. */
function concerns(line: string, root: string): boolean {
  return line.includes(root) || /^\d+\s+(write|writev)\([12]</.test(line);
}

export interface Fault {
  readonly call: FileCall;
  /** What strace does there: `error=EIO` in place of the call, or `signal=KILL` before it. */
  readonly effect: string;
  readonly root: string;
}

/**
 * Runs it again with a call that fails; `isHit` tells whether there was such a call below `root`.
 * Every thread has an nth call, so the runtime may be hit in its own files, and may end over that.
 */
export async function runWith(
  run: Runner,
  { call: { call, nth }, effect, root }: Fault,
): Promise<Ended & { readonly isHit: boolean }> {
  const log = join(tempDir("trace"), "log");
  const fault = `inject=${call}:${effect}:when=${nth}`;
  // With --seccomp-bpf, which is quicker, strace sends no signal.
  const quick = effect.startsWith("error=") ? ["--seccomp-bpf"] : [];
  const only = ["-f", "-y", ...quick, "-o", log, "-e", `trace=${call}`, "-e", fault];
  const ended = await run(["strace", ...only]);
  const injected = readFileSync(log, "latin1")
    .split("\n")
    .filter((line) => /\(INJECTED\)/.test(line));
  return { ...ended, isHit: injected.some((line) => concerns(line, root)) };
}

const PATIENCE_MS = 60_000;

/** Runs a command to its end, or kills it after a minute. */
export async function runToEnd(command: readonly string[]): Promise<Ended> {
  const child = startCommand(command);
  const [exit, stdout, stderr] = await Promise.all([
    endOf(child),
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (exit !== undefined) holdOutput(command, { exit, stdout });
  return { exit, stdout, stderr };
}

/** Starts a command in a process group of its own. */
export function startCommand(command: readonly string[]): Child {
  return Bun.spawn([...command], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe", detached: true },
  });
}

type Child = Subprocess<"ignore", "pipe", "pipe">;

/** Its exit code; undefined where it had to be killed after a minute. */
export async function endOf(child: Child): Promise<number | undefined> {
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
    process.kill(-child.pid, "SIGKILL"); // strace and what it traces
  }, PATIENCE_MS);
  const exit = await child.exited;
  clearTimeout(timer);
  return isOver ? undefined : exit;
}

/** Asks a command to end; of a traced one `pid` is that of strace, which passes no signal on. */
export function endTraced(pid: number, isTraced: boolean): void {
  const children = `/proc/${pid}/task/${pid}/children`;
  const target = isTraced ? Number(readFileSync(children, "latin1").split(" ")[0]) : pid;
  if (target > 0) process.kill(target, "SIGTERM");
}
