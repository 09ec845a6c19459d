/** A spool on disk as a whole: its mailboxes, and what else lies there. */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../../core/errors.ts";
import { type MailboxPaths, mailboxPaths, type PartitionRoots } from "../mailbox/mailbox_files.ts";
import { nameOfMailbox } from "./spool_names.ts";
import { type UnreadableFolder, walkMailboxes } from "./walk.ts";

export interface SpoolContents {
  readonly mailboxes: readonly MailboxPaths[];
  /** Folders below the data root in which deliveries and replication put files first. */
  readonly staging: readonly string[];
  /** Folders of the archive with messages of no mailbox. */
  readonly leftovers: readonly string[];
  readonly unreadable: readonly UnreadableFolder[];
  /** What stands in the place of a mailbox's folder, by its name. */
  readonly misplaced: readonly (UnreadableFolder & { readonly inMailbox: boolean })[];
}

/** Everything that lies below the roots; a root that cannot be read is among `unreadable`. */
export function readSpool(roots: PartitionRoots): SpoolContents {
  const mailboxes: MailboxPaths[] = [];
  const staging: string[] = [];
  const leftovers: string[] = [];
  const unreadable: UnreadableFolder[] = [];
  const misplaced: SpoolContents["misplaced"][number][] = [];
  for (const step of walkMailboxes(roots)) {
    if (step.kind === "mailbox") mailboxes.push(mailboxPaths(roots, step.relative));
    else if (step.kind === "staging") staging.push(step.relative);
    else if (step.kind === "leftover") leftovers.push(step.path);
    else if (step.kind === "misplaced") misplaced.push(step);
    else unreadable.push(step);
  }
  return { mailboxes, staging, leftovers, unreadable, misplaced };
}

/** The internal name of the mailbox at `paths`, by its path and by the name in its cyrus.header. */
export function mailboxName(paths: MailboxPaths, headerName: string | undefined): string {
  return nameOfMailbox({ relative: paths.relative, folder: paths.data, headerName });
}

/** Files below a staging folder that were last written before `beforeSeconds`. */
export function oldStagedFiles(folder: string, beforeSeconds: number): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((path) => {
        const stat = lstatSync(path, { throwIfNoEntry: false });
        return stat?.isFile() === true && stat.mtimeMs / 1000 < beforeSeconds;
      });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return []; // staging folders come and go with their processes
  }
}
