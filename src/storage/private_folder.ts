/** Folders below TMPDIR for what this process alone reads: copies of databases, files laid over. */
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, errnoOf } from "../core/errors.ts";
import { FILE_MODE } from "./disk.ts";

/** Those that are there, to be removed when the process ends, whatever ends it in good order. */
const folders = new Set<string>();
let isWatched = false;

/** Makes a folder that no other user can look into. Throws AppError (io). */
export function makePrivateFolder(): string {
  if (!isWatched) process.once("exit", () => folders.forEach(removePrivateFolder));
  isWatched = true;
  try {
    const folder = mkdtempSync(join(tmpdir(), "bobbin-"));
    folders.add(folder);
    return folder;
  } catch (error) {
    throw new AppError("io", `Cannot make a folder in ${tmpdir()}: ${errnoOf(error) ?? error}`, {
      cause: error,
      context: { path: tmpdir() },
      hint: "Set TMPDIR to a folder that this user can write to.",
    });
  }
}

/** Opens a temporary file that has no name any more: it is gone with its descriptor. */
export function openUnnamed(): number {
  const folder = mkdtempSync(join(tmpdir(), "bobbin-"));
  try {
    return openSync(join(folder, "file"), "wx+", FILE_MODE);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Removes such a folder with all in it. */
export function removePrivateFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}
