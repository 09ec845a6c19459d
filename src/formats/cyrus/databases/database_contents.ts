/**
 * What a reader of Cyrus' key/value files (twoskip, skiplist, flat) hands back. Damage is data: the
 * entries that can be trusted come together with the list of what could not be.
 */
import { DEFAULT_LIMITS } from "../../../core/limits.ts";

/** One key with its value, as bytes of the file (not copied). */
export interface DatabaseEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One thing that is wrong in a database file. */
export interface DatabaseProblem {
  /** Byte offset in the file. */
  readonly offset: number;
  /** What is wrong, as the subject of a sentence: "record head CRC". */
  readonly what: string;
  readonly expected: string;
  readonly found: string;
  /** The key it belongs to, where one could be read; it may itself be damaged. */
  readonly key?: Uint8Array;
}

/** The entries and problems of one database. */
export interface DatabaseContents {
  /** In the order of the file, or by raw bytes where the file had to be salvaged. */
  readonly entries: readonly DatabaseEntry[];
  /** Empty for a sound file; a file with problems may also lack entries or hold outdated ones. */
  readonly problems: readonly DatabaseProblem[];
  /** A transaction was under way or broken off. Legal: it is read as if it had never begun. */
  readonly unfinished: boolean;
}

/** Adds a problem as long as the list is not full: random bytes must not fill the memory. */
export function addProblem(problems: DatabaseProblem[], problem: DatabaseProblem): void {
  if (problems.length < DEFAULT_LIMITS.databaseProblems) problems.push(problem);
}
