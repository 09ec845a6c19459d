/**
 * Taking out what nothing needs any more: messages expunged long ago, pool files that no record
 * names, trash past its time, and what killed sessions and transactions left. Each step holds the
 * owner's writer lock, so that nothing can come to need a file while it goes.
 */
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { hasBit, INTERNAL_FLAG } from "../../../formats/cyrus/index/index_flags.ts";
import type { MailboxImage } from "../../../mailbox/mailbox_image.ts";
import { isGuid } from "../../../model/guid.ts";
import { foldersIn, namesIn, removeFile, statOf } from "../../../storage/disk.ts";
import { removeUnlessHeld } from "../../../storage/held_folder.ts";
import {
  allMailboxes,
  type MailboxRow,
  removeTombstone,
  type Tombstone,
  tombstones,
} from "../catalogue/mailbox_rows.ts";
import { addGuids, buriedIndexes, forgetMailboxes } from "../commit/needed.ts";
import { openImage } from "../commit/open_mailbox.ts";
import type { OwnerFolder, Transaction } from "../commit/owner_folder.ts";
import { type StrayGrave, strayGraves } from "../commit/trash.ts";
import { ARRIVING_FOLDER, messageFile, POOL_FOLDER, STAGING_FOLDER } from "../layout.ts";
import { holdsOnlyMessages, uidOfFile } from "../messages/leftovers.ts";

/** A pool file younger than this stays: a transaction may be about to name it. */
const YOUNG_SECONDS = 24 * 60 * 60;

export interface GcOptions {
  /** Seconds since 1970. */
  readonly now: number;
  /** How long what was deleted or expunged stays. */
  readonly retentionSeconds: number;
}

export interface GcResult {
  /** Messages expunged long ago whose files went. */
  readonly unlinked: number;
  readonly poolFiles: number;
  readonly poolBytes: number;
  /** Mailboxes that left the trash. */
  readonly trash: number;
  /** Leftovers of transactions that did not commit. */
  readonly leftovers: number;
  /** Why the pool was left alone, where it was. */
  readonly skipped: readonly string[];
}

/** Cleans one owner's folder. */
export function collectOwner(folder: OwnerFolder, options: GcOptions): GcResult {
  const unlinked = folder.write((transaction) => unlinkExpunged(folder, transaction, options));
  const trash = emptyTrash(folder, options);
  const cleaned = folder.write(({ unfit }) => cleanFiles(folder, { ...options, unfit }));
  folder.write(({ database }) => database.run("PRAGMA incremental_vacuum"));
  return { unlinked, trash, ...cleaned };
}

/** Marks records whose message has been expunged long enough as unlinked; their files follow. */
function unlinkExpunged(folder: OwnerFolder, transaction: Transaction, options: GcOptions): number {
  const before = options.now - options.retentionSeconds;
  let count = 0;
  for (const row of foldersOf(folder)) {
    const image = soundImage(folder, row);
    if (image === undefined || transaction.unfit.has(row.uniqueid)) continue;
    const { firstExpunged } = image.index.header;
    if (firstExpunged === 0 || firstExpunged > before) continue;
    let first = 0;
    for (const record of [...image.index.records()]) {
      const { systemFlags, lastUpdated, uid } = record;
      const isHidden = hasBit(systemFlags, INTERNAL_FLAG.expunged);
      if (!isHidden || hasBit(systemFlags, INTERNAL_FLAG.unlinked)) continue;
      if (lastUpdated > before) {
        first = first === 0 ? lastUpdated : Math.min(first, lastUpdated);
        continue;
      }
      const unlinked = (systemFlags | INTERNAL_FLAG.unlinked) >>> 0;
      image.put([{ record: { ...record, systemFlags: unlinked }, annotations: [] }]);
      const path = `${row.uniqueid}/${messageFile(uid)}`;
      transaction.step(row.uniqueid, { kind: "unlink", path });
      count++;
    }
    image.index.setHeader({ firstExpunged: first });
    for (const step of image.steps()) transaction.step(row.uniqueid, step);
  }
  return count;
}

/** Undefined for a mailbox that cannot be read: it keeps the pool, and is told of there. */
function soundImage(folder: OwnerFolder, row: MailboxRow): MailboxImage | undefined {
  try {
    return openImage(folder, row);
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") return undefined;
    throw error;
  }
}

function foldersOf(folder: OwnerFolder): MailboxRow[] {
  return folder.read(allMailboxes).filter((row) => !row.intermediate);
}

/** Removes deleted mailboxes past their time: tombstones at the commit, then the folders. */
function emptyTrash(folder: OwnerFolder, options: GcOptions): number {
  return folder.write(({ database, step, unfit }) => {
    let count = 0;
    const forgotten: string[] = [];
    // An unfit mailbox is on its way in or out of the trash, which fsck reports.
    const stays = ({ uniqueid, deleted = Infinity }: Tombstone | StrayGrave): boolean =>
      deleted > options.now - options.retentionSeconds || unfit.has(uniqueid);
    for (const grave of strayGraves(folder)) {
      if (stays(grave)) continue;
      step(grave.uniqueid, { kind: "erase", path: grave.trash });
      count++;
    }
    for (const grave of tombstones(database)) {
      if (stays(grave)) continue;
      if (grave.trash !== "") step(grave.uniqueid, { kind: "erase", path: dirname(grave.trash) });
      removeTombstone(database, grave.number);
      forgotten.push(grave.uniqueid);
    }
    forgetMailboxes(database, forgotten);
    return count + forgotten.length;
  });
}

/** A folder of `unfit` may be what a step that waits is to move: it is no leftover. */
type CleanOptions = GcOptions & Pick<Transaction, "unfit">;

type CleanResult = Omit<GcResult, "unlinked" | "trash">;

/** Removes files that no record needs; an index that cannot be read keeps the whole pool. */
function cleanFiles(folder: OwnerFolder, options: CleanOptions): CleanResult {
  const skipped: string[] = [];
  const guids = new Set<string>();
  const unlessDamaged = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      skipped.push(error.message);
    }
  };
  let leftovers = removeOrphanFolders(folder, options) + removeArriving(folder, options);
  for (const row of foldersOf(folder)) {
    unlessDamaged(() => {
      const { index } = openImage(folder, row);
      addGuids(index, guids);
      leftovers += removeLateMessages(folder, row, { lastUid: index.header.lastUid, ...options });
    });
  }
  unlessDamaged(() => {
    for (const index of buriedIndexes(folder)) addGuids(index, guids);
  });
  if (skipped.length > 0) return { poolFiles: 0, poolBytes: 0, leftovers, skipped };
  return { ...cleanPool(folder, guids, options), leftovers, skipped };
}

/** A file that is old enough that no transaction under way can be about to use it. */
function isOld(path: string, options: GcOptions): boolean {
  const stat = statOf(path);
  return stat !== undefined && stat.ctimeMs / 1000 < options.now - YOUNG_SECONDS;
}

/** Folders of mailboxes whose creation did not commit: they hold messages and nothing else. */
function removeOrphanFolders(folder: OwnerFolder, options: CleanOptions): number {
  const rows = folder.read(allMailboxes).map((row) => row.uniqueid);
  const known = new Set([...rows, ...options.unfit.keys()]);
  let count = 0;
  for (const name of foldersIn(folder.folder)) {
    const path = join(folder.folder, name);
    if (name.startsWith(".") || known.has(name) || !isOld(path, options)) continue;
    if (!holdsOnlyMessages(path)) continue; // a lost mailbox: fsck's
    rmSync(path, { recursive: true });
    count++;
  }
  return count;
}

/**
 * What another owner's mailbox left that was not handed over: one that was has been moved in by
 * now.
 */
function removeArriving(folder: OwnerFolder, { unfit }: CleanOptions): number {
  const arriving = join(folder.folder, ARRIVING_FOLDER);
  const names = foldersIn(arriving).filter((name) => !unfit.has(name));
  for (const name of names) rmSync(join(arriving, name), { recursive: true });
  return names.length;
}

/** Messages above the last UID: their transaction did not commit. */
function removeLateMessages(
  folder: OwnerFolder,
  row: MailboxRow,
  options: GcOptions & { readonly lastUid: number },
): number {
  let count = 0;
  for (const file of namesIn(join(folder.folder, row.uniqueid))) {
    const path = join(folder.folder, row.uniqueid, file);
    const isLate = (uidOfFile(file) ?? 0) > options.lastUid;
    if (isLate && isOld(path, options) && removeFile(path)) count++;
  }
  return count;
}

function cleanPool(
  folder: OwnerFolder,
  guids: ReadonlySet<string>,
  options: GcOptions,
): { poolFiles: number; poolBytes: number } {
  const pool = join(folder.folder, POOL_FOLDER);
  let poolFiles = 0;
  let poolBytes = 0;
  for (const prefix of foldersIn(pool)) {
    for (const name of namesIn(join(pool, prefix))) {
      const path = join(pool, prefix, name);
      const stat = statOf(path);
      const isFree = !guids.has(name) && (isGuid(name) || name.endsWith(".NEW"));
      if (stat?.isFile() !== true || !isFree || stat.nlink > 1 || !isOld(path, options)) continue;
      if (removeFile(path)) {
        poolFiles++;
        poolBytes += stat.size;
      }
    }
  }
  return { poolFiles, poolBytes };
}

/** Removes what sessions left that are over. Returns how many. */
export function collectStaging(root: string): number {
  const staging = join(root, STAGING_FOLDER);
  return foldersIn(staging).filter((name) => removeUnlessHeld(join(staging, name))).length;
}
