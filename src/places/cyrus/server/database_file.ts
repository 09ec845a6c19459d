/**
 * Reading a database that a running Cyrus may be writing to, without any lock (spool-format 8,
 * protocol B): the file is read in one go, and again if it was replaced or written to meanwhile.
 * Damage counts only if a second reading finds the very same bytes.
 */
import { lstatSync, type Stats } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { equalBytes } from "../../../core/bytes.ts";
import { readRegular, type Unreadable } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import {
  type Database,
  type DatabaseFormat,
  readDatabase,
} from "../../../formats/cyrus/databases/database.ts";

/** A file that was read, or why it was not. */
export type DatabaseReading =
  | {
      readonly state: "read";
      readonly path: string;
      readonly database: Database;
      /** False where it changed at every look: what seems wrong in it may not be. */
      readonly stable: boolean;
      /** Of the file when it was read. */
      readonly stat: Stats;
    }
  | (Unreadable & { readonly path: string });

/** The same for a small file that is replaced as a whole; what it means is for its own codec. */
export type FileReading =
  | { readonly state: "read"; readonly path: string; readonly bytes: Uint8Array }
  | (Unreadable & { readonly path: string });

export interface DatabaseFileOptions {
  /** What imapd.conf says of the format. */
  readonly expected?: DatabaseFormat | undefined;
}

/** Pauses between readings: mtime moves with the kernel's tick, and a transaction may take a while. */
const PAUSES_MS = [20, 40, 80, 160, 320];

/** Reads a database of any format. Never throws for what the file is or holds. */
export async function readDatabaseFile(
  path: string,
  { expected }: DatabaseFileOptions = {},
): Promise<DatabaseReading> {
  const options = expected === undefined ? {} : { expected };
  let before: Uint8Array | undefined;
  for (let round = 0; ; round++) {
    const file = readRegular(path, DEFAULT_LIMITS.databaseBytes);
    if (file.state !== "read") return { ...file, path };
    const pauseMs = PAUSES_MS[round];
    const settled = isUnchanged(path, file.stat);
    if (settled || pauseMs === undefined) {
      const database = readDatabase(file.bytes, options);
      const sound = database.kind === "unsupported" || database.problems.length === 0;
      const sameAsBefore = before !== undefined && equalBytes(before, file.bytes);
      const stable = settled && (sound || sameAsBefore);
      if (stable || pauseMs === undefined) {
        return { state: "read", path, database, stable, stat: file.stat };
      }
    }
    before = file.bytes;
    await sleep(pauseMs);
  }
}

/** True while a stable reading says what the file still holds. */
export function isCurrent(reading: DatabaseReading): boolean {
  return reading.state === "read" && reading.stable && isUnchanged(reading.path, reading.stat);
}

/** Reads a file that its writers rename into place, so that one reading is always whole. */
export function readWholeFile(path: string, limitBytes = DEFAULT_LIMITS.configBytes): FileReading {
  const file = readRegular(path, limitBytes);
  return file.state === "read" ? { state: "read", path, bytes: file.bytes } : { ...file, path };
}

function isUnchanged(path: string, stat: Stats): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false });
  return (
    now !== undefined &&
    now.ino === stat.ino &&
    now.size === stat.size &&
    now.mtimeMs === stat.mtimeMs &&
    now.ctimeMs === stat.ctimeMs
  );
}
