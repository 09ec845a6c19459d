/**
 * One owner's folder, open: its catalogue, the writer lock, the one commit point and the reading that
 * goes on beside it. Everything here is synchronous; a store worker or a test calls it directly.
 */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert } from "../../core/assert.ts";
import { AppError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import type { IndexFile } from "../../mailbox/index_source.ts";
import { type Owner, ownerKey } from "../../model/names.ts";
import type { StoreDatabase, StoreDatabaseOptions } from "../../storage/database.ts";
import { DurableBatch, makeFolder, readPart, readWhole, statOf } from "../../storage/disk.ts";
import { reading, writing } from "../../storage/sqlite.ts";
import { openCatalogue } from "./catalogue/catalogue.ts";
import { mailboxById } from "./catalogue/mailbox_rows.ts";
import type { Registry } from "./catalogue/registry.ts";
import {
  dropSteps,
  type LeftSteps,
  leftSteps,
  type MailboxStep,
  overlay,
  pendingSteps,
  type RedoStep,
  recordSteps,
  replay,
  type Unfit,
} from "./commit/journal.ts";
import { CATALOGUE_FILE, mailboxFolder, ownerFolder } from "./layout.ts";
import type { PoolContext } from "./messages/pool.ts";
import { notToBeWritten } from "./store_access.ts";
import type { StoreSettings } from "./store_settings.ts";

/** What an owner's folder needs of the store that holds it. */
export interface StoreContext {
  readonly root: string;
  readonly settings: StoreSettings;
  readonly registry: Registry;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly limits: Limits;
  /** What the store was opened for, and so its databases are. */
  readonly opening: Pick<StoreDatabaseOptions, "access" | "raised">;
  /** Ends what a killed process left of handovers that `folder` has a part in (handover.ts). */
  readonly settleHandovers: (folder: OwnerFolder) => void;
}

/** The files of a mailbox that are read and written as wholes or in place. */
export type MailboxFile = "cyrus.index" | "cyrus.header" | "cyrus.cache" | "cyrus.annotations";

/** Rereads of a mailbox that keeps changing under its reader before busy is reported. */
const READ_ATTEMPTS = 20;
/** A reader that copies the catalogue for each of them is slower than most writers. */
const COPY_ATTEMPTS = 400;

/** A transaction being planned under the writer lock; nothing of it holds before its commit. */
export interface Transaction {
  readonly database: Database;
  readonly pool: PoolContext;
  /** Adds what is to be done to files after the commit. */
  readonly step: (uniqueid: string, step: RedoStep) => void;
  /** Makes a mailbox's folder where there is none, so that messages can be put there before the commit. */
  readonly makeMailboxFolder: (uniqueid: string) => void;
  /** Mailboxes whose files do not take what was committed before: nothing can be planned for them. */
  readonly unfit: Unfit;
  /** Throws bad_data for a mailbox of `unfit`. */
  readonly requireFit: (uniqueid: string) => void;
}

export class OwnerFolder {
  readonly owner: Owner;
  readonly folder: string;
  readonly limits: Limits;
  readonly #context: StoreContext;
  readonly #path: string;
  readonly #file: StoreDatabase;

  private constructor(owner: Owner, folder: string, context: StoreContext) {
    this.owner = owner;
    this.folder = folder;
    this.limits = context.limits;
    this.#context = context;
    this.#path = join(folder, CATALOGUE_FILE);
    this.#file = openCatalogue(this.#path, { ...context.opening, create: !this.#isRead });
  }

  /** True where nothing may be changed: what is written goes into a copy of the catalogue. */
  get #isRead(): boolean {
    return this.#context.opening.access === "read";
  }

  /** The catalogue. */
  get database(): Database {
    return this.#file.current();
  }

  /**
   * Opens `owner`'s folder and does what a killed writer left to do. Without `create`, undefined where
   * the store has no such owner.
   */
  static open(
    owner: Owner,
    context: StoreContext,
    options: { readonly create: boolean },
  ): OwnerFolder | undefined {
    const folder = join(context.root, ownerFolder(owner, context.settings.hash));
    const isThere = existsSync(join(folder, CATALOGUE_FILE));
    if (!isThere && !options.create) return undefined;
    if (!isThere && context.opening.access === "read") throw notToBeWritten(context.root);
    const made = isThere ? [] : makeFolder(folder);
    const opened = new OwnerFolder(owner, folder, context);
    try {
      opened.#introduce(made);
      if (opened.pending().length > 0) opened.settleIfFree();
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  /** Writes the owner's name into a new catalogue, and holds an old one to it. */
  #introduce(made: readonly string[]): void {
    const word = ownerKey(this.owner);
    const find = this.database.query<{ value: string }, []>(
      "SELECT value FROM about WHERE key = 'owner'",
    );
    if (find.get() === null && !this.#isRead) {
      writing(this.database, this.#path, () => {
        this.database.query("INSERT OR IGNORE INTO about VALUES ('owner', ?)").run(word);
      });
      const batch = new DurableBatch();
      for (const folder of made) batch.folder(dirname(folder));
      batch.folder(this.folder);
      batch.flush(this.folder);
    }
    const found = find.get()?.value;
    if (found === word) return;
    throw new AppError(
      "bad_data",
      `Cannot open ${this.folder} as ${word}: it belongs to ${found}`,
      {
        context: { path: this.folder },
        hint: "Folders of a store are not to be renamed or copied by hand.",
      },
    );
  }

  /**
   * Runs `work` under the writer lock and commits what it planned: catalogue rows as they are written,
   * steps on files by way of the journal. Returns when the commit is durable. A refusal is an error
   * that `work` throws: then nothing has happened.
   */
  write<T>(work: (transaction: Transaction) => T): T {
    if (this.#isRead) throw notToBeWritten(this.#context.root);
    this.#context.settleHandovers(this);
    return this.commit((transaction) => {
      if (this.hasHandovers())
        throw new AppError("busy", `${ownerKey(this.owner)} is being changed`);
      return work(transaction);
    });
  }

  /** True where a mailbox is on its way from or to this owner, or was when its process was killed. */
  hasHandovers(): boolean {
    return this.#context.registry.handovers(this.owner).length > 0;
  }

  /** `write` without looking for handovers: what ends them uses it. */
  commit<T>(work: (transaction: Transaction) => T): T {
    const result = writing(this.database, this.#path, () => {
      const unfit = this.#settleLocked();
      const requireFit = (uniqueid: string) => this.#requireFit(uniqueid, unfit.get(uniqueid));
      const batch = new DurableBatch();
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
      batch.flush(this.folder);
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
   * Does the steps that are left, unless another writer holds the lock (it will) or the disk cannot
   * take them now (readers lay them over, and the next writer meets the same error). False where steps
   * are left, be it of one mailbox that its files do not take.
   */
  settleIfFree(): boolean {
    if (this.#isRead) return false;
    // Losing the drop of rows in a power cut only means that the same bytes are written once more.
    this.database.run("PRAGMA synchronous = NORMAL");
    try {
      return writing(this.database, this.#path, () => this.#settleLocked()).size === 0;
    } catch (error) {
      if (error instanceof AppError && (error.code === "busy" || error.code === "io")) return false;
      throw error;
    } finally {
      this.database.run("PRAGMA synchronous = FULL");
    }
  }

  /** Returns the mailboxes whose steps are left because their files do not take them. */
  #settleLocked(): Unfit {
    const steps = this.pending();
    if (steps.length === 0 || this.#isRead) return new Map();
    const batch = new DurableBatch();
    const release = (uniqueid: string) => this.#context.registry.release(uniqueid, this.owner);
    const unfit = replay(steps, { folder: this.folder, release, batch });
    batch.flush(this.folder);
    dropSteps(this.database, unfit);
    return unfit;
  }

  #requireFit(uniqueid: string, why: string | undefined): void {
    if (why === undefined) return;
    const name = mailboxById(this.database, uniqueid)?.name ?? uniqueid;
    throw new AppError("bad_data", `Cannot change mailbox ${name}: ${why}`, {
      context: { uniqueid },
      hint: "Put its folder back as it was, or let `bobbin store reconstruct` drop the changes that wait for it.",
    });
  }

  /** The steps of committed transactions that are not done to the files yet. */
  pending(): MailboxStep[] {
    return reading(this.database, this.#path, () => pendingSteps(this.database));
  }

  /** Those of `pending` that wait because the files of their mailbox do not take them. */
  unfit(): LeftSteps[] {
    return reading(this.database, this.#path, () => leftSteps(this.database));
  }

  /** Runs `work` on one snapshot of the catalogue. */
  read<T>(work: (database: Database) => T): T {
    return reading(this.database, this.#path, () => work(this.database));
  }

  /**
   * The named files of a mailbox as the last commit left them, beside whatever a writer is doing now:
   * the files with the journal laid over, read again if a commit fell in between. Undefined where the
   * catalogue has no such mailbox. `indexBytes` reads only the start of the index: its header.
   */
  readFiles<Name extends MailboxFile>(
    uniqueid: string,
    names: readonly Name[],
    options: { readonly indexBytes?: number } = {},
  ): Readonly<Record<Name, Uint8Array | undefined>> | undefined {
    const attempts = this.#isRead ? COPY_ATTEMPTS : READ_ATTEMPTS;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const before = this.read(() => ({
        committed: this.#committed(uniqueid),
        steps: pendingSteps(this.database, uniqueid),
      }));
      if (before.committed === undefined) return undefined;
      let files: Readonly<Record<Name, Uint8Array | undefined>> | undefined;
      let trouble: unknown;
      try {
        files = this.#laidOver(uniqueid, names, { ...options, steps: before.steps });
      } catch (error) {
        trouble = error; // a journal does not fit files that are ahead of it
      }
      if (this.read(() => this.#committed(uniqueid)) !== before.committed) continue;
      if (files === undefined) throw trouble;
      return files;
    }
    throw new AppError(
      "busy",
      `Cannot read mailbox ${uniqueid} of ${ownerKey(this.owner)}: it keeps changing`,
      {
        context: { uniqueid },
        hint: "Run it again.",
      },
    );
  }

  /** The files as they are now, with `steps` laid over. */
  #laidOver<Name extends MailboxFile>(
    uniqueid: string,
    names: readonly Name[],
    { steps, indexBytes }: { readonly steps: readonly MailboxStep[]; readonly indexBytes?: number },
  ): Readonly<Record<Name, Uint8Array | undefined>> {
    const folder = this.#folderOf(uniqueid, steps);
    const files = names.map((name) => {
      const [path, file] = [`${uniqueid}/${name}`, join(folder, name)];
      const bytes =
        name === "cyrus.index" && indexBytes !== undefined
          ? readPart(file, { offset: 0, length: indexBytes })
          : readWhole(file, limitOf(name, this.#context.limits));
      return [name, overlay(path, bytes, steps)] as const;
    });
    return Object.fromEntries(files) as Record<Name, Uint8Array | undefined>;
  }

  /**
   * cyrus.index of a mailbox within a transaction: under the writer lock, with nothing left in the journal, it
   * stands still. Undefined where there is no such file. Throws bad_data where the files do not take what is left.
   */
  lockedIndex(uniqueid: string): IndexFile | undefined {
    assert(this.database.inTransaction, `${uniqueid} stands still`);
    if (pendingSteps(this.database, uniqueid).length > 0) {
      const left = leftSteps(this.database).find((one) => one.uniqueid === uniqueid);
      assert(left !== undefined, `${uniqueid} was settled`);
      this.#requireFit(uniqueid, left.why);
    }
    return indexFile(join(this.folder, mailboxFolder(uniqueid), "cyrus.index"));
  }

  /**
   * What `look` finds in cyrus.index as the last commit left it. Undefined where the file cannot say: something of the
   * journal is not done to it yet, or a commit fell in between.
   */
  peekIndex<T>(uniqueid: string, look: (file: IndexFile) => T): { value: T } | undefined {
    const { before, steps } = this.read(() => ({
      before: this.#committed(uniqueid),
      steps: pendingSteps(this.database, uniqueid).length,
    }));
    if (before === undefined || steps > 0) return undefined;
    const file = indexFile(join(this.folder, mailboxFolder(uniqueid), "cyrus.index"));
    if (file === undefined) return undefined;
    let found: { value: T } | undefined;
    let trouble: unknown;
    try {
      found = { value: look(file) };
    } catch (error) {
      trouble = error;
    }
    if (this.#committed(uniqueid) !== before) return undefined;
    if (found === undefined) throw trouble;
    return found;
  }

  /** Where the mailbox's files are now. A folder on its way in from elsewhere is first brought where it will be. */
  #folderOf(uniqueid: string, steps: readonly MailboxStep[]): string {
    const usual = join(this.folder, uniqueid);
    const move = steps.map(({ step }) => step).find((step) => step.kind === "move");
    if (move === undefined) return usual;
    // Within a transaction it has been tried.
    if (!this.database.inTransaction && this.settleIfFree()) return usual;
    const now = join(this.folder, move.path);
    return existsSync(now) ? now : usual;
  }

  #committed(uniqueid: string): number | undefined {
    return this.database
      .query<{ committed: number }, [string]>("SELECT committed FROM mailbox WHERE uniqueid = ?")
      .get(uniqueid)?.committed;
  }

  close(): void {
    this.#file.close();
  }
}

/** A file of which parts are read, opened for each: nothing has to be closed by whoever looks. */
function indexFile(path: string): IndexFile | undefined {
  const size = statOf(path)?.size;
  if (size === undefined) return undefined;
  return {
    size,
    read: (offset, length) => readPart(path, { offset, length }) ?? new Uint8Array(),
  };
}

/** The most bytes that a file of a mailbox may have. */
function limitOf(name: MailboxFile, limits: Limits = DEFAULT_LIMITS): number {
  return name === "cyrus.header" ? limits.headerFileBytes : limits.mailboxFileBytes;
}
