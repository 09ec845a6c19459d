/**
 * How much may still be written to a disk. A disk that is full to the last byte stops everything on
 * the machine, and the store could not even record a deletion. So the server stops taking mail
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

/** Inodes that must stay free. */
const FREE_FILES = 1000;
/**
 * Milliseconds between two questions to the system: asking for every message would cost as much as
 * taking it. What other programs write meanwhile comes out of the reserve.
 */
const ASK_EVERY_MS = 50;

/** A test that keeps `reserveBytes` of the file system of `folder` free. */
export function roomOf(folder: string, reserveBytes: number): HasRoom {
  return roomIn(() => freeSpaceOf(folder), { reserveBytes, now: () => performance.now() });
}

export interface RoomOptions {
  readonly reserveBytes: number;
  /** Milliseconds. */
  readonly now: () => number;
}

/** A test that asks `look` now and then, and counts down what it has granted since. */
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

/** Of the file system that `folder` lies on. */
export function freeSpaceOf(folder: string): FreeSpace {
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  return { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree };
}
