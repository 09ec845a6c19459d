/**
 * How many files `bobbin serve` may have open, and who gets them. Where the system gives no more the runtime cannot go on: so
 * it is seen to beforehand that there are enough.
 */
import { readFileSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import { OPEN_OWNERS } from "../places/store/threads/store_threads.ts";

/** The program itself, its threads, a file or two that each of them works at, and clients that are being sent away. */
const OWN_FILES = 64;
/** SQLite's of one catalogue. */
const FILES_OF_OWNER = 3;
/** A connection, the folder of what it sends, which is locked, and a message on its way. */
const FILES_OF_SESSION = 3;

/** How many of each are open at a time, at most. */
export interface OpenFiles {
  readonly sessions: number;
  readonly owners: number;
}

/** The limit of this process (the runtime has raised it as far as it may), or undefined where the system does not say. */
export function openFilesLimit(): number | undefined {
  let text: string;
  try {
    text = readFileSync("/proc/self/limits", "utf8");
  } catch (error) {
    if (error instanceof Error) return undefined; // no Linux, or no /proc
    throw error;
  }
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** Shares `limit` among a server's sessions and owners. Throws AppError (config) where it is too little for any. */
export function shareFiles(limit: number): OpenFiles {
  const free = limit - OWN_FILES;
  const owners = Math.max(2, Math.min(OPEN_OWNERS, Math.floor(free / 4 / FILES_OF_OWNER)));
  const sessions = Math.floor((free - owners * FILES_OF_OWNER) / FILES_OF_SESSION);
  if (sessions > 0) return { sessions, owners };
  throw new AppError("config", `Cannot serve with no more than ${limit} open files`, {
    hint: "Raise the limit: ulimit -n 20000, or LimitNOFILE= under systemd",
  });
}
