/** Whether a file that was read is still what it was, so that it need not be read again. */
import { lstatSync, type Stats } from "node:fs";

export interface FileStamp {
  readonly path: string;
  /** Undefined: there was no such file. */
  readonly stat: Stats | undefined;
  /** When the stamp was taken; before the file was read. */
  readonly takenMs: number;
}

/** Well above the tick of any filesystem's clock. */
const SETTLED_MS = 2000;

/** To be taken before reading. */
export function stampOf(path: string): FileStamp {
  return { path, stat: lstatSync(path, { throwIfNoEntry: false }), takenMs: Date.now() };
}

/**
 * True when nobody has written to the file since. A file that had just been written to when it was read
 * is never called so: the next write could leave the same time.
 */
export function isStill({ path, stat, takenMs }: FileStamp): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || now === undefined) return stat === now;
  return (
    now.ino === stat.ino &&
    now.size === stat.size &&
    now.mtimeMs === stat.mtimeMs &&
    now.ctimeMs === stat.ctimeMs &&
    stat.mtimeMs < takenMs - SETTLED_MS
  );
}
