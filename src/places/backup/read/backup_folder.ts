/**
 * `backup:PATH` to be read: one archive, or a folder of them, as Bobbin lays it out
 * (archive_folder.ts) or as upstream does, with one folder for each user.
 */
import { Database } from "bun:sqlite";
import { AppError } from "../../../core/errors.ts";
import { asAsync } from "../../../core/lists.ts";
import { type Owner, ownerKey } from "../../../model/names.ts";
import { archivesIn, isArchive } from "../../backup_locator.ts";
import type { Place } from "../../place.ts";
import { BackupState } from "../state/backup_state.ts";
import { BackupPlace } from "./backup_place.ts";
import { EntriesInForce } from "./entries_in_force.ts";
import { lostArchivesIn } from "./lost_archives.ts";
import { ManyArchives } from "./many_archives.ts";
import {
  beganAt,
  nothingThen,
  openBackup,
  ownerOfFolder,
  type ReadBackupOptions,
} from "./open_backup.ts";
import { openedArchives } from "./opened_archives.ts";

/** Throws AppError (not_found) where no archive is there, (io), (bad_data). */
export async function openBackupFolder(path: string, options: ReadBackupOptions): Promise<Place> {
  const folders = isArchive(path) ? [] : [...archivesIn(path), ...lostArchivesIn(path)];
  if (folders.length === 0) return openBackup(path, options);
  const opened = openedArchives((folder) =>
    openBackup(folder, { ...options, locator: `backup:${folder}` }),
  );
  const { at, locator } = options;
  const byKey = new Map<string, { readonly owner: Owner; readonly folder: string }>();
  let began = Number.POSITIVE_INFINITY;
  for (const folder of folders) {
    const since = at === undefined ? 0 : await beganOrDamaged(folder);
    began = Math.min(began, since);
    if (at !== undefined && at < since) continue;
    const owner = await ownerOfFolder(folder);
    byKey.set(ownerKey(owner), { owner, folder });
  }
  if (at !== undefined && at < began) throw nothingThen(locator, { at, began });
  return new ManyArchives({
    locator,
    archiveOf: async (owner) => {
      const found = byKey.get(ownerKey(owner));
      return found === undefined ? emptyArchive(owner, locator) : opened.in(found.folder);
    },
    all: function* () {
      for (const { folder } of byKey.values()) yield opened.in(folder);
    },
    owners: () => asAsync([...byKey.values()].map(({ owner }) => owner)),
    close: opened.close,
  });
}

/** One that is damaged is there: whoever reads it is told. */
async function beganOrDamaged(folder: string): Promise<number> {
  try {
    return await beganAt(folder);
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") return 0;
    throw error;
  }
}

/** What is there of an owner without an archive. */
export function emptyArchive(owner: Owner, locator: string): Place {
  const database = new Database(":memory:", { strict: true });
  new BackupState(database); // makes the tables
  const bytes = { read: () => new Uint8Array() };
  const entries = new EntriesInForce(database, bytes);
  return new BackupPlace({ owner, locator, entries, close: async () => database.close() });
}
