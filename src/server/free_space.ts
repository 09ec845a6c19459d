/**
 * How much may still be written. A disk that is filled to the last byte stops everybody on the machine, and
 * the store could not even take note of a deletion: the server stops taking mail before that.
 */
import { statfsSync } from "node:fs";

/** Whether `bytes` more may be written. */
export type HasRoom = (bytes: number) => boolean;

/** Files that must still be possible; a file system without such a bound says it has none at all. */
const FREE_FILES = 1000;

/** Leaves `reserveBytes` of the file system of `folder` free. */
export function roomOf(folder: string, reserveBytes: number): HasRoom {
  return (bytes) => {
    const { bavail, bsize, files, ffree } = statfsSync(folder);
    const hasFiles = files === 0 || ffree >= FREE_FILES;
    return hasFiles && bavail * bsize - bytes >= reserveBytes;
  };
}
