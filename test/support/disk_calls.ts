/**
 * The system calls with which a running process changes a disk, counted by strace, and its death
 * right before any one of them. strace counts injected faults by thread and by call, and so does
 * this.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Subprocess } from "bun";

/** A call that changes what lies on a disk. */
export interface DiskCall {
  /** Of the process's store threads, in the order in which they began. */
  readonly thread: number;
  readonly name: string;
  /** The how many-th of this name in its thread, from 1, since strace was attached. */
  readonly ordinal: number;
}

const CHANGES =
  "pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,syncfs,link,linkat,symlink," +
  "symlinkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate," +
  "truncate,fallocate,copy_file_range,openat,open";
/**
 * They may go to a disk, and those of a server go to its sockets, its log and to waking its
 * threads.
 */
const STREAMS = "write,writev,sendfile,splice";

/** What Bun calls the threads of `Worker`. */
const THREAD_NAME = "Worker";

/**
 * The ids of the threads of a process that do its store's work, in the order in which they began.
 */
export function storeThreads(pid: number): number[] {
  const all = readdirSync(`/proc/${pid}/task`).map(Number);
  const isOurs = (id: number) =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, "utf8").trim() === THREAD_NAME;
  return all.filter(isOurs).sort((a, b) => a - b);
}

/** Writes to `file` what all threads of the process do to a disk from now on. */
export function record(pid: number, file: string): Promise<Subprocess> {
  return attach(["-f", "-y", "-o", file, "-e", `trace=${CHANGES},${STREAMS}`, "-p", String(pid)]);
}

/** Kills the process right before it makes this call. */
export function killBefore(pid: number, { thread, name, ordinal }: DiskCall): Promise<Subprocess> {
  const id = storeThreads(pid)[thread];
  if (id === undefined) throw new Error(`process ${pid} has no store thread ${thread}`);
  const fault = `inject=${name}:signal=KILL:when=${ordinal}`;
  return attach(["-o", "/dev/null", "-e", `trace=${name}`, "-e", fault, "-p", String(id)]);
}

async function attach(options: readonly string[]): Promise<Subprocess> {
  const strace = Bun.spawn(["strace", ...options], { stdin: "ignore", stderr: "pipe" });
  const reader = strace.stderr.getReader();
  let said = "";
  while (!said.includes("attached")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`strace: ${said}`);
    said += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return strace;
}

/**
 * The calls in a recording that change a disk. Throws if any was made by another thread than
 * `threads`, or in a way that `killBefore` does not know: then not every change would be met.
 */
export function diskCallsIn(
  recording: string,
  { threads, root }: { readonly threads: readonly number[]; readonly root: string },
): DiskCall[] {
  const counts = new Map<string, number>();
  const calls: DiskCall[] = [];
  for (const line of recording.split("\n")) {
    const [, id, name = "", rest = ""] = /^(\d+) +(\w+)\((.*)/.exec(line) ?? [];
    if (id === undefined) continue;
    const thread = threads.indexOf(Number(id));
    const ordinal = (counts.get(`${id} ${name}`) ?? 0) + 1;
    counts.set(`${id} ${name}`, ordinal);
    const isStream = STREAMS.split(",").includes(name);
    const isOpening = name.startsWith("open");
    if (isStream ? !rest.startsWith(`${/^\d+/.exec(rest)?.[0]}<${root}/`) : false) continue;
    if (isOpening && !/O_CREAT|O_TRUNC/.test(rest)) continue;
    if (isStream || thread < 0) throw new Error(`nobody can be killed before this: ${line}`);
    calls.push({ thread, name, ordinal });
  }
  return calls;
}
