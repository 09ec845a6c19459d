/**
 * A mailbox renamed to another owner: the one change that two catalogues have a part in. No
 * transaction spans two databases with write-ahead logs, so it is done in an order in which one
 * commit decides:
 *
 *     both writer locks -> handover noted in the registry (synced)
 *     -> files whole and durable in the target's `.arriving` and pool
 *     -> target's COMMIT: its row, and the step that moves the folder in
 *     -> from here on the mailbox is the target's
 *     -> claim to the target -> source's COMMIT: no row, and the steps that remove the files
 *     -> handover forgotten
 *
 * A process that finds a handover which another one left takes the source's lock and looks whether
 * the target has the mailbox: if so the rest is done, else the handover is forgotten. Nobody writes
 * to either owner before that.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { hasBit, INTERNAL_FLAG } from "../../../formats/cyrus/index/index_flags.ts";
import { IMAGE_FILES, MailboxImage } from "../../../mailbox/mailbox_image.ts";
import { storedForm } from "../../../mailbox/owner_image.ts";
import { isBelow, nameProblem, type Owner, sameOwner } from "../../../model/names.ts";
import { refusal } from "../../../model/refusal.ts";
import { createFile, makeFolder, statOf } from "../../../storage/disk.ts";
import { reading } from "../../../storage/sqlite.ts";
import { openCatalogue } from "../catalogue/catalogue.ts";
import { withHistory } from "../catalogue/history.ts";
import {
  addFormerName,
  annotationBytes,
  formerNames,
  insertMailbox,
  type MailboxRow,
  mailboxById,
  mailboxByName,
} from "../catalogue/mailbox_rows.ts";
import type { Handover, Registry } from "../catalogue/registry.ts";
import {
  ARRIVING_FOLDER,
  CATALOGUE_FILE,
  mailboxFolder,
  messageFile,
  ownerFolder,
  poolPath,
} from "../layout.ts";
import { holdsOnlyMessages } from "../messages/leftovers.ts";
import { type Arrival, admit, placeMessage } from "../messages/pool.ts";
import { readFiles } from "./committed_files.ts";
import { overlay } from "./journal.ts";
import { forgetMailboxes, guidsOutside } from "./needed.ts";
import { openImage } from "./open_mailbox.ts";
import { OwnerFolder, type StoreContext, type Transaction } from "./owner_folder.ts";

export interface HandoverRequest {
  /** Internal names, of two owners. */
  readonly oldName: string;
  readonly newName: string;
  readonly partition: string;
  /** Seconds since 1970: until when the old name held. */
  readonly now: number;
}

export interface HandoverSides {
  readonly source: OwnerFolder;
  readonly target: OwnerFolder;
  readonly registry: Registry;
}

/** Renames one mailbox of the source to a name of the target's. A refusal changes nothing. */
export function handOver(request: HandoverRequest, sides: HandoverSides): void {
  const { source, target, registry } = sides;
  let number: number | undefined;
  let isCommitted = false;
  try {
    source.write((leaving) => {
      const row = mailboxByName(leaving.database, request.oldName);
      if (row === undefined) throw refusal("nonexistent", `There is no mailbox ${request.oldName}`);
      leaving.requireFit(row.uniqueid); // else its files could not be removed afterwards
      const shared = guidsOutside(source, row.uniqueid);
      target.write((arriving) => {
        requireFree(request, row, arriving);
        if (!row.intermediate) bring({ request, row, shared }, sides, arriving);
        const { uniqueid } = row;
        const parties = { source: source.owner, target: target.owner };
        number = registry.beginHandover({ uniqueid, ...parties });
        insertRows(request, row, { leaving, arriving });
      });
      isCommitted = true;
      leave(row, shared, { source, leaving });
      registry.transfer(row.uniqueid, target.owner);
    });
    if (number !== undefined) registry.endHandover(number);
  } catch (error) {
    // The target has committed: the next writer of either owner does the rest.
    if (!isCommitted || !mayWait(error)) throw error;
  }
}

function mayWait(error: unknown): boolean {
  return error instanceof AppError && ["busy", "io", "refused"].includes(error.code);
}

function requireFree({ newName }: HandoverRequest, row: MailboxRow, arriving: Transaction): void {
  const { database } = arriving;
  arriving.requireFit(row.uniqueid);
  const refuse = (why: string) =>
    refusal("failed", `Cannot rename ${row.name} to ${newName}: ${why}`);
  const problem = nameProblem(newName);
  if (problem !== undefined) throw refuse(`no mailbox name, ${problem}`);
  if (mailboxByName(database, newName) !== undefined)
    throw refuse("there is a mailbox of that name");
  const other = mailboxById(database, row.uniqueid);
  if (other !== undefined) throw refuse(`${other.name} has the same uniqueid`);
  if (!holdsOnlyMessages(join(arriving.pool.folder, mailboxFolder(row.uniqueid))))
    throw refuse(`a folder ${row.uniqueid} that no mailbox names is there; see \`bobbin fsck\``);
}

interface Leaving {
  readonly request: HandoverRequest;
  readonly row: MailboxRow;
  /** GUIDs that other mailboxes of the source name too; undefined where one cannot be read. */
  readonly shared: ReadonlySet<string> | undefined;
}

/** Makes a copy of the mailbox's folder in `.arriving`, and adds the step that moves it in. */
function bring(
  { request, row, shared }: Leaving,
  { source, target }: HandoverSides,
  arriving: Transaction,
): void {
  const { uniqueid } = row;
  const { pool } = arriving;
  const folder = `${ARRIVING_FOLDER}/${mailboxFolder(uniqueid)}`;
  const path = join(target.folder, folder);
  rmSync(path, { recursive: true, force: true }); // left by an attempt that did not commit
  for (const made of makeFolder(path)) pool.batch.folder(join(made, ".."));
  for (const [name, bytes] of filesFor(request, row, { source, target })) {
    createFile(join(path, name), bytes);
    pool.batch.file(join(path, name));
  }
  pool.batch.folder(path);
  const image = openImage(source, row);
  const arrivals = new Map<string, Arrival>();
  const places: { readonly uid: number; readonly guid: string }[] = [];
  for (const { uid, guid, systemFlags } of image.index.records()) {
    if (hasBit(systemFlags, INTERNAL_FLAG.unlinked)) continue;
    const found = [`${uniqueid}/${messageFile(uid)}`, poolPath(guid)]
      .map((relative) => join(source.folder, relative))
      .find((candidate) => statOf(candidate) !== undefined);
    if (found === undefined) continue; // it is missing at the source too, which fsck reports
    // gc could remove an inode of two pools from neither, so what also stays at the source is
    // copied.
    const isShared = shared === undefined || shared.has(guid);
    arrivals.set(guid, { guid, staged: found, isShared });
    places.push({ uid, guid });
  }
  admit([...arrivals.values()], pool); // together, so that all are made durable at once
  for (const { uid, guid } of places) placeMessage(guid, { folder, uid }, pool);
  arriving.step(uniqueid, { kind: "move", path: folder, target: uniqueid });
}

/**
 * The files of the mailbox as they are to be at the target: with the new name, and with sums in the
 * form of the new owner.
 */
function* filesFor(
  { newName, now }: HandoverRequest,
  row: MailboxRow,
  { source, target }: Pick<HandoverSides, "source" | "target">,
): Generator<readonly [string, Uint8Array]> {
  const { uniqueid } = row;
  const files = readFiles(source, uniqueid, { names: [...IMAGE_FILES, "cyrus.cache"] });
  if (files === undefined) return;
  const { version } = openImage(source, row).index.table;
  const image = MailboxImage.open(uniqueid, files, storedForm(target.owner, version));
  const history = source.read((database) => formerNames(database, uniqueid));
  const { file } = image.header;
  const others = withHistory(file.others, [...history, { name: row.name, until: now }]);
  const quotaroot = holdsStill(file.quotaroot, newName) ? file.quotaroot : undefined;
  image.header.set({ name: newName, others, quotaroot });
  image.recount(source.read((database) => annotationBytes(database, uniqueid)));
  const steps = image.steps().map((step) => ({ uniqueid, step }));
  for (const [name, before] of Object.entries(files)) {
    const bytes = overlay(`${uniqueid}/${name}`, before, steps);
    if (bytes !== undefined) yield [name, bytes];
  }
}

/** True where the quota root `root` counts a mailbox of this name: what lies at or below it. */
function holdsStill(root: string | null | undefined, name: string): boolean {
  return typeof root === "string" && (root === name || isBelow(name, root));
}

function insertRows(
  { newName, partition, now }: HandoverRequest,
  row: MailboxRow,
  { leaving, arriving }: { readonly leaving: Transaction; readonly arriving: Transaction },
): void {
  const { uniqueid } = row;
  const { quotaroot, ...rest } = row.details;
  const kept = holdsStill(quotaroot, newName) && quotaroot !== undefined ? { quotaroot } : {};
  // A tombstone of the same mailbox may have left some.
  for (const table of ["history", "annotation"])
    arriving.database.query(`DELETE FROM ${table} WHERE uniqueid = ?`).run(uniqueid);
  insertMailbox(arriving.database, {
    ...row,
    name: newName,
    details: { ...rest, ...kept, partition },
  });
  for (const former of formerNames(leaving.database, uniqueid))
    addFormerName(arriving.database, uniqueid, former);
  addFormerName(arriving.database, uniqueid, { name: row.name, until: now });
  const insert = arriving.database.query("INSERT INTO annotation VALUES (?, ?, ?, ?, ?)");
  const annotations = leaving.database
    .query<Record<string, string>, [string]>("SELECT * FROM annotation WHERE uniqueid = ?")
    .values(uniqueid);
  for (const annotation of annotations) insert.run(...(annotation as [string]));
}

/** Takes the mailbox out of the source: its rows at the commit, its files after it. */
function leave(
  row: MailboxRow,
  shared: ReadonlySet<string> | undefined,
  { source, leaving }: { readonly source: OwnerFolder; readonly leaving: Transaction },
): void {
  const { uniqueid } = row;
  const { database, step } = leaving;
  if (!row.intermediate) {
    const guids = new Set<string>();
    for (const { guid } of openImage(source, row).index.records()) {
      if (shared !== undefined && !shared.has(guid)) guids.add(guid);
    }
    for (const guid of guids) step(uniqueid, { kind: "unlink", path: poolPath(guid) });
    step(uniqueid, { kind: "erase", path: mailboxFolder(uniqueid) });
  }
  database.query("DELETE FROM mailbox WHERE uniqueid = ?").run(uniqueid);
  forgetMailboxes(database, [uniqueid]);
}

/**
 * Ends the handovers of which `folder`'s owner is a side and whose process was killed. Throws busy.
 * In a store that is only read they end in the copies of its databases: a reader so sees what the
 * target's commit decided.
 */
export function settleHandovers(folder: OwnerFolder, context: StoreContext): void {
  const isRead = context.opening.access === "read";
  for (const handover of context.registry.handovers(folder.owner)) {
    const isSource = sameOwner(handover.source, folder.owner);
    if (isRead && !isSource) continue; // the source's copy is changed when the source is opened
    const source = isSource
      ? folder
      : OwnerFolder.open(handover.source, context, { create: false });
    try {
      if (source !== undefined) settle(handover, source, context);
      if (!isRead) context.registry.endHandover(handover.number);
    } finally {
      if (!isSource) source?.close();
    }
  }
}

function settle(handover: Handover, source: OwnerFolder, context: StoreContext): void {
  const { uniqueid, target } = handover;
  source.commit((leaving) => {
    // This process has the lock, so the one that began the handover is gone or has done its part.
    if (!hasArrived(uniqueid, target, context)) return;
    const row = mailboxById(leaving.database, uniqueid);
    if (row !== undefined) leave(row, guidsOutside(source, uniqueid), { source, leaving });
    context.registry.transfer(uniqueid, target);
  });
}

/** True where the target has committed. Nobody changes that while the handover stands. */
function hasArrived(uniqueid: string, target: Owner, context: StoreContext): boolean {
  const { root, settings, opening } = context;
  const path = join(root, ownerFolder(target, settings.hash), CATALOGUE_FILE);
  if (statOf(path) === undefined) return false;
  const catalogue = openCatalogue(path, { ...opening, create: false });
  try {
    const database = catalogue.current();
    return reading(database, path, () => mailboxById(database, uniqueid) !== undefined);
  } finally {
    catalogue.close();
  }
}
