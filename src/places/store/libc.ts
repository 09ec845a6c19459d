/**
 * The two calls of libc that node:fs lacks: syncfs(2), which makes a whole file system durable at
 * once, reached through bun:ffi, and where no libc can be opened, coreutils' `sync -f`.
 */
import { statfsSync } from "node:fs";
import { AppError } from "../../core/errors.ts";
import { openLibc } from "../../core/libc.ts";

let opened: { readonly call: ((fd: number) => number) | undefined } | undefined;

/** Undefined where no libc can be opened. */
function syncfs(): ((fd: number) => number) | undefined {
  opened ??= { call: openLibc({ syncfs: { args: ["int"], returns: "int" } })?.syncfs };
  return opened.call;
}

/** How a file system can be made durable at once on this machine. */
export function syncfsMeans(): "ffi" | "command" {
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
