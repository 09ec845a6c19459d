/**
 * How what a transaction that did not commit leaves is told from a mailbox: it made message files,
 * and nothing else.
 */
import { join } from "node:path";
import { isUniqueid } from "../../../model/mailbox.ts";
import { foldersIn, namesIn, statOf } from "../../../storage/disk.ts";

/** The UID of a message file by its name in the mailbox's folder; undefined for another file. */
export function uidOfFile(name: string): number | undefined {
  return /^[1-9]\d*\.$/.test(name) ? Number(name.slice(0, -1)) : undefined;
}

/** True where `folder` holds message files at most, or nothing is there: it is no mailbox. */
export function holdsOnlyMessages(folder: string): boolean {
  if (statOf(folder)?.isDirectory() === false) return false;
  return namesIn(folder).every((name) => uidOfFile(name) !== undefined);
}

/** True where mailboxes lie in an owner's folder. */
export function holdsMailboxes(folder: string): boolean {
  const isMailbox = (name: string) =>
    isUniqueid(name) && statOf(join(folder, name, "cyrus.index")) !== undefined;
  return foldersIn(folder).some(isMailbox);
}
