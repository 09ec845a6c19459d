/**
 * A store, open: its settings, its registry, and the folders of the owners in use. Synchronous.
 *
 * The words of the store, which are explained here only (what lies where: layout.ts):
 *
 *     owner        a user, or the top level of a tree of shared mailboxes; each has one folder
 *     catalogue    an owner's database: mailboxes by name, subscriptions, scripts, quotas, journal
 *     pool         an owner's messages, one file for each GUID; mailboxes hold hard links to them
 *     staging      messages that a session has sent and no mailbox names yet; nothing is promised
 *     transaction  changes under the owner's writer lock, which hold from its commit on
 *     redo row     a step that a committed transaction still has to do to a file; it says which
 *                  bytes stand there afterwards, so that doing it twice is the same as once
 *     journal      all redo rows of an owner
 *     to settle    to do the steps of the journal to the files and to drop their rows
 *     to lay over  to read a file as it will be once the journal is settled
 *     unfit        said of a mailbox whose files were lost or replaced, so that its steps wait
 *     trash        the folders of deleted mailboxes, until they are undeleted or gc removes them
 *     tombstone    the row of a deleted mailbox; it says where in the trash its folder lies
 *     leftover     files of a transaction that did not commit; gc removes them
 *     stray        a file or folder in a store that is no part of it
 *     registry     the store's database: which owner has which uniqueid
 *     claim        its row for one uniqueid, made before the transaction commits that uses it
 *     handover     a mailbox on its way to another owner; the registry notes it until it is over
 *     arriving     a mailbox's files at the new owner's, until the journal there moves them in
 *     image        the files of one mailbox in memory (src/mailbox); its changes become steps
 */
import type { Database } from "bun:sqlite";
import { basename, join, resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { type Owner, ownerKey, ownerName, ownerOfKey } from "../../model/names.ts";
import { statOf } from "../../storage/disk.ts";
import { SyncDescriptors } from "../../storage/durable.ts";
import { makePrivateFolder, removePrivateFolder } from "../../storage/private_folder.ts";
import type { SchemaChange } from "../../storage/sqlite.ts";
import type { Access } from "../../storage/store_database.ts";
import { isOfDatabase } from "./catalogue/damage.ts";
import { mailboxById } from "./catalogue/mailbox_rows.ts";
import { Registry } from "./catalogue/registry.ts";
import { settleHandovers } from "./commit/handover.ts";
import { OwnerFolder, type StoreContext } from "./commit/owner_folder.ts";
import { CATALOGUE_FILE, ownerFolder } from "./layout.ts";
import { holdsMailboxes } from "./messages/leftovers.ts";
import { Staging } from "./messages/staging.ts";
import { ownerPaths } from "./owner_paths.ts";
import { mayWriteStore, noteOpen, notToBeWritten, readWithoutRight } from "./store_access.ts";
import { readSettings, refuseNetwork, type StoreSettings } from "./store_settings.ts";

export interface StoreOptions {
  /**
   * What the opening may do to the store; `write` if not given. With `read` no journal is replayed,
   * no handover ended and no schema raised: what they would change is laid over what is read.
   */
  readonly access?: Access;
  /**
   * It is looked at as what will be written to: an owner whose folder is gone is then as one who
   * has never been there. Who reads mail of such an owner gets bad_data.
   */
  readonly isTarget?: boolean;
  /** Told in one line, before `upgrade` raises the schema of databases. */
  readonly tell?: ((text: string) => void) | undefined;
  /** Seconds since 1970; the machine's clock if not given. */
  readonly now?: () => number;
  readonly limits?: Limits;
  /** Owners whose folders stay open. */
  readonly openOwners?: number;
}

const OPEN_OWNERS = 64;

/** An owner of whose mailboxes the registry knows, and whose folder is gone. */
export interface LostOwner {
  readonly owner: Owner;
  /** Below the root of the store. */
  readonly folder: string;
  readonly why: string;
}

export class Store {
  readonly root: string;
  readonly settings: StoreSettings;
  readonly registry: Registry;
  readonly now: () => number;
  readonly limits: Limits;
  /** What a person should know of how the store is read. */
  readonly caveat: string | undefined;
  /** How its databases are opened. */
  readonly opening: StoreContext["opening"];
  readonly #context: StoreContext;
  readonly #syncs: SyncDescriptors;
  /** The least recently used first. */
  readonly #open = new Map<string, OwnerFolder>();
  readonly #openMax: number;
  readonly #leave: () => void;
  readonly #tellsLost: boolean;

  constructor(root: string, options: StoreOptions = {}) {
    this.root = resolve(root);
    this.settings = readSettings(this.root);
    refuseNetwork(this.root);
    const { access = "write", isTarget = false, tell = () => undefined } = options;
    this.#tellsLost = access === "read" && !isTarget;
    const isForeign = !mayWriteStore(this.root);
    if (isForeign && access !== "read") throw notToBeWritten(this.root);
    this.caveat = isForeign ? readWithoutRight(this.root) : undefined;
    this.opening = { access, raised: tellOnce(this.root, tell) };
    const hasMailboxes = () => this.#hasMailboxes();
    // Readers copy databases. Without room for copies each would look damaged, and none is.
    if (access === "read") removePrivateFolder(makePrivateFolder());
    this.registry = new Registry(this.root, { ...this.opening, create: true, hasMailboxes });
    this.#leave = noteOpen(this.root, access);
    this.#syncs = new SyncDescriptors(access === "read" ? [] : [this.root]);
    this.now = options.now ?? (() => Math.floor(Date.now() / 1000));
    this.limits = options.limits ?? DEFAULT_LIMITS;
    // Two at least: a claim looks into another owner while one is being written.
    this.#openMax = Math.max(2, options.openOwners ?? OPEN_OWNERS);
    const settle = (folder: OwnerFolder): void => settleHandovers(folder, this.#context);
    const { settings, registry, now, limits, opening } = this;
    const context = { root: this.root, settings, registry, now, limits, opening };
    this.#context = { ...context, syncs: this.#syncs, settleHandovers: settle };
  }

  /**
   * The folder of `owner`, or undefined where the store has none. Throws bad_data for one that is
   * lost, where the store is only read.
   */
  find(owner: Owner): OwnerFolder | undefined {
    const found = this.#get(owner, { create: false });
    if (found !== undefined || !this.#tellsLost) return found;
    const [lost] = this.lost([owner]);
    if (lost !== undefined) throw this.errorOf(lost);
    return undefined;
  }

  /** What whoever reads the mail of a lost owner is told. */
  errorOf({ folder, why }: LostOwner): AppError {
    const path = join(this.root, folder);
    return new AppError("bad_data", `Cannot open ${path}: ${why}`, {
      context: { path },
      hint: "Put the folder back, or have `bobbin store reconstruct` forget the mailboxes",
    });
  }

  /** The folder of `owner`, made if there is none. */
  make(owner: Owner): OwnerFolder {
    const folder = this.#get(owner, { create: true });
    if (folder === undefined)
      throw new AppError("io", `Cannot make the folder of ${ownerName(owner)}`);
    return folder;
  }

  #get(owner: Owner, options: { readonly create: boolean }): OwnerFolder | undefined {
    const folder = this.#opened(owner, options);
    if (folder !== undefined) this.#settleIfSound(folder);
    return folder;
  }

  /** Ends the handovers of `folder`; one that cannot be ended or read now waits for fsck. */
  #settleIfSound(folder: OwnerFolder): void {
    try {
      if (folder.hasHandovers()) settleHandovers(folder, this.#context);
    } catch (error) {
      const codes: readonly string[] = ["busy", "io", "refused", "bad_data"];
      if (!(error instanceof AppError) || !codes.includes(error.code)) throw error;
    }
  }

  #opened(owner: Owner, options: { readonly create: boolean }): OwnerFolder | undefined {
    const word = ownerKey(owner);
    const known = this.#open.get(word);
    if (known !== undefined) this.#open.delete(word);
    if (known?.isCurrent === true) {
      this.#open.set(word, known);
      return known;
    }
    known?.close();
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
    const paths = ownerPaths(this);
    return paths.map((path) => path.owner()).filter((owner) => owner !== undefined);
  }

  /** Whose mail is read here: where the store is only read, also of those that are lost. */
  readableOwners(): Owner[] {
    return this.#tellsLost
      ? [...this.owners(), ...this.lost().map(({ owner }) => owner)]
      : this.owners();
  }

  /**
   * Owners, of these or of all, whom the registry names and who have no folder. It is made before
   * anything is claimed, and no command removes it. None where the registry is damaged, which is
   * told by itself.
   */
  lost(among?: readonly Owner[]): LostOwner[] {
    const folderOf = (owner: Owner): string => ownerFolder(owner, this.settings.hash);
    const isThere = (owner: Owner): boolean =>
      statOf(join(this.root, folderOf(owner))) !== undefined;
    if (among?.every(isThere) === true) return [];
    try {
      const counts = this.registry.claimCounts();
      return (among ?? [...counts.keys()].map(ownerOfKey)).flatMap((owner) => {
        const count = owner === undefined ? undefined : counts.get(ownerKey(owner));
        if (owner === undefined || count === undefined || isThere(owner)) return [];
        const why = `folder is gone, and the registry has ${count} of its mailboxes`;
        return [{ owner, folder: folderOf(owner), why }];
      });
    } catch (error) {
      if (isOfDatabase(error)) return [];
      throw error;
    }
  }

  /** Where a mailbox lies, a registry was made long ago. */
  #hasMailboxes(): boolean {
    return ownerPaths(this).some(({ folder }) => holdsMailboxes(folder));
  }

  /** Who has `uniqueid`: by the registry or, where that is damaged, by the catalogues. */
  holder(uniqueid: string): Owner | undefined {
    try {
      return this.registry.holder(uniqueid);
    } catch (error) {
      if (!isOfDatabase(error)) throw error;
    }
    return this.owners().find((owner) => {
      try {
        const find = (database: Database) => mailboxById(database, uniqueid);
        return this.find(owner)?.read(find) !== undefined;
      } catch (error) {
        if (isOfDatabase(error)) return false; // his own trouble
        throw error;
      }
    });
  }

  /**
   * Claims `uniqueid` for `owner` before the transaction commits that will hold it. Returns the
   * owner that has it already, if another. A claim whose holder has no such mailbox is stale; only
   * the holder's writer lock can tell, so this may throw busy.
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

  /** A new session's staging. Throws refused where the store was opened to be read. */
  stage(): Staging {
    if (this.opening.access === "read") throw notToBeWritten(this.root);
    return new Staging(this.root, this.limits);
  }

  /** True where the store has a folder for `owner`. */
  has(owner: Owner): boolean {
    const path = join(this.root, ownerFolder(owner, this.settings.hash), CATALOGUE_FILE);
    return statOf(path) !== undefined;
  }

  close(): void {
    for (const folder of this.#open.values()) folder.close();
    this.#open.clear();
    this.registry.close();
    this.#leave();
    this.#syncs.close();
  }
}

/** One line for each change of a schema: a store has one database for every owner. */
function tellOnce(root: string, tell: (text: string) => void): (change: SchemaChange) => void {
  const told = new Set<string>();
  return ({ path, from, to }) => {
    const what = `${basename(path)} in ${root} from ${from} to ${to}`;
    if (!told.has(what))
      tell(`Raising the schema of ${what}: older releases of Bobbin refuse it from now on`);
    told.add(what);
  };
}
