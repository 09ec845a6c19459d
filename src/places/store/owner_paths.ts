/** Which owners a store has, by the folders that lie in it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Owner, ownerOfKey } from "../../model/names.ts";
import { foldersIn, namesIn } from "../../storage/disk.ts";
import { openCatalogue } from "./catalogue/catalogue.ts";
import type { StoreContext } from "./commit/owner_folder.ts";
import { CATALOGUE_FILE, firstLetter, nameOfFolder } from "./layout.ts";

/** What must be known of a store to find its owners. */
type StoreToWalk = Pick<StoreContext, "root" | "settings" | "opening">;

/** A folder that is an owner's by where it lies. */
export interface OwnerPath {
  readonly folder: string;
  /** The folder's own name. */
  readonly name: string;
  /** Whose it is: by its name, or where that is shortened, by its catalogue if there is one. */
  readonly owner: () => Owner | undefined;
}

/** Every owner's folder in the store. */
export function ownerPaths(store: StoreToWalk): OwnerPath[] {
  const { root, opening } = store;
  const { hash } = store.settings;
  const paths: OwnerPath[] = [];
  for (const kind of ["user", "shared"] as const) {
    for (const letter of hash ? namesIn(join(root, kind)) : [""]) {
      for (const name of foldersIn(join(root, kind, letter))) {
        if (hash && firstLetter(name) !== letter) continue; // nobody would look for it there
        const folder = join(root, kind, letter, name);
        paths.push({ folder, name, owner: () => ownerOf(folder, { kind, name, opening }) });
      }
    }
  }
  return paths;
}

function ownerOf(
  folder: string,
  {
    kind,
    name,
    opening,
  }: Pick<StoreToWalk, "opening"> & {
    readonly kind: Owner["kind"];
    readonly name: string;
  },
): Owner | undefined {
  const plain = nameOfFolder(name);
  if (plain !== undefined)
    return kind === "user" ? { kind, userid: plain } : { kind, toplevel: plain };
  const path = join(folder, CATALOGUE_FILE);
  if (!existsSync(path)) return undefined;
  const catalogue = openCatalogue(path, { ...opening, create: false });
  try {
    const row = catalogue
      .current()
      .query<{ value: string }, []>("SELECT value FROM about WHERE key = 'owner'")
      .get();
    return row === null ? undefined : ownerOfKey(row.value);
  } finally {
    catalogue.close();
  }
}
