/**
 * A session of a store whose work is done by threads: one of them stages what it sends, the owner's
 * applies it.
 */
import { BugError } from "../../../core/assert.ts";
import { concat } from "../../../core/bytes.ts";
import { type ApplyCommand, ownerOfCommand } from "../../../model/apply.ts";
import type { Guid } from "../../../model/guid.ts";
import type { RecordSource } from "../../../model/mailbox.ts";
import { type Owner, parseName } from "../../../model/names.ts";
import { type Outcome, ok } from "../../../model/outcome.ts";
import type { MailRecord } from "../../../model/record.ts";
import type {
  ApplyOptions,
  IncomingMessage,
  MessageWriter,
  PlaceSession,
  ReserveRequest,
} from "../../place.ts";
import type { KnownMessage } from "../messages/message_file.ts";
import { type BufferStock, Outbox, type SendBatch } from "./outbox.ts";
import type { ApplyRequest, PlainCommand } from "./store_jobs.ts";
import type { StoreThread, StoreThreads } from "./store_threads.ts";

/** Records sent to a thread at a time: other sessions get their turn in between. */
const BATCH_RECORDS = 250;

/** The staging of a session, which is open in a thread or being opened there. */
interface OpenStaging {
  readonly thread: StoreThread;
  readonly folder: Promise<string>;
}

type Submit<T> = (thread: StoreThread) => Promise<T>;

let lastId = 0;

export class WorkerSession implements PlaceSession {
  readonly #id = ++lastId;
  readonly #threads: StoreThreads;
  readonly #outbox: Outbox;
  #open: OpenStaging | undefined;
  #folder = "";
  /** What the thread has staged for this session. */
  readonly #staged = new Map<Guid, KnownMessage>();
  /** Staged messages that a mailbox has, which the thread is still to be told. */
  #applied: Guid[] = [];
  /** What went wrong with something sent since the last flush, such as the loss of its thread. */
  #lost: unknown;

  constructor(threads: StoreThreads, stock: BufferStock) {
    this.#threads = threads;
    this.#outbox = new Outbox(stock, (batch) => this.#write(batch));
  }

  /** Makes the session's staging. */
  async open(): Promise<void> {
    await this.#withStaging(() => Promise.resolve());
  }

  reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    return this.#threads.during(() => this.#reserve(request));
  }

  async #reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>> {
    await this.#takeStaged();
    const guids = request.guids.filter((guid) => !this.#staged.has(guid));
    const [first] = request.mailboxes;
    if (first === undefined || guids.length === 0) return ok(guids);
    const found = await this.#threads.forReader(parseName(first).owner, (thread) =>
      thread.submit("store.findSound", { ...request, guids }),
    );
    if (found.kind === "refused") return found;
    const reserved = { session: this.#id, found: found.value };
    const done = await this.#withStaging((thread) => thread.submit("staging.reserve", reserved));
    if (done.kind === "refused") return done;
    this.#note(done.value);
    return ok(guids.filter((guid) => !this.#staged.has(guid)));
  }

  stage({ guid }: IncomingMessage): MessageWriter {
    const outbox = this.#outbox;
    outbox.add({ kind: "begin", guid });
    let isOver = false;
    const finish = (kind: "end" | "abort"): undefined => {
      if (!isOver) outbox.add({ kind });
      isOver = true;
    };
    return {
      write: (bytes) => outbox.write(bytes),
      end: () => finish("end"),
      abort: () => finish("abort"),
    };
  }

  async flush(): Promise<Outcome> {
    this.#outbox.send();
    const asking = this.#withStaging((thread) => thread.submit("staging.flush", this.#id));
    const answer = await asking.catch((error: unknown) => {
      this.#lost ??= error;
    });
    await this.#outbox.settled();
    this.#noticeLoss();
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost !== undefined || answer === undefined) throw lost;
    this.#note(answer.staged);
    return answer.outcome;
  }

  apply(command: ApplyCommand, options: ApplyOptions = {}): Promise<Outcome> {
    return this.#threads.during(async () => {
      await this.#takeStaged();
      const request = ++lastId;
      const rest: ApplyRequest = {
        request,
        command: withoutRecords(command),
        force: options.force ?? false,
      };
      const owner = ownerOfCommand(command) ?? OF_THE_SERVER;
      let used: Guid[] = [];
      const outcome = await this.#threads.forOwner(owner, async (thread) => {
        if ("records" in command) used = await this.#sendRecords(command.records, request, thread);
        const applying = thread.submit("store.apply", rest);
        options.sent?.();
        return applying;
      });
      if (outcome.kind === "ok") this.#applied = this.#applied.concat(used);
      return outcome;
    });
  }

  async restart(): Promise<void> {
    this.#outbox.drop();
    await this.#withStaging((thread) => thread.submit("staging.restart", this.#id));
    this.#staged.clear();
    this.#lost = undefined;
  }

  async close(): Promise<void> {
    this.#outbox.drop();
    this.#staged.clear();
    if (this.#open === undefined) return;
    await this.#withStaging((thread) => thread.submit("staging.close", this.#id));
    this.#open = undefined;
  }

  /** Sends the records to the thread; returns the GUIDs of their messages that are staged. */
  async #sendRecords(source: RecordSource, request: number, thread: StoreThread): Promise<Guid[]> {
    const used: Guid[] = [];
    try {
      for await (const batch of source.batches()) {
        for (let at = 0; at < batch.length; at += BATCH_RECORDS) {
          const records = withSharedBytes(batch.slice(at, at + BATCH_RECORDS));
          const staged = records
            .map(({ guid }) => this.#staged.get(guid))
            .filter((one) => one !== undefined);
          await thread.submit("store.records", { request, records, staged });
          for (const { facts } of staged) used.push(facts.guid);
        }
      }
      return used;
    } catch (error) {
      if (!thread.isLost) await thread.submit("store.forget", request);
      throw error;
    }
  }

  #note(staged: readonly KnownMessage[]): void {
    for (const message of staged) this.#staged.set(message.facts.guid, message);
  }

  /** Learns what has been staged since the last flush, and tells what has been applied. */
  async #takeStaged(): Promise<void> {
    this.#outbox.send();
    const request = { session: this.#id, applied: this.#applied };
    this.#applied = [];
    const staged = await this.#withStaging((thread) => thread.submit("staging.staged", request));
    this.#note(staged);
  }

  #withStaging<T>(work: Submit<T>): Promise<T> {
    return this.#threads.forStaging(async (thread) => {
      // All wait for the same promise, so they are submitted in the order in which they were asked.
      await this.#openIn(thread).folder;
      return work(thread);
    });
  }

  async #write({ buffer, pieces }: Parameters<SendBatch>[0]): Promise<ArrayBuffer | undefined> {
    const batch = { session: this.#id, buffer, pieces };
    const buffers = buffer === undefined ? [] : [buffer];
    try {
      return await this.#withStaging((thread) => thread.submit("staging.write", batch, buffers));
    } catch (error) {
      this.#lost ??= error; // the next flush says so
      return undefined;
    }
  }

  /** Forgets what was staged if the thread was lost that had it. */
  #noticeLoss(): void {
    if (this.#open?.thread.isLost !== true) return;
    this.#open = undefined;
    this.#staged.clear();
    this.#lost ??= new BugError("the thread was lost that had staged the messages of this session");
  }

  #openIn(thread: StoreThread): OpenStaging {
    if (this.#open?.thread === thread) return this.#open;
    if (this.#open !== undefined) {
      this.#staged.clear();
      this.#lost ??= new BugError(
        "the thread was lost that had staged the messages of this session",
      );
    }
    const abandoned = this.#folder;
    const folder = thread.submit("staging.open", { session: this.#id, abandoned });
    const open = { thread, folder };
    this.#open = open;
    folder.then(
      (path) => {
        this.#folder = path;
      },
      () => {
        if (this.#open === open) this.#open = undefined; // the next one tries again
      },
    );
    return open;
  }
}

function withoutRecords(command: ApplyCommand): PlainCommand {
  if (!("records" in command)) return command;
  const { records: _, ...rest } = command;
  return rest;
}

/**
 * The records with the values of all their annotations in one block of memory: each block of its
 * own would take some 300 bytes on either side, as it is sent to a thread.
 */
function withSharedBytes(records: readonly MailRecord[]): readonly MailRecord[] {
  const values = records.flatMap(({ annotations }) => annotations.map(({ value }) => value));
  if (values.length === 0) return records;
  const block = concat(values);
  let at = 0;
  const inBlock = (length: number): Uint8Array => {
    at += length;
    return block.subarray(at - length, at);
  };
  return records.map((record) => ({
    ...record,
    annotations: record.annotations.map((one) => ({ ...one, value: inBlock(one.value.length) })),
  }));
}

/** Commands about the server itself go to the thread of this owner, whom nobody is. */
const OF_THE_SERVER: Owner = { kind: "shared", toplevel: "" };
