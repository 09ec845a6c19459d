/**
 * What makes files outlast a power cut: the one way to replace a file, and batches of files and
 * folders that reach the disk together.
 *
 * The kernel tells of a write that failed in the background only once to each open file, and to one
 * that was opened after somebody was told it tells nothing. So the descriptor by which a store's
 * file system is synced is opened with the store and used for every flush.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../core/errors.ts";
import { READ_FLAGS } from "../core/files.ts";
import { diskError, FILE_MODE, removeFile, statOf, writeFully } from "./disk.ts";
import { syncFileSystem, syncfsTellsLosses } from "./libc.ts";

/** Makes the bytes of a file durable, or the names in a folder. */
export function syncPath(path: string, what: "file" | "folder"): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, READ_FLAGS);
    if (what === "file") fdatasyncSync(fd);
    else fsyncSync(fd);
  } catch (error) {
    throw diskError(error, "make durable", path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Puts `bytes` in the place of `path`, whole or not at all: written beside, synced, renamed over,
 * the folder synced. With a `batch`, its next flush makes the file durable instead, and a power cut
 * before may leave it empty: only for what a journal would write again. Only one process at a time
 * may replace a file. It belongs to `owner` then, which only root may say, and is for its owner
 * alone, unless `mode` says more.
 */
export function replaceFile(
  path: string,
  bytes: Uint8Array,
  options: {
    readonly batch?: DurableBatch;
    readonly owner?: Pick<Stats, "uid" | "gid">;
    readonly mode?: number;
  } = {},
): void {
  const { batch, owner, mode } = options;
  const beside = `${path}.NEW`;
  let fd: number | undefined;
  try {
    fd = openBeside(beside);
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    writeFully(fd, bytes, 0);
    if (mode !== undefined) fchmodSync(fd, mode);
    if (batch === undefined) fsyncSync(fd);
    renameSync(beside, path);
    if (batch === undefined) syncPath(dirname(path), "folder");
  } catch (error) {
    if (fd !== undefined) removeFile(beside);
    throw diskError(error, "replace", path);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  batch?.file(path);
  batch?.folder(dirname(path));
}

/**
 * Opens a new file, for its owner alone, that is to become another one. What a killed process left
 * under its name is removed, never written to: it may be a link to something else.
 */
export function openBeside(beside: string): number {
  try {
    return openSync(beside, "wx+", FILE_MODE);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
    rmSync(beside);
    return openSync(beside, "wx+", FILE_MODE);
  }
}

/** Durably gives `beside`, open as `fd` and synced, the name `path`; false if it is another now. */
export function keepBeside(fd: number, beside: string, path: string): boolean {
  if (statOf(beside)?.ino !== fstatSync(fd).ino) return false;
  renameSync(beside, path);
  syncPath(dirname(path), "folder");
  return true;
}

/** The descriptors by which a store's file systems are synced, open as long as it is. */
export class SyncDescriptors {
  /** Where an owner's folder is a link or a mount, a store lies on more than one file system. */
  readonly #byDevice = new Map<number, { readonly fd: number; readonly folder: string }>();

  /** `roots` are opened at once; of a store that is only read there are none. */
  constructor(roots: readonly string[]) {
    for (const root of roots) this.#of(root);
  }

  /** Makes all that was written durable on the file systems of `folders`. */
  syncAround(folders: ReadonlySet<string>): void {
    const opened = [...folders].map((folder) => this.#of(folder));
    for (const one of new Set(opened)) if (one !== undefined) syncFileSystem(one.fd, one.folder);
  }

  close(): void {
    for (const { fd } of this.#byDevice.values()) closeSync(fd);
    this.#byDevice.clear();
  }

  /** Undefined for a folder that is gone: nothing of it has to last. */
  #of(folder: string): { readonly fd: number; readonly folder: string } | undefined {
    try {
      const device = statSync(folder, { throwIfNoEntry: false })?.dev;
      if (device === undefined) return undefined;
      const known = this.#byDevice.get(device);
      if (known !== undefined) return known;
      const opened = { fd: openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY), folder };
      this.#byDevice.set(device, opened);
      return opened;
    } catch (error) {
      throw diskError(error, "make durable", folder);
    }
  }
}

/** From this many files on, one syncfs is cheaper than a sync of each (performance.md, 4). */
const FEW = 12;

/** Files and folders that must reach the disk together before the next step may rely on them. */
export class DurableBatch {
  readonly #descriptors: SyncDescriptors;
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();

  constructor(descriptors: SyncDescriptors) {
    this.#descriptors = descriptors;
  }

  /** An empty batch of the same store. */
  another(): DurableBatch {
    return new DurableBatch(this.#descriptors);
  }

  file(path: string): void {
    this.#files.add(path);
  }

  folder(path: string): void {
    this.#folders.add(path);
  }

  /** Makes all of it durable: a few one by one, many by one syncfs. Throws AppError (io). */
  flush(): void {
    const isMany = this.#files.size + this.#folders.size > FEW;
    if (isMany) {
      const parents = [...this.#files].map((path) => dirname(path));
      this.#descriptors.syncAround(new Set([...this.#folders, ...parents]));
    }
    // After a syncfs that tells nothing there is little to write, but a lost write is told of.
    if (!isMany || !syncfsTellsLosses()) {
      for (const path of this.#files) syncPath(path, "file");
      for (const path of this.#folders) syncPath(path, "folder");
    }
    this.#files.clear();
    this.#folders.clear();
  }
}
