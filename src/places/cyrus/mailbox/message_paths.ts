/** Where the file of a message may lie. */
import { join } from "node:path";
import type { MailboxPaths } from "./mailbox_files.ts";

/** In the spool, then in the archive: between two steps of Cyrus it may lie in both. */
export function messagePaths({ data, archive }: MailboxPaths, uid: number): string[] {
  const folders = archive === undefined ? [data] : [data, archive];
  return folders.map((folder) => join(folder, `${uid}.`));
}
