/**
 * Reads a database that a running Cyrus may be writing to, without any lock. The file is read as a
 * whole, and again if it was replaced or written to meanwhile. Damage counts only if a second
 * reading finds the very same bytes.
 */
import { equalBytes } from "../../../core/bytes.ts";
import type { FileStamp } from "../../../core/file_stamp.ts";
import { isSameFile, readRegular, type Unreadable } from "../../../core/files.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import {
  type Database,
  type DatabaseFormat,
  readDatabase,
} from "../../../formats/cyrus/databases/database.ts";
import { type Look, lookUntilSame } from "../../stable.ts";

/** A database that was read, or why it was not. */
export type DatabaseReading =
  | {
      readonly state: "read";
      readonly path: string;
      readonly database: Database;
      /** False where the file changed at every look: then damage in it may only seem so. */
      readonly stable: boolean;
      /** Of the file when it was read. */
      readonly stamp: FileStamp;
    }
  | (Unreadable & { readonly path: string });

/** A small file that its writers replace as a whole. It is parsed by the caller. */
export type FileReading =
  | { readonly state: "read"; readonly path: string; readonly bytes: Uint8Array }
  | (Unreadable & { readonly path: string });

export interface DatabaseFileOptions {
  /** The format by imapd.conf. */
  readonly expected?: DatabaseFormat | undefined;
}

interface Bytes {
  readonly reading: DatabaseReading;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array();

/** Reads a database of any format. Never throws for anything that lies at `path`. */
export async function readDatabaseFile(
  path: string,
  { expected }: DatabaseFileOptions = {},
): Promise<DatabaseReading> {
  const look = (): Look<Bytes> => {
    const file = readRegular(path, DEFAULT_LIMITS.databaseBytes);
    const stands = () => isSameFile(path, file);
    if (file.state !== "read") {
      return { value: { reading: { ...file, path }, bytes: NO_BYTES }, trust: "proven", stands };
    }
    const { bytes, stamp } = file;
    const database = readDatabase(bytes, expected === undefined ? {} : { expected });
    const isSound = database.kind === "unsupported" || database.problems.length === 0;
    const reading = { state: "read", path, database, stable: true, stamp } as const;
    const trust = isSound ? "plausible" : "suspect";
    // A sound file was written to its end, however recently, and needs no pause to be believed.
    return { value: { reading, bytes }, trust, isSettled: isSound, stands };
  };
  const { value, isSure } = await lookUntilSame(look, {
    isSame: (before, now) => equalBytes(before.bytes, now.bytes),
  });
  const { reading } = value;
  return reading.state === "read" ? { ...reading, stable: isSure } : reading;
}

/** True while the file is still what a stable reading has read. */
export function isCurrent(reading: DatabaseReading): boolean {
  return reading.state === "read" && reading.stable && isSameFile(reading.path, reading);
}

/** Reads a file that its writers rename into place: one reading of it is always whole. */
export function readWholeFile(path: string, limitBytes = DEFAULT_LIMITS.configBytes): FileReading {
  const file = readRegular(path, limitBytes);
  return file.state === "read" ? { state: "read", path, bytes: file.bytes } : { ...file, path };
}
