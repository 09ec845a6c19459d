/**
 * The store as a place: the synchronous store behind the asynchronous interface. Busy is waited for
 * here; what the store refuses becomes an `Outcome`, and only what breaks is thrown.
 */
import type { Database } from "bun:sqlite";
import { closeSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { chunksOf } from "../../core/files.ts";
import { asAsync } from "../../core/lists.ts";
import type { Annotation } from "../../model/annotation.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import type { Guid } from "../../model/guid.ts";
import {
  type DeletedMailbox,
  type FlawedSetting,
  isUniqueid,
  type MailboxState,
  type OwnedMailboxes,
  type Setting,
  type UnreadableMailbox,
  type UserMeta,
  type UserState,
} from "../../model/mailbox.ts";
import { nameProblem, type Owner, parseName } from "../../model/names.ts";
import { type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import { refusalOf } from "../../model/refusal.ts";
import { outcomeOf } from "../outcome_of.ts";
import {
  ALL_HELD,
  type MailboxReading,
  type MessageAddress,
  type MessageContent,
  type PlaceSession,
  type ReserveRequest,
  type UnreadableOwner,
  type WritablePlace,
} from "../place.ts";
import type {
  RawListing,
  RawMailbox,
  RawPlace,
  RawRecords,
  RawRecordsRequest,
} from "../raw_mailbox.ts";
import {
  type MailboxRow,
  mailboxAnnotations,
  mailboxById,
  mailboxByName,
  readableMailboxes,
  tombstones,
} from "./catalogue/mailbox_rows.ts";
import {
  quotas,
  seenStates,
  sieveFiles,
  sieveScript,
  subscriptions,
} from "./catalogue/user_rows.ts";
import { hasRecord } from "./commit/open_mailbox.ts";
import type { OwnerFolder } from "./commit/owner_folder.ts";
import { applyCommand } from "./commit/store_commands.ts";
import { messageFile, poolPath } from "./layout.ts";
import { type KnownMessage, openMessage } from "./messages/message_file.ts";
import { soundInPool } from "./messages/pool.ts";
import type { Staging } from "./messages/staging.ts";
import { rawListings, rawMailbox, rawRecords } from "./raw_files.ts";
import { keepReserve, withReserve } from "./reserve.ts";
import { Store, type StoreOptions } from "./store.ts";
import { StoreSession } from "./store_session.ts";
import { type MailboxSnapshot, readingOf, readState, snapshotOf } from "./stored_mailbox.ts";

/** Opens the store in the folder `root` as a place. */
export function openStorePlace(root: string, options: StoreOptions = {}): StorePlace {
  return new StorePlace(new Store(root, options));
}

/**
 * A message whose bytes were found right: a small one with them, a large one as the file they were
 * read from, still open: whoever gets it reads it and closes it.
 */
export type FoundMessage = { readonly size: number; readonly path: string } & (
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly fd: number }
);

/** Messages up to this size are kept from their check until they are given out. */
const KEPT_BYTES = 512 * 1024;

export class StorePlace implements WritablePlace, RawPlace {
  readonly locator: string;
  readonly holds = ALL_HELD;
  readonly bytecode = "kept";
  readonly caveat?: string;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    if (store.caveat !== undefined) this.caveat = store.caveat;
    this.locator = `store:${store.root}`;
  }

  objectionTo({ name }: Pick<MailboxState, "name">): Refusal | undefined {
    const problem = nameProblem(name);
    return problem === undefined ? undefined : refused("notSupported", `${name}: ${problem}`);
  }

  owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    return outcomeOf(() => asAsync(this.#store.readableOwners()));
  }

  lost(among?: readonly Owner[]): Promise<Outcome<readonly UnreadableOwner[]>> {
    const store = this.#store;
    return outcomeOf(() =>
      store.lost(among).map((one) => {
        return { owner: one.owner, refusal: refused("damaged", store.errorOf(one).message) };
      }),
    );
  }

  user(userid: string): Promise<Outcome<UserState>> {
    return outcomeOf(() => {
      const folder = this.#user(userid);
      if (folder === undefined) return { ...NO_META, mailboxes: [], quotas: [] };
      return { ...readableStates(folder), ...readableSettings(folder) };
    });
  }

  meta(userid: string): Promise<Outcome<UserMeta>> {
    return outcomeOf(() => {
      const folder = this.#user(userid);
      return folder === undefined ? NO_META : metaOf(folder);
    });
  }

  #user(userid: string): OwnerFolder | undefined {
    return userid === "" ? undefined : this.#store.find({ kind: "user", userid });
  }

  async deletions(owner: Owner): Promise<readonly DeletedMailbox[]> {
    const graves = this.#store.find(owner)?.read(tombstones) ?? [];
    return graves.map(({ name, uniqueid, deleted }) => ({
      name,
      uniqueid,
      deleted: deleted * 1000,
    }));
  }

  mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    return outcomeOf(() => {
      const states: MailboxState[] = [];
      for (const name of new Set(names)) {
        const found = this.#find(name);
        const state = found === undefined ? undefined : readState(found.folder, found.row);
        if (state !== undefined) states.push(state);
      }
      return states;
    });
  }

  mailboxesByUniqueid(uniqueids: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    return outcomeOf(() => {
      const states: MailboxState[] = [];
      for (const uniqueid of new Set(uniqueids.filter(isUniqueid))) {
        // Opening the one who had it may show that another has it now.
        const state = this.#byUniqueid(uniqueid) ?? this.#byUniqueid(uniqueid);
        if (state !== undefined) states.push(state);
      }
      return states;
    });
  }

  #byUniqueid(uniqueid: string): MailboxState | undefined {
    const owner = this.#store.holder(uniqueid);
    const folder = owner === undefined ? undefined : this.#store.find(owner);
    const row = folder?.read((database) => mailboxById(database, uniqueid));
    return folder === undefined || row === undefined ? undefined : readState(folder, row);
  }

  sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    return outcomeOf(() => {
      const folder = toplevel === "" ? undefined : this.#store.find({ kind: "shared", toplevel });
      if (folder === undefined) return { mailboxes: [] };
      const { flawed } = readableSettings(folder);
      return { ...readableStates(folder), ...(flawed !== undefined && { flawed }) };
    });
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const found = await this.snapshot(name);
    return found.kind === "refused" ? found : ok(readingOf(found.value));
  }

  /** What `readingOf` makes a reading of: plain data that may go to another thread. */
  snapshot(name: string): Promise<Outcome<MailboxSnapshot>> {
    return outcomeOf((): MailboxSnapshot | Outcome<MailboxSnapshot> => {
      const found = this.#find(name);
      const snapshot = found === undefined ? undefined : snapshotOf(found.folder, found.row);
      return snapshot ?? refused("nonexistent", `There is no mailbox ${name}`);
    });
  }

  async message(address: MessageAddress): Promise<Outcome<MessageContent>> {
    const found = await this.findMessage(address);
    if (found.kind === "refused") return found;
    const message = found.value;
    if ("bytes" in message) return ok({ size: message.size, chunks: () => [message.bytes] });
    return ok({ size: message.size, chunks: () => readChunks(message) });
  }

  rawMailboxes(userid: string): Promise<Outcome<readonly RawListing[]>> {
    return outcomeOf(() => {
      const folder = this.#user(userid);
      return folder === undefined ? [] : rawListings(folder);
    });
  }

  rawMailbox(name: string): Promise<Outcome<RawMailbox>> {
    return outcomeOf((): RawMailbox | Outcome<RawMailbox> => {
      const found = this.#find(name);
      const raw = found === undefined ? undefined : rawMailbox(found.folder, found.row);
      return raw ?? refused("nonexistent", `There is no mailbox ${name}`);
    });
  }

  rawRecords({ name, uids }: RawRecordsRequest): Promise<Outcome<RawRecords>> {
    return outcomeOf((): RawRecords | Outcome<RawRecords> => {
      const found = this.#find(name);
      const records = found && rawRecords(found.folder, found.row, uids);
      return records ?? refused("nonexistent", `There is no mailbox ${name}`);
    });
  }

  /** A message, read and found right. */
  findMessage(address: MessageAddress): Promise<Outcome<FoundMessage>> {
    return outcomeOf((): FoundMessage | Outcome<FoundMessage> => {
      const { mailbox, uid, guid } = address;
      const where = `message ${uid} of ${mailbox}`;
      const found = this.#find(mailbox);
      if (found === undefined) return refused("nonexistent", `There is no mailbox ${mailbox}`);
      const { folder, row } = found;
      if (row.intermediate || !hasRecord(folder, row, uid))
        return refused("nonexistent", `There is no ${where}`);
      const paths = [`${row.uniqueid}/${messageFile(uid)}`, poolPath(guid)];
      let isThere = false;
      for (const path of paths.map((relative) => join(folder.folder, relative))) {
        const opened = openMessage(path, KEPT_BYTES);
        if (opened === undefined) continue;
        isThere = true;
        const { fd, bytes, facts } = opened;
        const isRight = facts.guid === guid;
        if (!isRight || bytes !== undefined) closeSync(fd);
        if (isRight)
          return { size: facts.size, path, ...(bytes === undefined ? { fd } : { bytes }) };
      }
      if (!isThere) return refused("nonexistent", `There is no file of ${where}`);
      return refused("damaged", `The file of ${where} is not ${guid}`);
    });
  }

  annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    return outcomeOf(() => {
      if (name === "") return this.#store.registry.annotations();
      const found = this.#find(name);
      return found === undefined
        ? []
        : found.folder.read((database) => mailboxAnnotations(database, found.row.uniqueid));
    });
  }

  quota(root: string): ReturnType<WritablePlace["quota"]> {
    return outcomeOf(() => {
      const folder = root === "" ? undefined : this.#store.find(parseName(root).owner);
      return folder?.read(quotas).find((quota) => quota.root === root);
    });
  }

  sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    return outcomeOf((): Uint8Array | Outcome<Uint8Array> => {
      const content = this.#user(userid)?.read((database) => sieveScript(database, filename));
      return content ?? refused("nonexistent", `User ${userid} has no script ${filename}`);
    });
  }

  #find(name: string): { folder: OwnerFolder; row: MailboxRow } | undefined {
    const folder = name === "" ? undefined : this.#store.find(parseName(name).owner);
    const row = folder?.read((database) => mailboxByName(database, name));
    return folder === undefined || row === undefined ? undefined : { folder, row };
  }

  /** The owner of each uniqueid, where there is one. */
  holders(uniqueids: readonly string[]): Promise<Outcome<readonly (Owner | undefined)[]>> {
    return outcomeOf(() =>
      uniqueids.map((one) => (isUniqueid(one) ? this.#store.holder(one) : undefined)),
    );
  }

  /**
   * What RESERVE can take: the messages of these owners' pools whose bytes are right. They are read
   * in slices, between which others are served.
   */
  async findSound(request: ReserveRequest): Promise<Outcome<readonly KnownMessage[]>> {
    const owners = await outcomeOf(() =>
      request.mailboxes.map((name) => this.#store.find(parseName(name).owner)?.folder),
    );
    if (owners.kind === "refused") return owners;
    const folders = new Set(owners.value);
    const sound: KnownMessage[] = [];
    let sliceBytes = 0;
    for (const guid of request.guids) {
      const found = await outcomeOf(() => firstSound(guid, folders));
      if (found.kind === "refused") return found;
      if (found.value !== undefined) sound.push(found.value);
      sliceBytes += LOOK_BYTES + (found.value?.facts.size ?? 0);
      if (sliceBytes < SLICE_BYTES) continue;
      await setImmediate();
      sliceBytes = 0;
    }
    return ok(sound);
  }

  /** Does `command`; `records` are those of a `mailbox` command, gathered. */
  apply(
    command: ApplyCommand,
    records: readonly MailRecord[],
    options: { readonly staging: Pick<Staging, "find">; readonly force: boolean },
  ): Promise<Outcome> {
    const { root } = this.#store;
    const work = () => applyCommand(command, records, { store: this.#store, ...options });
    return outcomeOf(() => {
      if (!GIVES_ROOM.has(command.kind)) return void work();
      withReserve(root, work);
      keepReserve(root);
      return undefined;
    });
  }

  async openSession(): Promise<PlaceSession> {
    return new StoreSession(this, this.#store.stage());
  }

  close(): Promise<void> {
    this.#store.close();
    return Promise.resolve();
  }
}

/** The commands that give room back, now or when gc runs. */
const GIVES_ROOM: ReadonlySet<ApplyCommand["kind"]> = new Set([
  ...(["unmailbox", "unuser", "expunge"] as const),
  ...(["unsieve", "unsub", "unquota", "unannotation"] as const),
]);

const NO_META: UserMeta = { seen: [], subscriptions: [], sieve: [] };

function metaOf(folder: OwnerFolder): UserMeta {
  return folder.read((database) => ({
    seen: seenStates(database),
    subscriptions: subscriptions(database),
    sieve: sieveFiles(database),
  }));
}

/** All settings of an owner that can be read; those that cannot are named, and stop no mail. */
function readableSettings(folder: OwnerFolder): UserMeta & Pick<UserState, "quotas" | "flawed"> {
  const flawed: FlawedSetting[] = [];
  const read = <T>(setting: Setting, rows: (database: Database) => readonly T[]): readonly T[] => {
    try {
      return folder.read(rows);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined || refusal.reason === "busy") throw error;
      flawed.push({ setting, refusal });
      return [];
    }
  };
  const settings = {
    seen: read("seen state", seenStates),
    subscriptions: read("subscriptions", subscriptions),
    sieve: read("scripts", sieveFiles),
    quotas: read("quotas", quotas),
  };
  read("annotations", (database) => mailboxAnnotations(database));
  return flawed.length === 0 ? settings : { ...settings, flawed };
}

/** The mailboxes that can be read, and those that cannot: one damaged mailbox stops no other. */
function readableStates(folder: OwnerFolder): OwnedMailboxes {
  const mailboxes: MailboxState[] = [];
  const unreadable: UnreadableMailbox[] = [];
  const { rows, damaged } = folder.read(readableMailboxes);
  for (const { name, uniqueid, error } of damaged)
    unreadable.push({ name, uniqueid, refusal: refused("damaged", error.message) });
  for (const row of rows) {
    try {
      const state = readState(folder, row);
      if (state !== undefined) mailboxes.push(state);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined || refusal.reason === "busy") throw error;
      unreadable.push({ name: row.name, uniqueid: row.uniqueid, refusal });
    }
  }
  return unreadable.length === 0 ? { mailboxes } : { mailboxes, unreadable };
}

/** The bytes of a large message, whose file is closed at the end. */
function* readChunks({ path, size, fd }: Extract<FoundMessage, { fd: number }>) {
  try {
    yield* chunksOf(fd, { end: size, name: path });
  } finally {
    closeSync(fd);
  }
}

/** What is read of a pool before others are served: some 5 ms. */
const SLICE_BYTES = 4 * 1024 * 1024;
/** What looking for a message costs, as the bytes that could be read in that time. */
const LOOK_BYTES = 16 * 1024;

/** The message in the first of the owners' folders whose pool has it with the right bytes. */
function firstSound(
  guid: Guid,
  folders: ReadonlySet<string | undefined>,
): KnownMessage | undefined {
  for (const folder of folders) {
    const found = folder === undefined ? undefined : soundInPool(folder, guid);
    if (found !== undefined) return found;
  }
  return undefined;
}
