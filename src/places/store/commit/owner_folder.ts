/**
 * One owner's folder, open: its catalogue, the writer lock, and the one commit point, after which
 * the journal is settled. What readers see of it meanwhile: committed_files.ts.
 */
import type { Database } from "bun:sqlite";
import { dirname, join } from "node:path";
import { AppError, type ErrorCode } from "../../../core/errors.ts";
import type { Limits } from "../../../core/limits.ts";
import { type Owner, ownerKey, ownerName } from "../../../model/names.ts";
import { makeFolder, statOf } from "../../../storage/disk.ts";
import { DurableBatch, type SyncDescriptors } from "../../../storage/durable.ts";
import { reading, sqliteError, writing } from "../../../storage/sqlite.ts";
import type { StoreDatabase, StoreDatabaseOptions } from "../../../storage/store_database.ts";
import { openCatalogue } from "../catalogue/catalogue.ts";
import { type Damage, damageOf } from "../catalogue/damage.ts";
import { mailboxById } from "../catalogue/mailbox_rows.ts";
import { noteOwnerKey, ownerKeyIn } from "../catalogue/owner_row.ts";
import {
  dropSteps,
  type LeftSteps,
  leftSteps,
  type MailboxStep,
  pendingSteps,
  type RedoStep,
  recordSteps,
  type Unfit,
} from "../catalogue/redo_rows.ts";
import type { Registry } from "../catalogue/registry.ts";
import { CATALOGUE_TABLES } from "../catalogue/sound_rows.ts";
import { CATALOGUE_FILE, mailboxFolder, ownerFolder } from "../layout.ts";
import { holdsMailboxes } from "../messages/leftovers.ts";
import type { PoolContext } from "../messages/pool.ts";
import { notToBeWritten } from "../store_access.ts";
import type { StoreSettings } from "../store_settings.ts";
import { replay } from "./journal.ts";

/** What an owner's folder needs of the store that holds it. */
export interface StoreContext {
  readonly root: string;
  readonly settings: StoreSettings;
  readonly registry: Registry;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly limits: Limits;
  /** Keeps what makes files durable open for the life of the store (storage/durable.ts). */
  readonly syncs: SyncDescriptors;
  /** What the store was opened for; its databases are opened for the same. */
  readonly opening: Pick<StoreDatabaseOptions, "access" | "raised">;
  /** Ends what a killed process left of handovers that `folder` has a part in (handover.ts). */
  readonly settleHandovers: (folder: OwnerFolder) => void;
}

/** A transaction being planned under the writer lock; nothing of it holds before its commit. */
export interface Transaction {
  readonly database: Database;
  readonly pool: PoolContext;
  /** Adds a redo row: a step to be done to a file after the commit. */
  readonly step: (uniqueid: string, step: RedoStep) => void;
  /** Makes a mailbox's folder where there is none: messages are put there before the commit. */
  readonly makeMailboxFolder: (uniqueid: string) => void;
  /** Mailboxes whose files do not take what was committed before: no step can be added for them. */
  readonly unfit: Unfit;
  /** Throws bad_data for a mailbox of `unfit`. */
  readonly requireFit: (uniqueid: string) => void;
}

/** Errors that stop no reader of an owner's folder. */
const MAY_WAIT: ReadonlySet<ErrorCode> = new Set(["busy", "io", "refused", "bad_data"]);

export class OwnerFolder {
  readonly owner: Owner;
  readonly folder: string;
  readonly limits: Limits;
  readonly #context: StoreContext;
  readonly #path: string;
  readonly #file: StoreDatabase;
  /** Of the catalogue that is open. */
  readonly #inode: number | undefined;

  /** `inode` is that of the catalogue, where there was one before it is opened. */
  private constructor(
    owner: Owner,
    folder: string,
    { context, inode }: { readonly context: StoreContext; readonly inode: number | undefined },
  ) {
    this.owner = owner;
    this.folder = folder;
    this.limits = context.limits;
    this.#context = context;
    this.#path = join(folder, CATALOGUE_FILE);
    this.#file = openCatalogue(this.#path, { ...context.opening, create: !this.isRead });
    this.#inode = inode ?? statOf(this.#path)?.ino;
  }

  /** True where nothing may be changed: what is written goes into a copy of the catalogue. */
  get isRead(): boolean {
    return this.#context.opening.access === "read";
  }

  /** False once `store reconstruct` has set the catalogue aside: what is written is lost then. */
  get isCurrent(): boolean {
    return this.isRead || statOf(this.#path)?.ino === this.#inode;
  }

  /** The catalogue. */
  get database(): Database {
    return this.#file.current();
  }

  /**
   * Opens `owner`'s folder, and settles the journal if a killed writer left one and the store was
   * opened to be written. Without `create`, undefined where the store has no such owner.
   */
  static open(
    owner: Owner,
    context: StoreContext,
    options: { readonly create: boolean },
  ): OwnerFolder | undefined {
    const folder = join(context.root, ownerFolder(owner, context.settings.hash));
    const inode = statOf(join(folder, CATALOGUE_FILE))?.ino;
    const isThere = inode !== undefined;
    if (!isThere) requireNew(folder);
    if (!isThere && !options.create) return undefined;
    if (!isThere && context.opening.access === "read") throw notToBeWritten(context.root);
    const made = isThere ? [] : makeFolder(folder);
    const opened = new OwnerFolder(owner, folder, { context, inode });
    try {
      opened.#introduce(made);
      if (opened.#hasSteps()) opened.settleIfFree();
      return opened;
    } catch (error) {
      opened.close();
      throw sqliteError(error, opened.#path);
    }
  }

  /** Writes the owner's name into a new catalogue; refuses an old one that has another name. */
  #introduce(made: readonly string[]): void {
    const word = ownerKey(this.owner);
    const isNew = ownerKeyIn(this.database) === undefined;
    if (isNew) requireNew(this.folder);
    if (isNew && !this.isRead) {
      writing(this.database, this.#path, () => noteOwnerKey(this.database, word));
      const batch = new DurableBatch(this.#context.syncs);
      for (const folder of made) batch.folder(dirname(folder));
      batch.folder(this.folder);
      batch.flush();
    }
    const found = ownerKeyIn(this.database) ?? word;
    if (found === word) return;
    const text = `Cannot open ${this.folder} as ${word}: it belongs to ${found}`;
    throw new AppError("bad_data", text, {
      context: { path: this.folder },
      hint: "Folders of a store are not to be renamed or copied by hand.",
    });
  }

  /**
   * Runs `work` under the writer lock and commits what it planned: catalogue rows as they are
   * written, steps on files by way of the journal. Returns when the commit is durable. A refusal is
   * an error that `work` throws: then nothing has happened.
   */
  write<T>(work: (transaction: Transaction) => T): T {
    if (this.isRead) throw notToBeWritten(this.#context.root);
    this.#context.settleHandovers(this);
    return this.commit((transaction) => {
      if (this.hasHandovers())
        throw new AppError("busy", `${ownerName(this.owner)} is being changed`);
      return work(transaction);
    });
  }

  /**
   * True where a mailbox is on its way from or to this owner, or was when its process was killed.
   */
  hasHandovers(): boolean {
    return this.#context.registry.handovers(this.owner).length > 0;
  }

  /** Like `write`, but also during a handover: for the code that ends handovers. */
  commit<T>(work: (transaction: Transaction) => T): T {
    const result = writing(this.database, this.#path, () => {
      if (!this.isCurrent)
        throw new AppError("busy", `The catalogue of ${ownerName(this.owner)} was set aside`);
      const unfit = this.#settleLocked();
      const requireFit = (uniqueid: string) => this.requireFit(uniqueid, unfit.get(uniqueid));
      const batch = new DurableBatch(this.#context.syncs);
      const steps: MailboxStep[] = [];
      const pool = { folder: this.folder, mode: this.#context.settings.pool, batch };
      const value = work({
        database: this.database,
        pool,
        step: (uniqueid, step) => {
          requireFit(uniqueid);
          steps.push({ uniqueid, step });
        },
        makeMailboxFolder: (uniqueid) => {
          requireFit(uniqueid);
          const made = makeFolder(join(this.folder, mailboxFolder(uniqueid)));
          for (const path of made) batch.folder(dirname(path));
        },
        unfit,
        requireFit,
      });
      batch.flush();
      recordSteps(this.database, steps);
      const touch = this.database.query(
        "UPDATE mailbox SET committed = committed + 1 WHERE uniqueid = ?",
      );
      for (const uniqueid of new Set(steps.map((step) => step.uniqueid))) touch.run(uniqueid);
      return { value, steps: steps.length };
    });
    if (result.steps > 0) this.settleIfFree();
    return result.value;
  }

  /**
   * Settles the journal, unless another writer holds the lock (which settles it then), the disk
   * refuses or the journal is damaged (readers lay the steps over, and the next writer meets the
   * same error). False where any step is left, also where it is that of one unfit mailbox.
   */
  settleIfFree(): boolean {
    if (this.isRead) return false;
    // If a power cut brings the dropped rows back, the same bytes are written once more.
    this.database.run("PRAGMA synchronous = NORMAL");
    try {
      return writing(this.database, this.#path, () => this.#settleLocked()).size === 0;
    } catch (error) {
      if (error instanceof AppError && MAY_WAIT.has(error.code)) return false;
      throw error;
    } finally {
      this.database.run("PRAGMA synchronous = FULL");
    }
  }

  /** Settles the journal under the lock. Returns the unfit mailboxes, whose steps are left. */
  #settleLocked(): Unfit {
    const steps = this.pending();
    if (steps.length === 0 || this.isRead) return new Map();
    const batch = new DurableBatch(this.#context.syncs);
    const release = (uniqueids: readonly string[]) =>
      this.#context.registry.release(uniqueids, this.owner);
    const unfit = replay(steps, { folder: this.folder, release, batch });
    batch.flush();
    dropSteps(this.database, unfit);
    return unfit;
  }

  /** Throws bad_data where `why` is given: the reason for which the mailbox is unfit. */
  requireFit(uniqueid: string, why: string | undefined): void {
    if (why === undefined) return;
    const name = mailboxById(this.database, uniqueid)?.name ?? uniqueid;
    throw new AppError("bad_data", `Cannot change mailbox ${name}: ${why}`, {
      context: { uniqueid },
      hint:
        "Put its folder back as it was, or let `bobbin store reconstruct` drop the changes that " +
        "wait for it.",
    });
  }

  /** The steps of committed transactions that are not done to the files yet. */
  pending(): MailboxStep[] {
    return reading(this.database, this.#path, () => pendingSteps(this.database));
  }

  #hasSteps(): boolean {
    return this.database.query("SELECT 1 FROM redo LIMIT 1").get() !== null;
  }

  /** Those of `pending` that are of unfit mailboxes. */
  unfit(): LeftSteps[] {
    return reading(this.database, this.#path, () => leftSteps(this.database));
  }

  /** What is wrong with the catalogue, as far as it can be read. */
  damage(): Damage[] {
    return damageOf(this.#path, () => this.database, CATALOGUE_TABLES);
  }

  /** Runs `work` on one snapshot of the catalogue. */
  read<T>(work: (database: Database) => T): T {
    return reading(this.database, this.#path, () => work(this.database));
  }

  /** The count of commits that touched a mailbox; undefined where there is no such mailbox. */
  committed(uniqueid: string): number | undefined {
    return this.database
      .query<{ committed: number }, [string]>("SELECT committed FROM mailbox WHERE uniqueid = ?")
      .get(uniqueid)?.committed;
  }

  close(): void {
    this.#file.close();
  }
}

/** Refuses an owner's folder that has mailboxes and no catalogue, or an empty one: it was lost. */
function requireNew(folder: string): void {
  if (!holdsMailboxes(folder)) return;
  const path = join(folder, CATALOGUE_FILE);
  throw new AppError("bad_data", `Cannot open ${folder}: the catalogue of its mailboxes is gone`, {
    context: { path },
    hint: "Run `bobbin store reconstruct`.",
  });
}
