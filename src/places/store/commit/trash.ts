/**
 * Deleting and undeleting: a deleted mailbox is gone for every reader at the commit, and its folder
 * lies in `.trash` until gc takes it. Its rows of annotations and history stay as long.
 */
import type { Database } from "bun:sqlite";
import { dirname, join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { IMAGE_FILES, type ImageFiles } from "../../../mailbox/mailbox_image.ts";
import { imageOf } from "../../../mailbox/owner_image.ts";
import { externalName, isBelow, isOwnedBy, parseName } from "../../../model/names.ts";
import { foldersIn, readWhole, statOf } from "../../../storage/disk.ts";
import { withHistory } from "../catalogue/history.ts";
import {
  addFormerName,
  allMailboxes,
  buryMailbox,
  formerNames,
  insertMailbox,
  lastTombstone,
  type MailboxRow,
  mailboxById,
  mailboxByName,
  removeTombstone,
  type Tombstone,
  tombstones,
} from "../catalogue/mailbox_rows.ts";
import type { RedoStep } from "../catalogue/redo_rows.ts";
import { mailboxFolder, TRASH_FOLDER } from "../layout.ts";
import { holdsOnlyMessages } from "../messages/leftovers.ts";
import type { OwnerFolder, Transaction } from "./owner_folder.ts";
import { requireName } from "./rename.ts";

/** Deletes the mailboxes of `rows` within `transaction`. `now` is in seconds since 1970. */
export function deleteMailboxes(
  transaction: Transaction,
  rows: readonly MailboxRow[],
  now: number,
): void {
  const { database, step, requireFit } = transaction;
  const names = freeNames(transaction, now);
  for (const row of rows) {
    const { uniqueid } = row;
    requireFit(uniqueid);
    const folder = mailboxFolder(uniqueid);
    // A mailbox whose folder was lost leaves nothing in the trash.
    const isThere =
      !row.intermediate && statOf(join(transaction.pool.folder, folder)) !== undefined;
    const trash = isThere ? `${names.next().value}/${folder}` : "";
    buryMailbox(database, row, { deleted: now, trash });
    if (trash !== "") step(uniqueid, { kind: "move", path: folder, target: trash });
    step(uniqueid, { kind: "release", uniqueid });
  }
}

/**
 * Folders of the trash that are free: the time, then the time with a number. Tombstones of one
 * second get these numbers in their own order, so what comes after the last one is taken by none.
 */
function* freeNames({ database, pool }: Transaction, now: number): Generator<string, never> {
  const last = database
    .query<{ trash: string }, [number]>(
      "SELECT trash FROM tombstone WHERE deleted = ? AND trash <> '' ORDER BY number DESC LIMIT 1",
    )
    .get(now);
  for (let number = last === null ? 0 : numberOf(dirname(last.trash)) + 1; ; number++) {
    const name = `${TRASH_FOLDER}/${number === 0 ? now : `${now}-${number}`}`;
    if (statOf(join(pool.folder, name)) === undefined) yield name;
  }
}

/** 12 for `.trash/1800000000-12`, 0 where there is no number. */
function numberOf(name: string): number {
  return Number(/-(\d+)$/.exec(name)?.[1] ?? 0);
}

/** A folder in the trash that no tombstone names, for instance after the catalogue was lost. */
export interface StrayGrave {
  /** Below the owner's folder. */
  readonly trash: string;
  readonly uniqueid: string;
  /** Seconds since 1970, by its path; undefined where that is none of `deleteMailboxes`. */
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
  const order = ({ deleted = 0, trash }: StrayGrave) =>
    [deleted, numberOf(dirname(trash))] as const;
  return strays.sort((left, right) => {
    const [[time, number], [otherTime, otherNumber]] = [order(left), order(right)];
    return time - otherTime || number - otherNumber;
  });
}

export interface UndeleteRequest {
  /** The internal name it had, or its uniqueid. */
  readonly which: string;
  /** With what was deleted last under each name below it. */
  readonly tree?: boolean;
  /** Another name of the same owner's to come back under; `now` in seconds since 1970. */
  readonly as?: { readonly name: string; readonly now: number } | undefined;
}

/**
 * Brings back the mailbox that was deleted last under that name, and with `tree` those below it:
 * all or none. `claim` as `Store.claim`.
 */
export function undeleteMailboxes(
  folder: OwnerFolder,
  request: UndeleteRequest,
  claim: (uniqueid: string) => string | undefined,
): Tombstone[] {
  return folder.write((transaction) => {
    const { name: top, graves } = buried(transaction.database, request);
    return graves.map((grave) => {
      const name = (request.as?.name ?? top) + grave.name.slice(top.length);
      return undelete(transaction, { folder, grave, name, now: request.as?.now ?? 0, claim });
    });
  });
}

interface Undeleting {
  readonly folder: OwnerFolder;
  readonly grave: Tombstone;
  /** The name to come back under; where it is another, `now` is when the old one ends. */
  readonly name: string;
  readonly now: number;
  readonly claim: (uniqueid: string) => string | undefined;
}

function undelete(
  { database, step }: Transaction,
  { folder, grave, name, now, claim }: Undeleting,
): Tombstone {
  const { uniqueid, trash } = grave;
  const isOwn = (one: string) => isOwnedBy(one, folder.owner);
  requireName(grave.name, name, { isOwn, mayInbox: true });
  const what = `Cannot undelete ${externalName(grave.name)}`;
  const other = mailboxById(database, uniqueid)?.name;
  const holder = other === undefined ? claim(uniqueid) : externalName(other);
  if (holder !== undefined) {
    throw new AppError("refused", `${what}: ${holder} has its uniqueid`, {
      context: { uniqueid },
      hint: "The same mailbox was sent again after it was deleted; delete that one first.",
    });
  }
  if (mailboxByName(database, name) !== undefined) {
    throw new AppError("refused", `${what}: there is a mailbox ${externalName(name)}`, {
      hint: "Give another name with --as.",
    });
  }
  requireFolders(folder, grave);
  insertMailbox(database, { ...grave.mailbox, name });
  removeTombstone(database, grave.number);
  const isRenamed = name !== grave.name;
  if (isRenamed) addFormerName(database, uniqueid, { name: grave.name, until: now });
  if (trash !== "") {
    step(uniqueid, { kind: "move", path: trash, target: mailboxFolder(uniqueid) });
    step(uniqueid, { kind: "erase", path: dirname(trash) });
    if (isRenamed) for (const one of renamed(folder, grave, name)) step(uniqueid, one);
  }
  return { ...grave, name };
}

/** Refuses a mailbox whose folder is not in the trash any more, or cannot go where it was. */
function requireFolders({ folder }: OwnerFolder, grave: Tombstone): void {
  const { name, uniqueid, trash, mailbox } = grave;
  const what = `Cannot undelete ${externalName(name)}`;
  if (!mailbox.intermediate && (trash === "" || statOf(join(folder, trash)) === undefined)) {
    throw new AppError("not_found", `${what}: its folder is gone`, {
      context: { uniqueid },
      hint: "Put the folder back from a copy of the store.",
    });
  }
  if (trash === "" || holdsOnlyMessages(join(folder, mailboxFolder(uniqueid)))) return;
  throw new AppError("refused", `${what}: there is a folder ${uniqueid}`, {
    context: { uniqueid },
    hint: "The catalogue names no mailbox there: `bobbin fsck` or `store reconstruct` tell more.",
  });
}

/**
 * What was deleted last under that name, or with that uniqueid, and its name. With `tree` also what
 * was deleted last under each name below, even where the mailbox itself is not deleted.
 */
function buried(
  database: Database,
  { which, tree = false }: UndeleteRequest,
): { readonly name: string; readonly graves: readonly Tombstone[] } {
  const found = lastTombstone(database, which);
  const name = found?.name ?? which;
  const seen = new Set<string>();
  const isLast = (grave: Tombstone): boolean => {
    const ids = [grave.name, grave.uniqueid];
    const isNew = !ids.some((id) => seen.has(id));
    for (const id of ids) seen.add(id);
    return isNew;
  };
  const below = tree ? tombstones(database).filter((grave) => isBelow(grave.name, name)) : [];
  const graves = [...(found ? [found] : []), ...below.toReversed()].filter(isLast);
  if (graves.length > 0) return { name, graves: graves.sort(byName) };
  const text = `Cannot undelete ${externalName(which)}: the trash has no such mailbox`;
  const wanted = parseName(which);
  const kept = allMailboxes(database).find(({ name }) => {
    const { isDeleted, local, domain } = parseName(name);
    return isDeleted && local === wanted.local && domain === wanted.domain;
  });
  const hint =
    kept === undefined
      ? "See `bobbin store info` for what can be undeleted."
      : `Cyrus keeps it as ${externalName(kept.name)}: \`bobbin store rename\` brings it back`;
  throw new AppError("not_found", text, { hint });
}

function byName(left: Tombstone, right: Tombstone): number {
  return left.name < right.name ? -1 : 1;
}

/** The steps that write another name into the files of a mailbox, once they are back in place. */
function renamed(folder: OwnerFolder, { uniqueid, trash }: Tombstone, name: string): RedoStep[] {
  const read = (file: string) =>
    readWhole(join(folder.folder, trash, file), folder.limits.mailboxFileBytes);
  const files = Object.fromEntries(IMAGE_FILES.map((file) => [file, read(file)])) as ImageFiles;
  const image = imageOf(uniqueid, files, folder.owner);
  const history = folder.read((database) => formerNames(database, uniqueid));
  image.header.set({ name, others: withHistory(image.header.file.others, history) });
  return image.steps();
}
