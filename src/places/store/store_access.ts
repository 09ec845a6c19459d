/** Whether this process may write to a store, and what is said where it may not. */
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { mayWrite } from "../../storage/private_copy.ts";
import { REGISTRY_FILE } from "./layout.ts";

/** True where file modes and mount options let this process write to the store in `root`. */
export function mayWriteStore(root: string): boolean {
  return [root, join(root, REGISTRY_FILE)].every(mayWrite);
}

/** What a person should know who reads the store at `root` without the right to write to it. */
export function readWithoutRight(root: string): string {
  return `Reading ${root} without the right to write to it: by way of private copies of its catalogues`;
}

/** The refusal to write to a store that was opened to be read, or must not be written to. */
export function notToBeWritten(root: string): AppError {
  return new AppError(
    "refused",
    `Cannot write to the store ${root}: this process may only read it`,
    { hint: "Run Bobbin as the user that owns the store." },
  );
}
