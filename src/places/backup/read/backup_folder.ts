/**
 * `backup:PATH` to be read: one archive, or a folder of them, as Bobbin lays it out
 * (archive_folder.ts) or as upstream does, with one folder for each user.
 */
import { Database } from "bun:sqlite";
import { asAsync } from "../../../core/lists.ts";
import { type Owner, ownerKey } from "../../../model/names.ts";
import { archivesIn, isArchive } from "../../backup_locator.ts";
import type { Place } from "../../place.ts";
import { BackupState } from "../state/backup_state.ts";
import { BackupPlace } from "./backup_place.ts";
import { EntriesInForce } from "./entries_in_force.ts";
import { ManyArchives } from "./many_archives.ts";
import { openBackup, ownerByFolder, type ReadBackupOptions } from "./open_backup.ts";

/** Archives that stay open: each has two files. */
const MOST_OPEN = 8;

/** Throws AppError (not_found) where no archive is there, (io), (bad_data). */
export async function openBackupFolder(path: string, options: ReadBackupOptions): Promise<Place> {
  const folders = isArchive(path) ? [] : archivesIn(path);
  if (folders.length === 0) return openBackup(path, options);
  const opened = new Map<string, Promise<BackupPlace>>();
  const archiveIn = (folder: string): Promise<BackupPlace> => {
    const one = { ...options, locator: `backup:${folder}` };
    const known = opened.get(folder) ?? openBackup(folder, one);
    opened.delete(folder);
    opened.set(folder, known);
    for (const [oldest, place] of opened) {
      if (opened.size <= MOST_OPEN) break;
      opened.delete(oldest);
      void place.then(
        (one) => one.close(),
        () => undefined, // who opened it has been told
      );
    }
    return known;
  };
  const byKey = new Map<string, { readonly owner: Owner; readonly folder: string }>();
  for (const folder of folders) {
    const owner = ownerByFolder(folder) ?? (await archiveIn(folder)).owner;
    byKey.set(ownerKey(owner), { owner, folder });
  }
  return new ManyArchives({
    locator: options.locator,
    archiveOf: async (owner) => {
      const found = byKey.get(ownerKey(owner));
      return found === undefined ? emptyArchive(owner, options.locator) : archiveIn(found.folder);
    },
    all: function* () {
      for (const folder of folders) yield archiveIn(folder);
    },
    owners: () => asAsync([...byKey.values()].map(({ owner }) => owner)),
    close: async () => {
      for (const place of opened.values()) await (await place).close();
    },
  });
}

/** What is there of an owner without an archive. */
function emptyArchive(owner: Owner, locator: string): Place {
  const database = new Database(":memory:", { strict: true });
  new BackupState(database); // makes the tables
  const bytes = { read: () => new Uint8Array() };
  const entries = new EntriesInForce(database, bytes);
  return new BackupPlace({ owner, locator, entries, close: async () => database.close() });
}
