/** Files that are there whole or not at all: written beside, synced, renamed over, folder synced. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Replaces the file at `path` with `bytes`, durably; `mode` is that of the new file. */
export function replaceFile(path: string, bytes: Uint8Array, mode: number): void {
  const beside = `${path}.new-${process.pid}`;
  try {
    const fd = openSync(beside, "wx", mode);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** Makes names in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
