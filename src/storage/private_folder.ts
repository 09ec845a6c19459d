/** Folders below TMPDIR for what this process alone reads: copies of databases, files laid over. */
import { mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, errnoOf, systemError } from "../core/errors.ts";
import { FILE_MODE, FOLDER_MODE, statOf } from "./disk.ts";
import { type HeldFolder, makeHeldFolder, removeUnlessHeld } from "./held_folder.ts";

const PREFIX = "bobbin-private-";

/** All such folders of this thread lie in one, and go with it when the process ends well. */
let top: HeldFolder | undefined;
const folders = new Set<string>();
let isFirst = true;

/** Makes a folder that no other user can look into. Throws AppError (io). */
export function makePrivateFolder(): string {
  try {
    if (isFirst) process.once("exit", removeTop);
    if (isFirst) removeLeftovers();
    isFirst = false;
    // What clears up TMPDIR from time to time may have taken it.
    if (top !== undefined && statOf(top.path) === undefined) removeTop();
    const make = (path: string) => mkdirSync(path, { mode: FOLDER_MODE });
    top ??= makeHeldFolder(tmpdir(), { prefix: PREFIX, make });
    const folder = mkdtempSync(join(top.path, "copy-"));
    folders.add(folder);
    return folder;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("io", `Cannot make a folder in ${tmpdir()}: ${errnoOf(error) ?? error}`, {
      cause: error,
      context: { path: tmpdir() },
      hint: "Set TMPDIR to a folder that this user can write to.",
    });
  }
}

/** Removes what runs of this user have left that were killed. */
function removeLeftovers(): void {
  for (const name of ifAllowed(() => readdirSync(tmpdir())) ?? []) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(tmpdir(), name);
    ifAllowed(() => statOf(path)?.uid === process.getuid?.() && removeUnlessHeld(path));
  }
}

/** What `work` returns; undefined where the system refuses it, for it is no part of the run. */
function ifAllowed<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (systemError(error) === undefined) throw error;
    return undefined;
  }
}

function removeTop(): void {
  if (top !== undefined) rmSync(top.path, { recursive: true, force: true });
  top?.release();
  top = undefined;
  folders.clear();
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
  if (folders.delete(folder) && folders.size === 0) removeTop();
}
