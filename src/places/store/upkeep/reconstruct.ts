/**
 * Rebuilds catalogues and the registry from what the mailbox folders say of themselves: each
 * cyrus.header has the name, the uniqueid, the ACL and the former names. What a catalogue knew and
 * no folder does (subscriptions, seen state, scripts, quotas, mailbox annotations) is kept where
 * the old catalogue can still be read, and gone where not.
 *
 * The store may be in use meanwhile: each owner is done under the owner's writer lock, and of the
 * registry's claims only those of that owner are changed with it.
 */

import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { AppError, FormatError } from "../../../core/errors.ts";
import { pushAll } from "../../../core/lists.ts";
import { type HeaderFile, parseHeaderFile } from "../../../formats/cyrus/header_file.ts";
import { isOwnedBy, isValidName, type Owner, ownerKey, parseName } from "../../../model/names.ts";
import { foldersIn, readWhole, statOf } from "../../../storage/disk.ts";
import { whileBusy } from "../../../storage/retry.ts";
import { sqliteError } from "../../../storage/sqlite.ts";
import type { StoreDatabase } from "../../../storage/store_database.ts";
import { openCatalogue } from "../catalogue/catalogue.ts";
import { historyIn } from "../catalogue/history.ts";
import {
  addFormerName,
  allMailboxes,
  formerNames,
  insertMailbox,
  insertTombstone,
  type MailboxRow,
  mailboxById,
} from "../catalogue/mailbox_rows.ts";
import { giveUpSteps, leftSteps } from "../catalogue/redo_rows.ts";
import type { OwnerFolder } from "../commit/owner_folder.ts";
import { type StrayGrave, strayGraves } from "../commit/trash.ts";
import { CATALOGUE_FILE, isUniqueid, ownerFolder } from "../layout.ts";
import { type OwnerPath, ownerPaths } from "../owner_paths.ts";
import type { Store } from "../store.ts";

/** What became of one folder. */
export interface ReconstructNote {
  readonly owner: string;
  readonly what:
    | "catalogue set aside"
    | "mailbox added"
    | "deleted mailbox added"
    | "mailbox without a folder"
    | "changes dropped"
    | "folder left out";
  /** The mailbox, or the folder's path. */
  readonly name: string;
  /** Why, for a folder that was left out or changes that were dropped. */
  readonly reason?: string;
}

/**
 * Rebuilds the whole store's catalogues and registry; says what it changed. What stops it at one
 * owner, be it a writer that does not let go of the lock, stops it at no other.
 */
export async function reconstructStore(store: Store): Promise<ReconstructNote[]> {
  const notes: ReconstructNote[] = [];
  for (const path of ownerPaths(store)) {
    try {
      await reconstructOwner(path, store, notes);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const reason = error.message;
      notes.push({ owner: path.name, what: "folder left out", name: path.folder, reason });
    }
  }
  await whileBusy(() => store.registry.dropClaims((owner) => store.has(owner)));
  return notes;
}

/** Each step has a retry of its own: what an earlier one has done is not done and told again. */
async function reconstructOwner(
  path: OwnerPath,
  store: Store,
  notes: ReconstructNote[],
): Promise<void> {
  const aside = await whileBusy(() => setAsideDamaged(path, store));
  if (aside !== undefined)
    notes.push({ owner: path.name, what: "catalogue set aside", name: aside });
  const owner = ownerAt(path, store);
  if (owner === undefined) {
    const reason = "no mailbox names its owner";
    notes.push({ owner: path.name, what: "folder left out", name: path.folder, reason });
  } else pushAll(notes, await whileBusy(() => addMailboxes(owner, store)));
}

/**
 * Moves a catalogue that cannot be read out of the way; nothing is deleted. Returns its name then.
 * A process that has it open finds out before it writes (owner_folder.ts).
 */
function setAsideDamaged(path: OwnerPath, store: Store): string | undefined {
  const catalogue = join(path.folder, CATALOGUE_FILE);
  if (!existsSync(catalogue)) return undefined;
  let database: StoreDatabase | undefined;
  try {
    try {
      database = openCatalogue(catalogue, { ...store.opening, create: false });
      // Opening reads the first page only.
      const query = database.current().query("PRAGMA quick_check(1)");
      if (query.values()[0]?.[0] === "ok") return undefined;
      database.current().run("BEGIN IMMEDIATE"); // nobody is in the middle of a transaction
    } catch (error) {
      const known = sqliteError(error, catalogue);
      if (!(known instanceof AppError) || known.code !== "bad_data") throw known;
    }
    const aside = `.catalogue.damaged-${store.now()}`;
    for (const suffix of ["", "-wal", "-shm"]) {
      const file = catalogue + suffix;
      if (existsSync(file)) renameSync(file, join(path.folder, `${aside}${suffix}`));
    }
    return aside;
  } finally {
    database?.close();
  }
}

/** The owner of a folder, by its catalogue, by its name or by its mailboxes. */
function ownerAt(path: OwnerPath, store: Store): Owner | undefined {
  const known = path.owner();
  if (known !== undefined) return known;
  for (const uniqueid of foldersIn(path.folder)) {
    const header = headerIn(join(path.folder, uniqueid));
    if (header === undefined || typeof header === "string") continue;
    const { owner } = parseName(header.name ?? "");
    if (join(store.root, ownerFolder(owner, store.settings.hash)) === path.folder) return owner;
  }
  return undefined;
}

const HEADER_BYTES_MAX = 16 * 1024 * 1024;

/** The header of the mailbox in `folder`; undefined for no mailbox, or why it cannot be used. */
function headerIn(folder: string): HeaderFile | string | undefined {
  if (statOf(folder)?.isDirectory() !== true) return undefined;
  if (!existsSync(join(folder, "cyrus.index"))) return undefined;
  try {
    const bytes = readWhole(join(folder, "cyrus.header"), HEADER_BYTES_MAX);
    return bytes === undefined ? "it has no cyrus.header" : parseHeaderFile(bytes);
  } catch (error) {
    if (error instanceof FormatError || error instanceof AppError) return error.message;
    throw error;
  }
}

/** Does the catalogue and the claims of one owner in one transaction; returns what it changed. */
function addMailboxes(owner: Owner, store: Store): ReconstructNote[] {
  const folder = store.make(owner);
  const word = ownerKey(owner);
  return folder.write(({ database }) => {
    const notes: ReconstructNote[] = [];
    const rows = allMailboxes(database);
    for (const { uniqueid, steps, why } of leftSteps(database)) {
      const name = rows.find((row) => row.uniqueid === uniqueid)?.name ?? uniqueid;
      giveUpSteps(database, uniqueid);
      const reason = `${steps} that were promised: ${why}`;
      notes.push({ owner: word, what: "changes dropped", name, reason });
    }
    const names = new Set(rows.map((row) => row.name));
    const known = new Set(rows.map((row) => row.uniqueid));
    for (const row of rows) {
      if (row.intermediate || existsSync(join(folder.folder, row.uniqueid, "cyrus.index")))
        continue;
      notes.push({ owner: word, what: "mailbox without a folder", name: row.name });
    }
    for (const uniqueid of foldersIn(folder.folder)) {
      if (uniqueid.startsWith(".") || known.has(uniqueid)) continue;
      const header = headerIn(join(folder.folder, uniqueid));
      if (header === undefined) continue;
      const reason =
        typeof header === "string" ? header : whyNot(header, { uniqueid, owner, names });
      if (reason !== undefined || typeof header === "string") {
        notes.push({ owner: word, what: "folder left out", name: uniqueid, reason: reason ?? "" });
        continue;
      }
      const row = rowOf(header, uniqueid);
      names.add(row.name);
      insertMailbox(database, row);
      for (const former of historyIn(header.others)) addFormerName(database, uniqueid, former);
      notes.push({ owner: word, what: "mailbox added", name: row.name });
    }
    for (const grave of strayGraves(folder)) addGrave(folder, grave, notes);
    claimAll(owner, store, { rows: allMailboxes(database), notes });
    return notes;
  });
}

/**
 * Makes the claims of `owner` those for `rows`. The owner's writer lock is held, without which
 * nobody claims for this owner. A uniqueid that another owner holds too is told, and stays as it
 * is.
 */
function claimAll(
  owner: Owner,
  store: Store,
  { rows, notes }: { readonly rows: readonly MailboxRow[]; readonly notes: ReconstructNote[] },
): void {
  const uniqueids = rows.map((row) => row.uniqueid);
  for (const uniqueid of store.registry.adopt(uniqueids, owner)) {
    const holder = store.claim(uniqueid, owner);
    if (holder === undefined) continue;
    const reason = `its uniqueid is also held by ${ownerKey(holder)}`;
    notes.push({ owner: ownerKey(owner), what: "folder left out", name: uniqueid, reason });
  }
}

/** Makes a mailbox in the trash a deleted one again, so that it can be undeleted. */
function addGrave(
  { owner, folder, database }: OwnerFolder,
  { trash, uniqueid, deleted }: StrayGrave,
  notes: ReconstructNote[],
): void {
  const header = headerIn(join(folder, trash));
  if (header === undefined || deleted === undefined) return;
  const word = ownerKey(owner);
  const reason =
    typeof header === "string" ? header : whyNot(header, { uniqueid, owner, names: new Set() });
  if (reason !== undefined || typeof header === "string") {
    notes.push({ owner: word, what: "folder left out", name: trash, reason: reason ?? "" });
    return;
  }
  const row = rowOf(header, uniqueid);
  insertTombstone(database, row, { deleted, trash });
  const isKnown = mailboxById(database, uniqueid) !== undefined;
  if (!isKnown && formerNames(database, uniqueid).length === 0)
    for (const former of historyIn(header.others)) addFormerName(database, uniqueid, former);
  notes.push({ owner: word, what: "deleted mailbox added", name: row.name });
}

function whyNot(
  header: HeaderFile,
  place: { readonly uniqueid: string; readonly owner: Owner; readonly names: ReadonlySet<string> },
): string | undefined {
  const name = header.name ?? "";
  if (!isUniqueid(place.uniqueid) || header.uniqueid !== place.uniqueid) {
    return `its header has the uniqueid ${header.uniqueid}`;
  }
  if (!isValidName(name)) return `its header has the name "${name}"`;
  if (!isOwnedBy(name, place.owner)) return `${name} is not its owner's`;
  if (place.names.has(name)) return `there is another mailbox ${name}`;
  return undefined;
}

function rowOf(header: HeaderFile, uniqueid: string): MailboxRow {
  const { name, type, acl, quotaroot, jmapid } = header;
  const details = {
    partition: "default",
    acl: acl ?? null,
    ...(type === undefined || type === null || type === "e" ? {} : { type }),
    ...(quotaroot === undefined || quotaroot === null ? {} : { quotaroot }),
    ...(jmapid === undefined ? {} : { jmapid }),
  };
  const known = { uniqueid, name: name ?? "", details, intermediate: false };
  return { ...known, annotVariant: undefined, annotCrc: undefined };
}
