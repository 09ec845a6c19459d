/**
 * Deleting and undeleting: a deleted mailbox is gone for every reader at the commit, and its folder lies
 * in `.trash` until gc takes it. Its rows of annotations and history stay as long.
 */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { IMAGE_FILES, type ImageFiles } from "../../../mailbox/mailbox_image.ts";
import { externalName, isOwnedBy } from "../../../model/names.ts";
import { foldersIn, readWhole } from "../../../storage/disk.ts";
import { withHistory } from "../catalogue/history.ts";
import {
  addFormerName,
  buryMailbox,
  formerNames,
  insertMailbox,
  type MailboxRow,
  mailboxById,
  mailboxByName,
  removeTombstone,
  type Tombstone,
  tombstones,
} from "../catalogue/mailbox_rows.ts";
import { mailboxFolder, TRASH_FOLDER } from "../layout.ts";
import { imageOf } from "../open_mailbox.ts";
import type { OwnerFolder, Transaction } from "../owner_folder.ts";
import { holdsOnlyMessages } from "../upkeep/leftovers.ts";
import type { RedoStep } from "./journal.ts";
import { requireName } from "./rename.ts";

/** Deletes the mailboxes of `rows` within `transaction`. `now` is in seconds since 1970. */
export function deleteMailboxes(
  transaction: Transaction,
  rows: readonly MailboxRow[],
  now: number,
): void {
  const { database, step, requireFit } = transaction;
  for (const row of rows) {
    const { uniqueid } = row;
    requireFit(uniqueid);
    const folder = mailboxFolder(uniqueid);
    // A mailbox whose folder is lost leaves nothing in the trash.
    const isThere = !row.intermediate && existsSync(join(transaction.pool.folder, folder));
    const trash = isThere ? `${TRASH_FOLDER}/${freeName(transaction, now)}/${folder}` : "";
    buryMailbox(database, row, { deleted: now, trash });
    if (trash !== "") step(uniqueid, { kind: "move", path: folder, target: trash });
    step(uniqueid, { kind: "release", uniqueid });
  }
}

/** A folder of the trash that no tombstone names: the time, and a number where that is taken. */
function freeName(transaction: Transaction, now: number): string {
  const taken = transaction.database.query<{ found: number }, [string]>(
    "SELECT 1 AS found FROM tombstone WHERE trash LIKE ? || '/%'",
  );
  for (let number = 0; ; number++) {
    const name = number === 0 ? String(now) : `${now}-${number}`;
    if (taken.get(`${TRASH_FOLDER}/${name}`) === null) return name;
  }
}

/** A folder in the trash that no tombstone names, as where the catalogue was lost. */
export interface StrayGrave {
  /** Below the owner's folder. */
  readonly trash: string;
  readonly uniqueid: string;
  /** Seconds since 1970; undefined where it does not lie as `deleteMailboxes` lays it. */
  readonly deleted: number | undefined;
}

/** The folders in the trash that no tombstone names, the oldest first. */
export function strayGraves(folder: OwnerFolder): StrayGrave[] {
  const named = new Set(folder.read(tombstones).map(({ trash }) => trash));
  const strays: StrayGrave[] = [];
  for (const time of foldersIn(join(folder.folder, TRASH_FOLDER))) {
    const deleted = /^\d+(-\d+)?$/.test(time) ? Number.parseInt(time, 10) : undefined;
    for (const uniqueid of foldersIn(join(folder.folder, TRASH_FOLDER, time))) {
      const trash = `${TRASH_FOLDER}/${time}/${uniqueid}`;
      if (!named.has(trash)) strays.push({ trash, uniqueid, deleted });
    }
  }
  return strays.sort((left, right) => (left.deleted ?? 0) - (right.deleted ?? 0));
}

export interface UndeleteRequest {
  /** The internal name it had, or its uniqueid. */
  readonly which: string;
  /** Another name of the same owner's to come back under; `now` in seconds since 1970. */
  readonly as?: { readonly name: string; readonly now: number } | undefined;
}

/** Brings back the mailbox that was deleted last under that name; `claim` as `Store.claim`. */
export function undeleteMailbox(
  folder: OwnerFolder,
  request: UndeleteRequest,
  claim: (uniqueid: string) => string | undefined,
): Tombstone {
  return folder.write((transaction) => {
    const { database, step } = transaction;
    const found = buried(database, request.which);
    const { uniqueid, trash } = found;
    const { as = { name: found.name, now: 0 } } = request;
    const isOwn = (name: string) => isOwnedBy(name, folder.owner);
    requireName(found.name, as.name, { isOwn, mayInbox: true });
    const what = `Cannot undelete ${externalName(found.name)}`;
    const other = mailboxById(database, uniqueid)?.name;
    const holder = other === undefined ? claim(uniqueid) : externalName(other);
    if (holder !== undefined) {
      throw new AppError("refused", `${what}: ${holder} has its uniqueid`, {
        context: { uniqueid },
        hint: "The same mailbox was sent again after it was deleted; delete that one first.",
      });
    }
    if (mailboxByName(database, as.name) !== undefined) {
      throw new AppError("refused", `${what}: there is a mailbox ${externalName(as.name)}`, {
        hint: "Give another name with --as.",
      });
    }
    requireFolders(folder, found);
    insertMailbox(database, { ...found.mailbox, name: as.name });
    removeTombstone(database, found.number);
    const isRenamed = as.name !== found.name;
    if (isRenamed) addFormerName(database, uniqueid, { name: found.name, until: as.now });
    if (trash !== "") {
      step(uniqueid, { kind: "move", path: trash, target: mailboxFolder(uniqueid) });
      step(uniqueid, { kind: "erase", path: dirname(trash) });
      if (isRenamed) for (const one of renamed(folder, found, as.name)) step(uniqueid, one);
    }
    return { ...found, name: as.name };
  });
}

/** Refuses a mailbox whose folder is not in the trash any more, or cannot go where it was. */
function requireFolders({ folder }: OwnerFolder, grave: Tombstone): void {
  const { name, uniqueid, trash, mailbox } = grave;
  if (!mailbox.intermediate && (trash === "" || !existsSync(join(folder, trash)))) {
    throw new AppError("not_found", `Cannot undelete ${externalName(name)}: its folder is gone`, {
      context: { uniqueid },
      hint: "Put the folder back from a copy of the store.",
    });
  }
  if (trash === "" || holdsOnlyMessages(join(folder, mailboxFolder(uniqueid)))) return;
  throw new AppError(
    "refused",
    `Cannot undelete ${externalName(name)}: there is a folder ${uniqueid}`,
    {
      context: { uniqueid },
      hint: "No mailbox is in it by the catalogue: see `bobbin fsck` and `bobbin store reconstruct`.",
    },
  );
}

/** What was deleted last under that name, or with that uniqueid. */
function buried(database: Database, which: string): Tombstone {
  const graves = tombstones(database);
  const found = graves.findLast(({ name, uniqueid }) => name === which || uniqueid === which);
  if (found !== undefined) return found;
  throw new AppError(
    "not_found",
    `Cannot undelete ${externalName(which)}: the trash has no such mailbox`,
    { hint: "See `bobbin store info` for what can be undeleted." },
  );
}

/** What gives the files of a mailbox, which lie in the trash yet, another name once they are back. */
function renamed(folder: OwnerFolder, { uniqueid, trash }: Tombstone, name: string): RedoStep[] {
  const read = (file: string) =>
    readWhole(join(folder.folder, trash, file), folder.limits.mailboxFileBytes);
  const files = Object.fromEntries(IMAGE_FILES.map((file) => [file, read(file)])) as ImageFiles;
  const image = imageOf(uniqueid, files, folder.owner);
  const history = folder.read((database) => formerNames(database, uniqueid));
  image.setHeader({ name, others: withHistory(image.header.others, history) });
  return image.steps();
}
