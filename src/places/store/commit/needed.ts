/** What an owner's mailboxes, also the deleted ones, still need of the pool and the catalogue. */
import type { Database } from "bun:sqlite";
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { hasBit, INTERNAL_FLAG } from "../../../formats/cyrus/index/index_flags.ts";
import { IndexImage } from "../../../mailbox/index_image.ts";
import { readWhole } from "../../../storage/disk.ts";
import { allMailboxes, tombstones } from "../catalogue/mailbox_rows.ts";
import { openImage } from "./open_mailbox.ts";
import type { OwnerFolder } from "./owner_folder.ts";

/** GUIDs that mailboxes but `uniqueid` name, deleted ones too; undefined if one is unreadable. */
export function guidsOutside(folder: OwnerFolder, uniqueid: string): Set<string> | undefined {
  const guids = new Set<string>();
  try {
    for (const row of folder.read(allMailboxes)) {
      if (!row.intermediate && row.uniqueid !== uniqueid)
        addGuids(openImage(folder, row).index, guids);
    }
    for (const index of buriedIndexes(folder)) addGuids(index, guids);
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") return undefined;
    throw error;
  }
  return guids;
}

/** The indexes in the trash. Throws bad_data for one that cannot be read. */
export function* buriedIndexes(folder: OwnerFolder): Generator<IndexImage> {
  for (const { trash } of folder.read(tombstones)) {
    const path = join(folder.folder, trash, "cyrus.index");
    const bytes = trash === "" ? undefined : readWhole(path, folder.limits.mailboxFileBytes);
    if (bytes !== undefined) yield IndexImage.openSound(bytes, path);
  }
}

/** Adds the GUIDs of messages that have a file. */
export function addGuids(index: IndexImage, guids: Set<string>): void {
  for (const { guid, systemFlags } of index.records()) {
    if (!hasBit(systemFlags, INTERNAL_FLAG.unlinked)) guids.add(guid);
  }
}

/**
 * Drops the rows of former names and annotations of those mailboxes that the owner has no more, not
 * even in the trash. All in one statement a table: tombstones can only be searched as a whole.
 */
export function forgetMailboxes(database: Database, uniqueids: readonly string[]): void {
  for (const table of ["history", "annotation"]) {
    database
      .query(
        `DELETE FROM ${table} WHERE uniqueid IN (SELECT value FROM json_each(?))
         AND uniqueid NOT IN (SELECT uniqueid FROM mailbox)
         AND uniqueid NOT IN (SELECT uniqueid FROM tombstone)`,
      )
      .run(JSON.stringify(uniqueids));
  }
}
