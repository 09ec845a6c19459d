/**
 * How what a transaction that did not commit leaves is told from a mailbox: it made message files,
 * and nothing else.
 */
import { namesIn, statOf } from "../../../storage/disk.ts";

/** The UID of a message file by its name in the mailbox's folder; undefined for another file. */
export function uidOfFile(name: string): number | undefined {
  return /^[1-9]\d*\.$/.test(name) ? Number(name.slice(0, -1)) : undefined;
}

/** True where `folder` holds message files at most, or nothing is there: it is no mailbox. */
export function holdsOnlyMessages(folder: string): boolean {
  if (statOf(folder)?.isDirectory() === false) return false;
  return namesIn(folder).every((name) => uidOfFile(name) !== undefined);
}
