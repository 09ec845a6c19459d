/**
 * What a store has beside mailbox folders: catalogues, pools, the registry, journals, staging. Rows
 * ST01 to ST16. The mailbox folders themselves are Cyrus' and are checked like any. Looks, and
 * changes nothing; what a running writer is about to do is never reported as damage.
 */
import { join, relative } from "node:path";
import { breathe } from "../../core/breathe.ts";
import { AppError } from "../../core/errors.ts";
import { stampAt } from "../../core/file_stamp.ts";
import { pushAll } from "../../core/lists.ts";
import type { MailboxImage } from "../../mailbox/mailbox_image.ts";
import { type Owner, ownerKey } from "../../model/names.ts";
import { isOfDatabase } from "../../places/store/catalogue/damage.ts";
import {
  type MailboxRow,
  mailboxById,
  readableMailboxes,
  type Tombstone,
  tombstones,
} from "../../places/store/catalogue/mailbox_rows.ts";
import { type MailboxStep, pendingSteps } from "../../places/store/catalogue/redo_rows.ts";
import { openImage } from "../../places/store/commit/open_mailbox.ts";
import type { OwnerFolder } from "../../places/store/commit/owner_folder.ts";
import { strayGraves } from "../../places/store/commit/trash.ts";
import {
  ARRIVING_FOLDER,
  CATALOGUE_FILE,
  poolPath,
  REGISTRY_FILE,
  STAGING_FOLDER,
} from "../../places/store/layout.ts";
import { uidOfFile } from "../../places/store/messages/leftovers.ts";
import { type OwnerPath, ownerPaths } from "../../places/store/owner_paths.ts";
import type { Store } from "../../places/store/store.ts";
import { straysOfOwner, straysOfStore } from "../../places/store/upkeep/strays.ts";
import { foldersIn, namesIn, statOf } from "../../storage/disk.ts";
import { type Finding, finding, placed } from "../finding.ts";
import { Collector } from "../mailbox/collector.ts";
import { lookUntilSure } from "../sightings.ts";
import { poolEntries } from "./pool_entries.ts";

/** What was found, and in how many folders something seemed wrong that never stood still. */
export interface StoreReport {
  readonly findings: readonly Finding[];
  readonly unstable: number;
}

/** A check in steps, between which others may have a turn. */
type Steps = Generator<void, readonly Finding[]>;

/**
 * Checks a store but for the insides of its mailboxes: registry, staging, and every owner's folder.
 * Paths in findings are below the store. A folder that cannot be opened is a finding, and the rest
 * goes on. What seems wrong must be seen again, as in a mailbox.
 */
export async function checkWholeStore(store: Store): Promise<StoreReport> {
  const findings: Finding[] = [];
  let unstable = 0;
  const look = async (check: () => Steps, database: string) => {
    const files = ["", "-wal"].map((suffix) => database + suffix);
    const stamps = () => files.map((path) => stampAt(path)).join();
    const sure = await lookUntilSure(async () => {
      const before = stamps();
      return { findings: await breathing(check()), stands: () => stamps() === before };
    }).catch((error: unknown) => {
      if (error instanceof AppError && error.code === "busy") return undefined;
      throw error;
    });
    pushAll(findings, sure?.findings ?? []);
    if (sure?.unstable ?? true) unstable += 1;
  };
  for (const path of ownerPaths(store)) {
    await look(() => checkOwnerPath(store, path), join(path.folder, CATALOGUE_FILE));
  }
  await look(() => checkStore(store), join(store.root, REGISTRY_FILE));
  return { findings, unstable };
}

async function breathing(steps: Steps): Promise<readonly Finding[]> {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    await breathe();
  }
}

function* checkOwnerPath(store: Store, { folder, owner: ownerAt }: OwnerPath): Steps {
  const below = relative(store.root, folder);
  const findings: Finding[] = [];
  try {
    pushAll(
      findings,
      straysOfOwner(folder).map((path) => finding("ST15", { path })),
    );
    const owner = ownerAt();
    const opened = owner === undefined ? undefined : store.find(owner);
    if (opened === undefined) findings.push(finding("ST01", { path: below }));
    else {
      const found = yield* checkOwner(opened);
      pushAll(
        findings,
        found.map((one) => placed(one, { path: join(below, one.at.path ?? "") })),
      );
    }
  } catch (error) {
    if (!isOfDatabase(error)) throw error;
    findings.push(finding("ST16", { path: join(below, CATALOGUE_FILE) }, { error: error.message }));
  }
  return findings;
}

/** Checks what belongs to the whole store: the registry against the users, staging, strays. */
export function* checkStore(store: Store): Steps {
  const collector = new Collector();
  yield* checkRegistry(store, collector);
  for (const name of foldersIn(join(store.root, STAGING_FOLDER))) {
    collector.add("ST11", { path: `${STAGING_FOLDER}/${name}` });
  }
  for (const path of straysOfStore(store.root, store.settings)) collector.add("ST15", { path });
  return collector.findings();
}

function* checkRegistry(store: Store, collector: Collector): Generator<void, void> {
  const damage = store.registry.damage();
  for (const { error } of damage) {
    collector.add("ST16", { path: REGISTRY_FILE }, { error: error.message });
  }
  if (damage.length > 0) return; // what it lacks is told by that
  for (const { uniqueid, source, target } of store.registry.handovers()) {
    const facts = { uniqueid, source: ownerKey(source), target: ownerKey(target) };
    collector.add("ST13", {}, facts);
  }
  const claims = new Map(store.registry.claims().map(({ uniqueid, owner }) => [uniqueid, owner]));
  const held = new Set<string>();
  for (const owner of store.owners()) {
    yield;
    for (const uniqueid of releasedBy(store, owner)) claims.delete(uniqueid);
    for (const { uniqueid, name } of rowsOf(store, owner)) {
      held.add(uniqueid);
      const claim = claims.get(uniqueid);
      const found = claim === undefined ? "no one" : ownerKey(claim);
      if (found === ownerKey(owner)) continue;
      // Made, renamed or deleted since the claims were read: it must still be so.
      const now = store.registry.holder(uniqueid);
      const isStill = rowsOf(store, owner).some((row) => row.uniqueid === uniqueid);
      if (!isStill || (now !== undefined && ownerKey(now) === ownerKey(owner))) continue;
      collector.add("ST08", {}, { expected: ownerKey(owner), found, other: name });
    }
  }
  const lost = store.lost();
  for (const { folder: path, why: error } of lost) collector.add("ST01", { path }, { error });
  const ofLost = new Set(lost.map(({ owner }) => ownerKey(owner)));
  for (const [uniqueid, owner] of claims) {
    if (held.has(uniqueid) || ofLost.has(ownerKey(owner))) continue;
    collector.add("ST09", {}, { uniqueid, owner: ownerKey(owner) });
  }
}

/** Uniqueids that the journal of an owner will give back to the registry. */
function releasedBy(store: Store, owner: Owner): readonly string[] {
  const steps = ofReadable(() => store.find(owner)?.pending()) ?? [];
  return steps.flatMap(({ step }) => (step.kind === "release" ? [step.uniqueid] : []));
}

/** The mailboxes of an owner. */
function rowsOf(store: Store, owner: Owner): readonly MailboxRow[] {
  return ofReadable(() => store.find(owner)?.read(readableMailboxes).rows) ?? [];
}

/** What `read` finds; nothing where a catalogue cannot be read, which is a finding elsewhere. */
function ofReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isOfDatabase(error)) return undefined;
    throw error;
  }
}

/** Checks one owner's folder but for the insides of mailboxes. Paths in findings are below it. */
export function* checkOwner(folder: OwnerFolder): Steps {
  const collector = new Collector();
  const damage = folder.damage();
  for (const { error } of damage)
    collector.add("ST16", { path: CATALOGUE_FILE }, { error: error.message });
  if (damage.some(({ row }) => row === undefined)) return collector.findings();
  const isDamaged = (table: string) => damage.some(({ row }) => row?.table === table);
  const { rows, damaged } = folder.read(readableMailboxes);
  const graves = isDamaged("tombstone") ? undefined : folder.read(tombstones);
  const pending = isDamaged("redo") ? undefined : folder.pending();
  const guids = new Set<string>();
  const unfit = pending === undefined ? [] : folder.unfit();
  for (const { uniqueid, steps, why } of unfit) {
    const known = [...rows, ...(graves ?? [])].find((row) => row.uniqueid === uniqueid);
    const other = known?.name ?? uniqueid;
    collector.add("ST14", { path: uniqueid }, { steps, why, other });
  }
  for (const { uniqueid, step } of pending ?? []) {
    if (unfit.some((left) => left.uniqueid === uniqueid)) continue;
    collector.add("ST10", {}, { step: step.kind, uniqueid });
  }
  for (const row of rows) {
    if (!row.intermediate) checkMailbox(folder, row, { collector, guids });
    yield;
  }
  checkFolders(folder, { rows: [...rows, ...damaged], pending, graves }, collector);
  checkPool(folder, guids, collector);
  return collector.findings();
}

interface Gathered {
  readonly collector: Collector;
  /** GUIDs that records name. */
  readonly guids: Set<string>;
}

function checkMailbox(folder: OwnerFolder, row: MailboxRow, { collector, guids }: Gathered): void {
  let image: MailboxImage;
  try {
    image = openImage(folder, row);
    for (const record of image.index.records()) guids.add(record.guid);
  } catch (error) {
    if (!(error instanceof AppError) || error.code === "busy") throw error;
    if (error.code === "not_found") return; // deleted while we looked
    collector.add("ST01", { path: row.uniqueid }, { error: error.message, other: row.name });
    return;
  }
  const { name } = image.header.file;
  if (name !== row.name && isNamed(folder, row)) {
    const path = `${row.uniqueid}/cyrus.header`;
    collector.add("ST03", { path }, { expected: row.name, found: name ?? "NIL" });
  }
  const { lastUid } = image.index.header;
  for (const file of namesIn(join(folder.folder, row.uniqueid))) {
    const uid = uidOfFile(file) ?? 0;
    if (uid > lastUid) collector.add("ST04", { path: `${row.uniqueid}/${file}`, uid });
  }
}

/** True where the mailbox has still the name of `row`, which was read before its files. */
function isNamed(folder: OwnerFolder, { uniqueid, name }: MailboxRow): boolean {
  return folder.read((database) => mailboxById(database, uniqueid))?.name === name;
}

/** True where the catalogue has a mailbox or a step for it by now. */
function isListed(folder: OwnerFolder, uniqueid: string): boolean {
  return folder.read(
    (database) =>
      mailboxById(database, uniqueid)?.intermediate === false ||
      pendingSteps(database, uniqueid).length > 0,
  );
}

/** What the catalogue says of folders; undefined where that cannot be read. */
interface Listed {
  readonly rows: readonly { readonly uniqueid: string; readonly intermediate?: boolean }[];
  readonly pending: readonly MailboxStep[] | undefined;
  readonly graves: readonly Tombstone[] | undefined;
}

/** Folders that have no row in the catalogue, and tombstones whose folder in the trash is gone. */
function checkFolders(
  folder: OwnerFolder,
  { rows, pending, graves }: Listed,
  collector: Collector,
): void {
  if (pending === undefined) return; // it would say what is on its way
  // A placeholder has no folder: where there is a mailbox of its uniqueid, the row is wrong.
  const known = new Set(rows.filter((row) => row.intermediate !== true).map((row) => row.uniqueid));
  const isMoving = (name: string) => pending.some(({ uniqueid }) => uniqueid === name);
  for (const name of foldersIn(folder.folder)) {
    if (name.startsWith(".") || known.has(name)) continue;
    const hasIndex = statOf(join(folder.folder, name, "cyrus.index")) !== undefined;
    // A mailbox whose creation did not commit has messages at most; one that was moved away has a
    // step.
    if (isMoving(name) || isListed(folder, name)) continue;
    if (statOf(join(folder.folder, name)) === undefined) continue; // deleted while we looked
    collector.add(hasIndex ? "ST02" : "ST04", { path: name });
  }
  for (const name of foldersIn(join(folder.folder, ARRIVING_FOLDER))) {
    if (!isMoving(name)) collector.add("ST04", { path: `${ARRIVING_FOLDER}/${name}` });
  }
  if (graves === undefined) return;
  for (const { name, trash } of graves) {
    const isThere = trash === "" || statOf(join(folder.folder, trash)) !== undefined;
    const isComing = pending.some(({ step }) => step.kind === "move" && step.target === trash);
    if (!isThere && !isComing) collector.add("ST12", { path: trash }, { other: name });
  }
  for (const { trash: path } of strayGraves(folder)) collector.add("ST12", { path });
}

function checkPool(
  { folder }: OwnerFolder,
  guids: ReadonlySet<string>,
  collector: Collector,
): void {
  const held = new Set<string>();
  for (const { path, guid } of poolEntries(folder)) {
    if (guid !== undefined) held.add(guid);
    else if (path.endsWith(".NEW")) collector.add("TM01", { path });
    else collector.add("ST07", { path }, { what: "other" });
    if (guid !== undefined && !guids.has(guid)) {
      collector.tally("ST07", { path }, { what: "message" });
    }
  }
  for (const guid of guids) {
    const path = poolPath(guid);
    // The file may have been written after the pool was listed.
    if (held.has(guid) || statOf(join(folder, path)) !== undefined) continue;
    collector.tally("ST06", { path });
  }
}
