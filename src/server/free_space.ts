/**
 * How much may still be written. A disk that is filled to the last byte stops everybody on the
 * machine, and the store could not even take note of a deletion: the server stops taking mail
 * before that.
 */
import { statfsSync } from "node:fs";

/** Whether `bytes` more may be written. */
export type HasRoom = (bytes: number) => boolean;

export interface FreeSpace {
  readonly bytes: number;
  /** Inodes; Infinity on a file system that has no bound of them. */
  readonly files: number;
}

/** Files that must still be possible. */
const FREE_FILES = 1000;
/**
 * Asking for every message would cost as much as taking it. What others write in this time, the
 * reserve is for.
 */
const ASK_EVERY_MS = 50;

/** Leaves `reserveBytes` of the file system of `folder` free. */
export function roomOf(folder: string, reserveBytes: number): HasRoom {
  return roomIn(() => freeSpaceOf(folder), { reserveBytes, now: () => performance.now() });
}

export interface RoomOptions {
  readonly reserveBytes: number;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Asks `look` every now and then, and counts what it has granted since. */
export function roomIn(look: () => FreeSpace, { reserveBytes, now }: RoomOptions): HasRoom {
  let lookedAt = -Infinity;
  let left: FreeSpace = { bytes: 0, files: 0 };
  return (bytes) => {
    const isOld = now() - lookedAt >= ASK_EVERY_MS;
    if (isOld || left.bytes - bytes < reserveBytes) {
      left = look();
      lookedAt = now();
    }
    const hasRoom = left.files >= FREE_FILES && left.bytes - bytes >= reserveBytes;
    if (hasRoom) left = { bytes: left.bytes - bytes, files: left.files - 1 };
    return hasRoom;
  };
}

function freeSpaceOf(folder: string): FreeSpace {
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  return { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree };
}
