/**
 * The store as a place that leaves disk, SHA-1 and SQLite to threads (design.md, section 3:
 * concurrency), so that one owner's large request stalls nobody else. The threads run `StorePlace`,
 * whose answers are passed on; only records and large messages are put together here, as they are
 * too large to be sent as a whole.
 */
import { closeSync } from "node:fs";
import { resolve } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../core/limits.ts";
import { asAsync, pushAll } from "../../../core/lists.ts";
import type { Annotation } from "../../../model/annotation.ts";
import type {
  MailboxState,
  OwnedMailboxes,
  Quota,
  UserMeta,
  UserState,
} from "../../../model/mailbox.ts";
import { type Owner, ownerKey, parseName } from "../../../model/names.ts";
import { type Outcome, ok } from "../../../model/outcome.ts";
import type { Kind, Request, Result } from "../../../threads/jobs.ts";
import {
  ALL_HELD,
  type MailboxReading,
  type MessageAddress,
  type MessageContent,
  type PlaceSession,
  type UnreadableOwner,
  type WritablePlace,
} from "../../place.ts";
import type {
  RawListing,
  RawMailbox,
  RawPlace,
  RawRecords,
  RawRecordsRequest,
} from "../../raw_mailbox.ts";
import { keepReserve } from "../reserve.ts";
import { mayWriteStore, notToBeWritten } from "../store_access.ts";
import type { FoundMessage } from "../store_place.ts";
import { readSettings, refuseNetwork } from "../store_settings.ts";
import { readingOf } from "../stored_mailbox.ts";
import { BufferStock } from "./outbox.ts";
import type { StoreJobs } from "./store_jobs.ts";
import { OPEN_OWNERS, type StoreThread, StoreThreads } from "./store_threads.ts";
import { WorkerSession } from "./worker_session.ts";

export interface StoreThreadsChoice {
  /** The module that threads run: one that serves `storeJobs`. */
  readonly url: URL;
  /** Threads that write, beside those that read and the one that takes what is sent. */
  readonly threads?: number;
  readonly limits?: Limits;
  /** Owners whose folders stay open. */
  readonly openOwners?: number;
  /** Told in one line by each thread, before it raises the schema of databases. */
  readonly tell?: (text: string) => void;
}

/** Begun as they are needed: on a slow disk so many owners can be written at a time. */
const OWNER_THREADS = 4;
const READER_THREADS = 2;

/** Opens the store in `root` with threads, to be written and upgraded. Throws AppError. */
export function openWorkerPlace(
  root: string,
  choice: StoreThreadsChoice,
): WritablePlace & RawPlace {
  const path = resolve(root);
  readSettings(path);
  refuseNetwork(path);
  if (!mayWriteStore(path)) throw notToBeWritten(path);
  keepReserve(path);
  const {
    url,
    threads = OWNER_THREADS,
    limits = DEFAULT_LIMITS,
    openOwners = OPEN_OWNERS,
    tell,
  } = choice;
  const readers = READER_THREADS;
  const options = { url, threads, readers, limits, openOwners, root: path, tell };
  return new WorkerPlace(path, new StoreThreads(options));
}

class WorkerPlace implements WritablePlace, RawPlace {
  readonly locator: string;
  readonly holds = ALL_HELD;
  readonly bytecode = "kept";
  readonly #threads: StoreThreads;
  readonly #stock = new BufferStock();

  constructor(root: string, threads: StoreThreads) {
    this.locator = `store:${root}`;
    this.#threads = threads;
  }

  async owners(): Promise<Outcome<AsyncIterable<Owner>>> {
    const found = await this.#threads.forAnyone(job("store.owners", undefined));
    return found.kind === "refused" ? found : ok(asAsync(found.value));
  }

  lost(among?: readonly Owner[]): Promise<Outcome<readonly UnreadableOwner[]>> {
    return this.#threads.forAnyone(job("store.lost", among));
  }

  user(userid: string): Promise<Outcome<UserState>> {
    return this.#forUser(userid, job("store.user", userid));
  }

  meta(userid: string): Promise<Outcome<UserMeta>> {
    return this.#forUser(userid, job("store.meta", userid));
  }

  mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>> {
    const owned = names.map((name) => ({ key: name, owner: parseName(name).owner }));
    return this.#byOwner(owned, (some) => job("store.mailboxes", some));
  }

  async mailboxesByUniqueid(
    uniqueids: readonly string[],
  ): Promise<Outcome<readonly MailboxState[]>> {
    const holders = await this.#threads.forAnyone(job("store.holders", uniqueids));
    if (holders.kind === "refused") return holders;
    const owned: Owned[] = [];
    for (const [at, owner] of holders.value.entries()) {
      if (owner !== undefined) owned.push({ key: uniqueids[at] ?? "", owner });
    }
    return this.#byOwner(owned, (some) => job("store.mailboxesByUniqueid", some));
  }

  sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>> {
    const owner = { kind: "shared", toplevel } as const;
    return this.#threads.forReader(owner, job("store.sharedMailboxes", toplevel));
  }

  async readMailbox(name: string): Promise<Outcome<MailboxReading>> {
    const found = await this.#forName(name, job("store.snapshot", name));
    return found.kind === "refused" ? found : ok({ ...readingOf(found.value), isSound: true });
  }

  rawMailboxes(userid: string): Promise<Outcome<readonly RawListing[]>> {
    return this.#forUser(userid, job("store.rawMailboxes", userid));
  }

  rawMailbox(name: string): Promise<Outcome<RawMailbox>> {
    return this.#forName(name, job("store.rawMailbox", name));
  }

  rawRecords(request: RawRecordsRequest): Promise<Outcome<RawRecords>> {
    return this.#forName(request.name, job("store.rawRecords", request));
  }

  async message(address: MessageAddress): Promise<Outcome<MessageContent>> {
    const found = await this.#forName(address.mailbox, job("store.message", address));
    if (found.kind === "refused") return found;
    const message = found.value;
    if ("bytes" in message) return ok({ size: message.size, chunks: () => [message.bytes] });
    return ok({ size: message.size, chunks: () => this.#chunks(address.mailbox, message) });
  }

  annotations(name: string): Promise<Outcome<readonly Annotation[]>> {
    return this.#forName(name, job("store.annotations", name));
  }

  quota(root: string): Promise<Outcome<Quota | undefined>> {
    return this.#forName(root, job("store.quota", root));
  }

  sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>> {
    return this.#forUser(userid, job("store.sieveScript", { userid, filename }));
  }

  async openSession(): Promise<PlaceSession> {
    const session = new WorkerSession(this.#threads, this.#stock);
    await session.open();
    return session;
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  #forUser<T>(userid: string, work: (thread: StoreThread) => Promise<T>): Promise<T> {
    return this.#threads.forReader({ kind: "user", userid }, work);
  }

  #forName<T>(name: string, work: (thread: StoreThread) => Promise<T>): Promise<T> {
    return this.#threads.forReader(parseName(name).owner, work);
  }

  /** Asks the thread of each owner for that owner's part of the keys. */
  async #byOwner(
    owned: readonly Owned[],
    ask: (keys: string[]) => (thread: StoreThread) => Promise<Outcome<readonly MailboxState[]>>,
  ): Promise<Outcome<readonly MailboxState[]>> {
    const parts = [...Map.groupBy(owned, ({ owner }) => ownerKey(owner)).values()];
    const answers = await Promise.all(
      parts.map((part) => {
        const owner = part[0]?.owner ?? parseName("").owner;
        return this.#threads.forReader(owner, ask(part.map(({ key }) => key)));
      }),
    );
    const states: MailboxState[] = [];
    for (const answer of answers) {
      if (answer.kind === "refused") return answer;
      pushAll(states, answer.value);
    }
    return ok(states);
  }

  /** The bytes of a large message, read by a thread; its file is closed at the end. */
  async *#chunks(mailbox: string, { path, size, fd }: LargeMessage): AsyncGenerator<Uint8Array> {
    try {
      for (let offset = 0; offset < size; ) {
        const request = { fd, offset, length: Math.min(CHUNK_BYTES, size - offset) };
        const chunk = await this.#forName(mailbox, job("store.readAt", request));
        if (chunk.length === 0) {
          throw new AppError("io", `Cannot read ${path}: it ends at ${offset} of ${size} bytes`);
        }
        offset += chunk.length;
        yield chunk;
      }
    } finally {
      closeSync(fd);
    }
  }
}

/** Submits a job to whichever thread is given. */
function job<K extends Kind<StoreJobs>>(kind: K, request: Request<StoreJobs, K>) {
  return (thread: StoreThread): Promise<Result<StoreJobs, K>> => thread.submit(kind, request);
}

type LargeMessage = Extract<FoundMessage, { fd: number }>;

const CHUNK_BYTES = 256 * 1024;

/** The name or uniqueid of a mailbox, and its owner. */
interface Owned {
  readonly key: string;
  readonly owner: Owner;
}
