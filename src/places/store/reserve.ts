/**
 * The store's kept-back file. On a disk that is full to the last byte not even a deletion could be
 * written down: then this file goes, and what gives room back has the room that it needs.
 */
import { randomFillSync } from "node:crypto";
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { isDiskFull } from "../../model/refusal.ts";
import { createFile, removeFile, statOf } from "../../storage/disk.ts";
import { freeSpaceOf } from "../../storage/free_space.ts";
import { RESERVE_FILE } from "./layout.ts";

const RESERVE_BYTES = 4 * 1024 * 1024;
/** Room that must be there for the file to be made. */
const ROOM_BYTES = 16 * RESERVE_BYTES;

/** Makes the file in the store at `root` where there is none and room for it. */
export function keepReserve(root: string): void {
  const path = join(root, RESERVE_FILE);
  if (statOf(path) !== undefined || freeSpaceOf(root).bytes < ROOM_BYTES) return;
  try {
    // Zeros would take no room on a file system that compresses.
    createFile(path, randomFillSync(new Uint8Array(RESERVE_BYTES)));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // Another thread has made it, or the disk is full by now: then all goes on without it.
  }
}

/** Runs `work`, on a full disk once more without the kept-back file of the store at `root`. */
export function withReserve<T>(root: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isDiskFull(error) || !giveUpReserve(root)) throw error;
    return work();
  }
}

/** False where there is none. */
function giveUpReserve(root: string): boolean {
  const path = join(root, RESERVE_FILE);
  if (statOf(path) === undefined) return false;
  removeFile(path);
  return true;
}
