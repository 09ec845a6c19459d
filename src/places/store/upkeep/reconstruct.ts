/**
 * Rebuilds catalogues and the registry from what the mailbox folders say of themselves: each
 * cyrus.header has the name, the uniqueid, the ACL and the former names. What a catalogue knew and
 * no folder does (subscriptions, seen state, scripts, quotas, mailbox annotations) is kept where
 * the old catalogue can still be read, and gone where not.
 *
 * The store may be in use meanwhile: each owner is done under the owner's writer lock, and of the
 * registry's claims only those of that owner are changed with it.
 */
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { pushAll } from "../../../core/lists.ts";
import type { HeaderFile } from "../../../formats/cyrus/header_file.ts";
import { isUniqueid } from "../../../model/mailbox.ts";
import { isOwnedBy, nameProblem, type Owner, ownerKey } from "../../../model/names.ts";
import { foldersIn, statOf } from "../../../storage/disk.ts";
import { whileBusy } from "../../../storage/retry.ts";
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
import { headerIn } from "../header_in.ts";
import { type OwnerPath, ownerPaths } from "../owner_paths.ts";
import type { Store } from "../store.ts";
import { mendCatalogue, mendRegistry, type ReconstructNote } from "./mend_databases.ts";

/**
 * Rebuilds the whole store's catalogues and registry; says in `notes`, which is returned, what it
 * has changed so far. What stops it at one owner, be it a writer that does not let go of the lock,
 * stops it at no other.
 */
export async function reconstructStore(
  store: Store,
  notes: ReconstructNote[] = [],
): Promise<ReconstructNote[]> {
  pushAll(notes, await whileBusy(() => mendRegistry(store)));
  for (const path of ownerPaths(store)) {
    try {
      await reconstructOwner(path, store, notes);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const reason = error.message;
      notes.push({ owner: path.name, what: "folder left out", name: path.folder, reason });
    }
  }
  const dropped = await whileBusy(() => store.registry.dropClaims((owner) => store.has(owner)));
  for (const [owner, count] of dropped) {
    const reason = "the store has no folder of this owner any more";
    notes.push({ owner, what: "claims dropped", name: `${count} of its mailboxes`, reason });
  }
  return notes;
}

/** Each step has a retry of its own: what an earlier one has done is not done and told again. */
async function reconstructOwner(
  path: OwnerPath,
  store: Store,
  notes: ReconstructNote[],
): Promise<void> {
  const owner = path.owner();
  if (owner === undefined) {
    const reason = "no mailbox names its owner";
    notes.push({ owner: path.name, what: "folder left out", name: path.folder, reason });
    return;
  }
  pushAll(notes, await whileBusy(() => mendCatalogue(owner, path, store)));
  pushAll(notes, await whileBusy(() => addMailboxes(owner, store)));
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
    const homeless = dropHomeless(folder, rows);
    const kept = rows.filter((row) => !homeless.has(row.uniqueid));
    const names = new Set(kept.map((row) => row.name));
    const known = new Set(kept.map((row) => row.uniqueid));
    for (const row of kept) {
      if (row.intermediate || hasIndex(folder, row.uniqueid)) continue;
      notes.push({ owner: word, what: "mailbox without a folder", name: row.name });
    }
    for (const uniqueid of foldersIn(folder.folder)) {
      if (uniqueid.startsWith(".") || known.has(uniqueid)) continue;
      const header = fitHeader(join(folder.folder, uniqueid), { uniqueid, owner, names });
      if (header === undefined) continue;
      if (typeof header === "string") {
        notes.push({ owner: word, what: "folder left out", name: uniqueid, reason: header });
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

function hasIndex({ folder }: OwnerFolder, uniqueid: string): boolean {
  return statOf(join(folder, uniqueid, "cyrus.index")) !== undefined;
}

/**
 * Drops rows that stand in the way of a folder which knows better: a placeholder where a mailbox
 * lies, and a mailbox without a folder whose name the header of another folder has. Returns their
 * uniqueids.
 */
function dropHomeless(folder: OwnerFolder, rows: readonly MailboxRow[]): ReadonlySet<string> {
  const known = new Set(rows.map((row) => row.uniqueid));
  const unknown = foldersIn(folder.folder)
    .filter((name) => isUniqueid(name) && !known.has(name))
    .map((name) => headerIn(join(folder.folder, name)));
  const wanted = new Set(unknown.map((header) => typeof header === "object" && header.name));
  const homeless = rows.filter(({ uniqueid, name, intermediate }) =>
    hasIndex(folder, uniqueid) ? intermediate : wanted.has(name),
  );
  const drop = folder.database.query("DELETE FROM mailbox WHERE uniqueid = ?");
  for (const { uniqueid } of homeless) drop.run(uniqueid);
  return new Set(homeless.map(({ uniqueid }) => uniqueid));
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
  const header = fitHeader(join(folder, trash), { uniqueid, owner, names: new Set() });
  if (header === undefined || deleted === undefined) return;
  const word = ownerKey(owner);
  if (typeof header === "string") {
    notes.push({ owner: word, what: "folder left out", name: trash, reason: header });
    return;
  }
  const row = rowOf(header, uniqueid);
  insertTombstone(database, row, { deleted, trash });
  const isKnown = mailboxById(database, uniqueid) !== undefined;
  if (!isKnown && formerNames(database, uniqueid).length === 0)
    for (const former of historyIn(header.others)) addFormerName(database, uniqueid, former);
  notes.push({ owner: word, what: "deleted mailbox added", name: row.name });
}

/** The header of the mailbox in `path`, or why it can be none of `owner`'s; undefined for none. */
function fitHeader(
  path: string,
  place: { readonly uniqueid: string; readonly owner: Owner; readonly names: ReadonlySet<string> },
): HeaderFile | string | undefined {
  const header = headerIn(path);
  if (header === undefined || typeof header === "string") return header;
  const name = header.name ?? "";
  if (!isUniqueid(place.uniqueid) || header.uniqueid !== place.uniqueid) {
    return `its header has the uniqueid ${header.uniqueid}`;
  }
  const problem = nameProblem(name);
  if (problem !== undefined) return `its header has the name "${name}": ${problem}`;
  if (!isOwnedBy(name, place.owner)) return `${name} is not its owner's`;
  return place.names.has(name) ? `there is another mailbox ${name}` : header;
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
