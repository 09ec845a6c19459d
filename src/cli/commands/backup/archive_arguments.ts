/** The archives that a command of `backup` is given: a folder of them, and whose. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { AppError } from "../../../core/errors.ts";
import { sameOwner } from "../../../model/names.ts";
import { archiveFolder } from "../../../places/backup/archive_folder.ts";
import { lostArchivesIn } from "../../../places/backup/read/lost_archives.ts";
import { ownerByFolder } from "../../../places/backup/read/open_backup.ts";
import { archivesIn, noArchive } from "../../../places/backup_locator.ts";
import { namedUsers, usersFromOption } from "../../chosen_owners.ts";
import { ownerLabel, ownerOfArgument } from "../../mailbox_names.ts";

/** Adds the arguments and options that say which archives. */
export function ofArchives(command: Command): Command {
  return usersFromOption(
    command
      .argument("<archive>", "the folder of one archive, or one below which they lie")
      .argument("[user...]", "whose archives; all if left out"),
  )
    .option("--all", "all archives, as without USER")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes");
}

/**
 * The folders of the archives that were named, and an error for each user who has none. Throws
 * AppError (not_found, usage).
 */
export async function foldersOf(
  [text, users]: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
): Promise<(string | AppError)[]> {
  const path = resolve((text as string).replace(/^backup:/, ""));
  const folders = [...archivesIn(path), ...lostArchivesIn(path)];
  if (folders.length === 0) throw noArchive(path);
  const named = await namedUsers((users ?? []) as readonly string[], options);
  if (named.length === 0) return folders;
  if (options["all"] === true) {
    throw new AppError("usage", "Cannot tell whose archives are meant: name users, or say --all");
  }
  const owners = named.map((user) => ownerOfArgument(user, { shared: options["shared"] === true }));
  return owners.map((owner) => {
    const folder = archiveFolder(path, owner);
    if (folders.includes(folder)) return folder;
    // The folder of one archive may have been named itself.
    const isIts = folders.find((one) => {
      const found = ownerByFolder(one);
      return found !== undefined && sameOwner(found, owner);
    });
    const text = `Cannot find an archive of ${ownerLabel(owner)} in ${path}`;
    return isIts ?? new AppError("not_found", text);
  });
}
