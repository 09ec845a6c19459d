/** A store, open: its settings and registry, and the folders of the owners in use. Synchronous. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { type Owner, ownerKey, ownerOfKey } from "../../model/names.ts";
import { foldersIn, namesIn } from "../../storage/disk.ts";
import { mayWrite } from "../../storage/private_copy.ts";
import { openCatalogue } from "./catalogue/catalogue.ts";
import { Registry } from "./catalogue/registry.ts";
import { settleHandovers } from "./commit/handover.ts";
import { CATALOGUE_FILE, firstLetter, nameOfFolder, ownerFolder, REGISTRY_FILE } from "./layout.ts";
import { Staging } from "./messages/staging.ts";
import { notToBeWritten, OwnerFolder, type StoreContext } from "./owner_folder.ts";
import { readSettings, refuseNetwork, type StoreSettings } from "./store_settings.ts";

export interface StoreOptions {
  /** Seconds since 1970; the machine's clock if not given. */
  readonly now?: () => number;
  readonly limits?: Limits;
  /** Owners whose folders stay open. */
  readonly openOwners?: number;
}

const OPEN_OWNERS = 64;

export class Store {
  readonly root: string;
  readonly settings: StoreSettings;
  readonly registry: Registry;
  readonly now: () => number;
  readonly limits: Limits;
  /** This process must not write here: private copies of the databases are read. */
  readonly looks: boolean;
  readonly #context: StoreContext;
  /** The least recently used first. */
  readonly #open = new Map<string, OwnerFolder>();
  readonly #openMax: number;

  constructor(root: string, options: StoreOptions = {}) {
    this.root = resolve(root);
    this.settings = readSettings(this.root);
    refuseNetwork(this.root);
    this.looks = mayOnlyLook(this.root);
    this.registry = new Registry(this.root, { create: true, looks: this.looks });
    this.now = options.now ?? (() => Math.floor(Date.now() / 1000));
    this.limits = options.limits ?? DEFAULT_LIMITS;
    // Two at least: a claim looks into another owner while one is being written.
    this.#openMax = Math.max(2, options.openOwners ?? OPEN_OWNERS);
    const { settings, registry, now, limits } = this;
    const settle = (folder: OwnerFolder): void => settleHandovers(folder, this.#context);
    const context = { root: this.root, settings, registry, now, limits, looks: this.looks };
    this.#context = { ...context, settleHandovers: settle };
  }

  /** The folder of `owner`, or undefined where the store has none. */
  find(owner: Owner): OwnerFolder | undefined {
    return this.#get(owner, { create: false });
  }

  /** The folder of `owner`, made if there is none. */
  make(owner: Owner): OwnerFolder {
    const folder = this.#get(owner, { create: true });
    if (folder === undefined)
      throw new AppError("io", `Cannot make the folder of ${ownerKey(owner)}`);
    return folder;
  }

  #get(owner: Owner, options: { readonly create: boolean }): OwnerFolder | undefined {
    const folder = this.#opened(owner, options);
    if (folder?.hasHandovers() === true) this.#settleIfSound(folder);
    return folder;
  }

  /** Whoever is at work on a handover now ends it; one that cannot be ended waits for fsck. */
  #settleIfSound(folder: OwnerFolder): void {
    try {
      settleHandovers(folder, this.#context);
    } catch (error) {
      const codes: readonly string[] = ["busy", "io", "bad_data"];
      if (!(error instanceof AppError) || !codes.includes(error.code)) throw error;
    }
  }

  #opened(owner: Owner, options: { readonly create: boolean }): OwnerFolder | undefined {
    const word = ownerKey(owner);
    const known = this.#open.get(word);
    if (known !== undefined) {
      this.#open.delete(word);
      this.#open.set(word, known);
      return known;
    }
    const opened = OwnerFolder.open(owner, this.#context, options);
    if (opened === undefined) return undefined;
    this.#open.set(word, opened);
    for (const [oldest, folder] of this.#open) {
      if (this.#open.size <= this.#openMax) break;
      this.#open.delete(oldest);
      folder.close();
    }
    return opened;
  }

  /** Every owner that has a folder here. */
  owners(): Owner[] {
    const paths = ownerPaths(this.root, { hash: this.settings.hash, looks: this.looks });
    return paths.map((path) => path.owner()).filter((owner) => owner !== undefined);
  }

  /**
   * Claims `uniqueid` for `owner` before the transaction commits that will hold it. Returns the owner
   * that has it already, if another. A claim whose holder has no such mailbox is stale; only the
   * holder's writer lock can tell, so this may throw busy.
   */
  claim(uniqueid: string, owner: Owner): Owner | undefined {
    return this.registry.claim(uniqueid, owner, (holder) => {
      const folder = this.find(holder);
      if (folder === undefined) return true;
      return folder.write(
        ({ database }) =>
          database.query("SELECT 1 FROM mailbox WHERE uniqueid = ?").get(uniqueid) === null,
      );
    });
  }

  /** A new session's staging. Throws refused where the store is only looked at. */
  stage(): Staging {
    if (this.looks) throw notToBeWritten(this.root);
    return new Staging(this.root, this.limits);
  }

  /** True where the store has a folder for `owner`. */
  has(owner: Owner): boolean {
    return existsSync(join(this.root, ownerFolder(owner, this.settings.hash), CATALOGUE_FILE));
  }

  close(): void {
    for (const folder of this.#open.values()) folder.close();
    this.#open.clear();
    this.registry.close();
  }
}

/** True where this process must not write to the store in the folder `root`. */
export function mayOnlyLook(root: string): boolean {
  return ![root, join(root, REGISTRY_FILE)].every(mayWrite);
}

/** What to tell whoever reads the store at `root` without the right to write to it. */
export function lookingAt(root: string): string {
  return `Reading ${root} without the right to write to it: by way of private copies of its catalogues`;
}

/** A folder that is an owner's by where it lies. */
export interface OwnerPath {
  readonly folder: string;
  /** The folder's own name. */
  readonly name: string;
  /** Whose it is: by its catalogue, or where there is none, by its name unless that is shortened. */
  readonly owner: () => Owner | undefined;
}

/** Every owner's folder in the store. */
export function ownerPaths(
  root: string,
  { hash, looks }: { readonly hash: boolean; readonly looks: boolean },
): OwnerPath[] {
  const paths: OwnerPath[] = [];
  for (const kind of ["user", "shared"] as const) {
    for (const letter of hash ? namesIn(join(root, kind)) : [""]) {
      for (const name of foldersIn(join(root, kind, letter))) {
        if (hash && firstLetter(name) !== letter) continue; // nobody would look for it there
        const folder = join(root, kind, letter, name);
        paths.push({ folder, name, owner: () => ownerOf(folder, { kind, name, looks }) });
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
    looks,
  }: { readonly kind: Owner["kind"]; readonly name: string; readonly looks: boolean },
): Owner | undefined {
  const catalogue = join(folder, CATALOGUE_FILE);
  const plain = nameOfFolder(name);
  if (plain !== undefined)
    return kind === "user" ? { kind, userid: plain } : { kind, toplevel: plain };
  if (!existsSync(catalogue)) return undefined;
  const database = openCatalogue(catalogue, { create: false, looks });
  try {
    const row = database
      .current()
      .query<{ value: string }, []>("SELECT value FROM about WHERE key = 'owner'")
      .get();
    return row === null ? undefined : ownerOfKey(row.value);
  } finally {
    database.close();
  }
}
