/**
 * The first half of `store reconstruct`: databases that can be opened and whose rows are sound, so
 * that what the folders tell can be written into them. Damaged rows are dropped; a file that cannot
 * be read is set aside, and what can still be read of it is taken over. Everything that is lost is
 * told.
 */
import { dirname, join } from "node:path";
import type { AppError } from "../../../core/errors.ts";
import { isUniqueid } from "../../../model/mailbox.ts";
import { type Owner, ownerKey, ownerOfKey } from "../../../model/names.ts";
import { statOf } from "../../../storage/disk.ts";
import { syncPath } from "../../../storage/durable.ts";
import { writing } from "../../../storage/sqlite.ts";
import type { StoreDatabase } from "../../../storage/store_database.ts";
import { openCatalogue } from "../catalogue/catalogue.ts";
import {
  type Damage,
  damageOf,
  insertRows,
  isBroken,
  type SavedRows,
  salvage,
  setAside,
} from "../catalogue/damage.ts";
import { noteOwnerKey, ownerKeyIn } from "../catalogue/owner_row.ts";
import { giveUpSteps } from "../catalogue/redo_rows.ts";
import { CATALOGUE_TABLES, type DamagedRow, dropRow } from "../catalogue/sound_rows.ts";
import { CATALOGUE_FILE } from "../layout.ts";
import { holdsMailboxes } from "../messages/leftovers.ts";
import type { OwnerPath } from "../owner_paths.ts";
import type { Store } from "../store.ts";

/** What became of one folder, or of a row of a database. */
export interface ReconstructNote {
  readonly owner: string;
  readonly what:
    | "registry set aside"
    | "catalogue set aside"
    | "catalogue made"
    | "row dropped"
    | "mailbox added"
    | "deleted mailbox added"
    | "mailbox without a folder"
    | "changes dropped"
    | "claims dropped"
    | "folder left out";
  /** The mailbox, the folder's path, or what was lost. */
  readonly name: string;
  /** Why. */
  readonly reason?: string;
}

/** What the rows of a table are to people. Claims are no loss: catalogues tell them. */
const MEANING: Readonly<Record<string, string>> = {
  mailbox: "what only the catalogue knows of mailboxes",
  history: "former names of mailboxes",
  tombstone: "where deleted mailboxes lie",
  subscription: "subscriptions",
  seen: "seen state",
  sieve: "scripts",
  quota: "quotas",
  annotation: "annotations",
  redo: "changes that were promised and not yet done",
  handover: "mailboxes on their way to another owner",
};

const OF_THE_STORE = "the store";

/** Makes the registry usable. The claims come from the catalogues, owner by owner. */
export function mendRegistry({ registry, now }: Store): ReconstructNote[] {
  const found = registry.damage();
  const broken = found.find(({ row }) => row === undefined);
  const owner = OF_THE_STORE;
  if (broken === undefined) {
    const rows = rowsOf(found);
    if (rows.length > 0) registry.drop(rows);
    return found.map(({ error }) => droppedNote(owner, error));
  }
  if (!isBroken(registry.path, broken.error)) throw broken.error;
  const { name, unread } = registry.makeAnew(`uniqueids.damaged-${now()}`);
  const reason = withLost(broken.error.message, unread);
  return [{ owner, what: "registry set aside", name, reason }];
}

/** Makes the catalogue of `owner` usable, where there is one or ought to be one. */
export function mendCatalogue(
  owner: Owner,
  { folder }: OwnerPath,
  store: Pick<Store, "opening" | "now">,
): ReconstructNote[] {
  const path = join(folder, CATALOGUE_FILE);
  const word = ownerKey(owner);
  if (statOf(path) === undefined) {
    if (!holdsMailboxes(folder)) return [];
    makeCatalogue(owner, path, store);
    const reason = withLost("it was gone", SAVED);
    return [{ owner: word, what: "catalogue made", name: path, reason }];
  }
  let catalogue: StoreDatabase | undefined;
  try {
    const open = () => {
      catalogue = openCatalogue(path, { ...store.opening, create: false });
      return catalogue.current();
    };
    const found = damageOf(path, open, CATALOGUE_TABLES);
    const broken = found.find(({ row }) => row === undefined);
    if (broken !== undefined) return replaceCatalogue({ path, owner, broken, store });
    const rows = rowsOf(found);
    const database = catalogue?.current();
    if (database === undefined) return [];
    const named = ownerKeyIn(database) ?? word;
    // A catalogue of somebody else is no damage of this one: who opens it refuses it by name.
    if (named !== word && ownerOfKey(named) !== undefined) return [];
    const isNew = writing(database, path, () => {
      for (const row of rows) dropRow(database, row, CATALOGUE_TABLES);
      for (const uniqueid of unfinished(rows)) giveUpSteps(database, uniqueid);
      return holdsMailboxes(folder) && noteOwnerKey(database, word);
    });
    const notes = found.map(({ error }) => droppedNote(word, error));
    if (!isNew || rows.length > 0) return notes;
    const reason = withLost("it was empty", SAVED);
    return [{ owner: word, what: "catalogue made", name: path, reason }];
  } finally {
    catalogue?.close();
  }
}

/** Mailboxes of which a step is lost: the others cannot be done without it. */
function unfinished(rows: readonly DamagedRow[]): string[] {
  return rows
    .filter(({ table }) => table === "redo")
    .flatMap(({ row: { uniqueid } }) =>
      typeof uniqueid === "string" && isUniqueid(uniqueid) ? [uniqueid] : [],
    );
}

/** The tables that are taken over from a damaged catalogue, as far as they can be read. */
const SAVED = Object.keys(CATALOGUE_TABLES).filter((table) => table !== "about");

interface ToReplace {
  readonly path: string;
  readonly owner: Owner;
  readonly broken: Damage;
  readonly store: Pick<Store, "opening" | "now">;
}

/** A process that has the old one open finds out before it writes (owner_folder.ts). */
function replaceCatalogue({ path, owner, broken, store }: ToReplace): ReconstructNote[] {
  if (!isBroken(path, broken.error)) throw broken.error;
  const { saved, unread } = salvage(path, CATALOGUE_TABLES, SAVED);
  const name = setAside(path, `.catalogue.damaged-${store.now()}`);
  // Half of the steps of a journal would leave mailboxes that nobody has ever had.
  const kept = saved.filter(({ table }) => table !== "redo" || !unread.includes(table));
  makeCatalogue(owner, path, { ...store, rows: kept });
  const reason = withLost(broken.error.message, unread);
  return [{ owner: ownerKey(owner), what: "catalogue set aside", name, reason }];
}

/** Makes a new catalogue with these rows. */
function makeCatalogue(
  owner: Owner,
  path: string,
  { opening, rows = [] }: Pick<Store, "opening"> & { readonly rows?: readonly SavedRows[] },
): void {
  const catalogue = openCatalogue(path, { ...opening, create: true });
  try {
    const database = catalogue.current();
    writing(database, path, () => {
      noteOwnerKey(database, ownerKey(owner));
      for (const some of rows) insertRows(database, some);
    });
    syncPath(dirname(path), "folder");
  } finally {
    catalogue.close();
  }
}

function rowsOf(found: readonly Damage[]): DamagedRow[] {
  return found.map(({ row }) => row).filter((row) => row !== undefined);
}

function droppedNote(owner: string, { message }: AppError): ReconstructNote {
  return { owner, what: "row dropped", name: message };
}

/** `what`, and what was lost with it. */
function withLost(what: string, tables: readonly string[]): string {
  if (tables.length === 0) return what;
  const words = tables.map((table) => MEANING[table] ?? table).join(", ");
  return `${what}; lost, as far as they could not be read: ${words}`;
}
