/** Which owners a store has, by the folders that lie in it. */
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { type Owner, ownerOfKey, parseName } from "../../model/names.ts";
import { foldersIn, namesIn, statOf } from "../../storage/disk.ts";
import { firstLetter, nameOfFolder } from "../../storage/folder_name.ts";
import { reading } from "../../storage/sqlite.ts";
import type { StoreDatabase } from "../../storage/store_database.ts";
import { openCatalogue } from "./catalogue/catalogue.ts";
import { ownerKeyIn } from "./catalogue/owner_row.ts";
import type { StoreContext } from "./commit/owner_folder.ts";
import { headerIn } from "./header_in.ts";
import { CATALOGUE_FILE, ownerFolder } from "./layout.ts";

/** What must be known of a store to find its owners. */
type StoreToWalk = Pick<StoreContext, "root" | "settings" | "opening">;

/** A folder that is an owner's by where it lies. */
export interface OwnerPath {
  readonly folder: string;
  /** The folder's own name. */
  readonly name: string;
  /** Whose it is: by its name, or where that is shortened, by its catalogue or its mailboxes. */
  readonly owner: () => Owner | undefined;
}

/** Every owner's folder in the store. */
export function ownerPaths(store: StoreToWalk): OwnerPath[] {
  const { root } = store;
  const { hash } = store.settings;
  const paths: OwnerPath[] = [];
  for (const kind of ["user", "shared"] as const) {
    for (const letter of hash ? namesIn(join(root, kind)) : [""]) {
      for (const name of foldersIn(join(root, kind, letter))) {
        if (hash && firstLetter(name) !== letter) continue; // nobody would look for it there
        const folder = join(root, kind, letter, name);
        paths.push({ folder, name, owner: () => ownerOf(folder, { kind, name, store }) });
      }
    }
  }
  return paths;
}

function ownerOf(folder: string, { kind, name, store }: OfFolder): Owner | undefined {
  const plain = nameOfFolder(name);
  if (plain !== undefined)
    return kind === "user" ? { kind, userid: plain } : { kind, toplevel: plain };
  const isItself = (owner: Owner) =>
    join(store.root, ownerFolder(owner, store.settings.hash)) === folder;
  const known = ownerInCatalogue(folder, store);
  return known !== undefined && isItself(known) ? known : ownersInHeaders(folder).find(isItself);
}

interface OfFolder {
  readonly kind: Owner["kind"];
  readonly name: string;
  readonly store: StoreToWalk;
}

/** Undefined also where the catalogue cannot be read, which whoever opens it is told. */
function ownerInCatalogue(folder: string, { opening }: StoreToWalk): Owner | undefined {
  const path = join(folder, CATALOGUE_FILE);
  if (statOf(path) === undefined) return undefined;
  let catalogue: StoreDatabase | undefined;
  try {
    catalogue = openCatalogue(path, { ...opening, create: false });
    const database = catalogue.current();
    const key = reading(database, path, () => ownerKeyIn(database));
    return key === undefined ? undefined : ownerOfKey(key);
  } catch (error) {
    if (error instanceof AppError && error.code !== "busy") return undefined;
    throw error;
  } finally {
    catalogue?.close();
  }
}

/** The owners that the mailboxes in a folder name. */
function ownersInHeaders(folder: string): Owner[] {
  const headers = foldersIn(folder).map((uniqueid) => headerIn(join(folder, uniqueid)));
  return headers
    .filter((header) => typeof header === "object")
    .map(({ name }) => parseName(name ?? "").owner);
}
