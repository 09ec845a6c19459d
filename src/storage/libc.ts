/**
 * The calls of libc that node:fs lacks, through bun:ffi: syncfs(2), which makes a whole file system
 * durable at once (where no libc can be opened, coreutils' `sync -f` does), sync_file_range(2),
 * which only makes a start, and flock(2).
 */
import { dlopen, type FFIFunction } from "bun:ffi";
import { statfsSync } from "node:fs";
import { release } from "node:os";
import { AppError } from "../core/errors.ts";

/** glibc, then musl. */
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"];

/** The functions of libc by name; undefined where no libc can be opened, as in a static world. */
export function openLibc<Symbols extends Record<string, FFIFunction>>(symbols: Symbols) {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, symbols).symbols;
    } catch (error) {
      if (!(error instanceof Error)) throw error; // not this library: the next one
    }
  }
  return undefined;
}

/** What `open` gives when it is first asked for. */
function lazily<T>(open: () => T): () => T {
  let opened: { readonly value: T } | undefined;
  return () => {
    opened ??= { value: open() };
    return opened.value;
  };
}

const syncfs = lazily(() => openLibc({ syncfs: { args: ["int"], returns: "int" } })?.syncfs);

/** How a file system can be made durable at once on this machine. */
function syncfsMeans(): "ffi" | "command" {
  return syncfs() === undefined ? "command" : "ffi";
}

/** Makes everything written so far on the file system of `folder`, open as `fd`, durable. */
export function syncFileSystem(fd: number, folder: string): void {
  const call = syncfs();
  if (call !== undefined) {
    if (call(fd) === 0) return;
    throw new AppError("io", `Cannot make ${folder} durable: syncfs failed`, {
      context: { path: folder },
    });
  }
  const done = Bun.spawnSync(["sync", "-f", folder]);
  if (done.exitCode === 0) return;
  throw new AppError("io", `Cannot make ${folder} durable: sync -f ended with ${done.exitCode}`, {
    context: { path: folder },
    hint: "Neither syncfs nor coreutils' sync could be used on this machine.",
  });
}

/** The first release of Linux in which syncfs tells of a write that failed in the background. */
const TELLS_SINCE = [5, 8] as const;

/** False where only the fsync of a file tells that syncfs could not write it. */
export function syncfsTellsLosses(): boolean {
  const [major = 0, minor = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  const isNew = major > TELLS_SINCE[0] || (major === TELLS_SINCE[0] && minor >= TELLS_SINCE[1]);
  return isNew && syncfsMeans() === "ffi";
}

const writeRange = lazily(() => {
  const args = ["int", "i64", "i64", "u32"] as const;
  return openLibc({ sync_file_range: { args, returns: "int" } })?.sync_file_range;
});
const SYNC_FILE_RANGE_WRITE = 2;

/**
 * Has the disk begin with what was written to `fd`, so that less is left when it must be durable.
 * Nothing depends on it: where it cannot be done it is not.
 */
export function beginWriteback(fd: number): void {
  writeRange()?.(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

const flock = lazily(() => openLibc({ flock: { args: ["int", "int"], returns: "int" } })?.flock);
const LOCK_EX_NB = 2 | 4;

/**
 * Locks the file or folder that is open as `fd` until it is closed or the process is gone. False
 * where another opening has locked it; undefined where no libc can be opened.
 */
export function lockAlone(fd: number): boolean | undefined {
  const done = flock()?.(fd, LOCK_EX_NB);
  return done === undefined ? undefined : done === 0;
}

/** File systems whose locks and durability depend on another machine, by statfs' f_type. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x01021997, "9p"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
]);

/** The name of the network file system that `path` lies on, or undefined for a local one. */
export function networkFileSystem(path: string): string | undefined {
  return NETWORK.get(Number(statfsSync(path).type) >>> 0);
}
