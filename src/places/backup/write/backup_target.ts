/** `backup:PATH` as the place that something is brought to: one archive, or a folder of them. */
import { isArchive } from "../../backup_locator.ts";
import type { Place, WritablePlace } from "../../place.ts";
import { archiveFolder } from "../archive_folder.ts";
import { emptyArchive } from "../read/backup_folder.ts";
import { ManyArchives } from "../read/many_archives.ts";
import { openBackup, ownerOfFolder, ownersBelow } from "../read/open_backup.ts";
import { openedArchives } from "../read/opened_archives.ts";
import { type BackupRootOptions, openBackupRoot } from "./backup_root.ts";
import { openArchive } from "./open_archive.ts";

/** Opens it for writing; a folder is made where none is. Throws AppError (busy, io, bad_data). */
export async function openBackupTarget(
  path: string,
  options: BackupRootOptions,
): Promise<WritablePlace> {
  if (!isArchive(path)) return openBackupRoot(path, options);
  return openArchive(path, { ...options, owner: await ownerOfFolder(path) });
}

/** The same as `openBackupTarget` would find it; nothing is written, and nothing made. */
export async function lookAtBackupTarget(path: string): Promise<Place> {
  const look = (folder: string) =>
    openBackup(folder, { locator: `backup:${folder}`, isTarget: true });
  if (isArchive(path)) return look(path);
  const locator = `backup:${path}`;
  const opened = openedArchives(look);
  const place = new ManyArchives({
    ...{ locator, all: opened.all, owners: () => ownersBelow(path), close: opened.close },
    archiveOf: async (owner) => {
      const folder = archiveFolder(path, owner);
      return isArchive(folder) ? opened.in(folder) : emptyArchive(owner, locator);
    },
  });
  return Object.assign(place, { fillsGaps: true });
}
