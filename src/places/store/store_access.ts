/** Whether this process may write to a store, and what is said where it may not. */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../../core/assert.ts";
import { AppError, PERMISSION_HINT } from "../../core/errors.ts";
import { mayWrite } from "../../storage/private_copy.ts";
import type { Access } from "../../storage/store_database.ts";
import { REGISTRY_FILE } from "./layout.ts";

/** True where file modes and mount options let this process write to the store in `root`. */
export function mayWriteStore(root: string): boolean {
  return [root, join(root, REGISTRY_FILE)].every(mayWrite);
}

/** What a person should know who reads the store at `root` without the right to write to it. */
export function readWithoutRight(root: string): string {
  const how = "by way of private copies of its catalogues";
  return `Reading ${root} without the right to write to it: ${how}`;
}

/** The refusal to write to a store that was opened to be read, or must not be written to. */
export function notToBeWritten(root: string): AppError {
  const text = `Cannot write to the store ${root}: this process may only read it`;
  return new AppError("refused", text, { context: { path: root }, hint: PERMISSION_HINT });
}

/** Stores that are open here, by path, with the number of those who read and of those who write. */
const open = new Map<string, { read: number; write: number }>();

/**
 * Notes that the store at `root` is open; what it returns takes that back. One that is written must
 * not be read by private copies in the same process, as that would drop SQLite's locks
 * (private_copy.ts).
 */
export function noteOpen(root: string, access: Access): () => void {
  const [path, kind, other] = [
    realpathSync(root),
    ...(access === "read" ? (["read", "write"] as const) : (["write", "read"] as const)),
  ];
  const counts = open.get(path) ?? { read: 0, write: 0 };
  assert(counts[other] === 0, `${root} is opened to ${kind} where it is open to ${other}`);
  open.set(path, counts);
  counts[kind]++;
  return () => {
    counts[kind]--;
  };
}
