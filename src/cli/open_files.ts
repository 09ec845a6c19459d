/**
 * Shares the files that `bobbin serve` may have open. The runtime cannot go on once the system
 * refuses another file, so the number of sessions and of open users is limited beforehand.
 */
import { readFileSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import { OPEN_OWNERS } from "../places/store/threads/store_threads.ts";

/** Files of the program, its threads, and connections that are about to be refused. */
const OWN_FILES = 64;
/** Files that SQLite opens for one catalogue. */
const FILES_OF_OWNER = 3;
/** Files of a session: its connection, its staging folder, which is locked, and one message. */
const FILES_OF_SESSION = 3;

/** The most that may be open at a time. */
export interface OpenFiles {
  readonly sessions: number;
  readonly owners: number;
}

/** The limit of this process, as far as the runtime could raise it; undefined if unknown. */
export function openFilesLimit(): number | undefined {
  let text: string;
  try {
    text = readFileSync("/proc/self/limits", "utf8");
  } catch (error) {
    if (error instanceof Error) return undefined; // not Linux, or /proc is not mounted
    throw error;
  }
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** Shares `limit` among sessions and owners. Throws AppError (config) if it is too small. */
export function shareFiles(limit: number): OpenFiles {
  const free = limit - OWN_FILES;
  const owners = Math.max(2, Math.min(OPEN_OWNERS, Math.floor(free / 4 / FILES_OF_OWNER)));
  const sessions = Math.floor((free - owners * FILES_OF_OWNER) / FILES_OF_SESSION);
  if (sessions > 0) return { sessions, owners };
  throw new AppError("config", `Cannot serve with no more than ${limit} open files`, {
    hint: "Raise the limit: ulimit -n 20000, or LimitNOFILE= under systemd",
  });
}
