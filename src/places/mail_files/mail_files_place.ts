/**
 * Messages as files, `eml:FOLDER` and `mbox:FILE`: a place that is written once, from nothing, and
 * never read. What was written is known until it is closed, as any target tells what it has.
 */
import { closeSync } from "node:fs";
import { concat } from "../../core/bytes.ts";
import { AppError } from "../../core/errors.ts";
import type { ApplyCommand, ApplyMailbox } from "../../model/apply.ts";
import type { Guid } from "../../model/guid.ts";
import { type MailboxState, recordsOf } from "../../model/mailbox.ts";
import { nameProblem, type Owner, ownerKey, ownerOfKey, parseName } from "../../model/names.ts";
import { DONE, type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import { readFully, writeFully } from "../../storage/disk.ts";
import { openUnnamed } from "../../storage/private_folder.ts";
import {
  ALL_HELD,
  type Holds,
  type IncomingMessage,
  type MailboxReading,
  type MessageWriter,
  type PlaceSession,
  type WritablePlace,
} from "../place.ts";
import { type ReceivedMessage, receiving } from "../received_message.ts";
import type { MessageSink } from "./message_sink.ts";

/** A file says when its message came; all else is the mail program's. */
const HELD_IN_FILES: Holds = {
  ...ALL_HELD,
  ...{ modseqs: false, lastUpdated: false, tombstones: false, placeholders: false },
  ...{ internaldateNsec: false, savedates: false, createdmodseqs: false, threadIds: false },
  ...{ conversationModseqs: false, uidvalidity: false, keywords: 0, annotations: false },
  ...{ mailboxAnnotations: false, acls: false, mailboxDetails: false, pop3ShowAfter: false },
  ...{ seen: false, subscriptions: false, sieveFiles: false, sieveMailboxes: false, quotas: [] },
};

interface Written {
  readonly state: MailboxState;
  readonly records: readonly MailRecord[];
}

export interface MailFilesOptions {
  readonly locator: string;
  /** The flags are kept. */
  readonly keepsFlags: boolean;
  /** Undefined for a dry run. */
  readonly sink: MessageSink | undefined;
}

/** The place for messages that go to `sink`. */
export function mailFilesPlace({ locator, keepsFlags, sink }: MailFilesOptions): WritablePlace {
  const written = new Map<string, Written>();
  const statesOf = (owner: Owner): MailboxState[] =>
    [...written.values()]
      .map(({ state }) => state)
      .filter(({ name }) => ownerKey(parseName(name).owner) === ownerKey(owner));
  const empty = { quotas: [], seen: [], subscriptions: [], sieve: [] };
  const nothing = (what: string) => refused("nonexistent", `${locator} has no ${what}`);
  return {
    locator,
    holds: keepsFlags ? { ...HELD_IN_FILES, keywords: ALL_HELD.keywords } : HELD_IN_FILES,
    owners: async () => {
      const keys = new Set([...written.keys()].map((name) => ownerKey(parseName(name).owner)));
      return ok(listed([...keys].flatMap((key) => ownerOfKey(key) ?? [])));
    },
    user: async (userid) => ok({ ...empty, mailboxes: statesOf({ kind: "user", userid }) }),
    meta: async () => ok(empty),
    mailboxes: async (names) => ok(names.flatMap((name) => written.get(name)?.state ?? [])),
    mailboxesByUniqueid: async (ids) => {
      const states = [...written.values()].map(({ state }) => state);
      return ok(states.filter(({ uniqueid }) => ids.includes(uniqueid)));
    },
    sharedMailboxes: async (toplevel) => ok({ mailboxes: statesOf({ kind: "shared", toplevel }) }),
    readMailbox: async (name): Promise<Outcome<MailboxReading>> => {
      const found = written.get(name);
      if (found === undefined) return nothing(`mailbox ${name}`);
      return ok({ state: found.state, records: recordsOf(found.records) });
    },
    message: async ({ guid }) => nothing(`message ${guid} that can be read back`),
    annotations: async () => ok([]),
    quota: async () => ok(undefined),
    sieveScript: async (_, filename) => nothing(`script ${filename}`),
    openSession: async () => {
      if (sink !== undefined) return new MailFilesSession(sink, written);
      throw new AppError("refused", `${locator} was opened to be looked at`);
    },
    close: async () => sink?.close(),
  };
}

async function* listed(owners: readonly Owner[]): AsyncGenerator<Owner, void> {
  yield* owners;
}

/** Keeps what has come in a temporary file until the records say where it goes. */
class MailFilesSession implements PlaceSession {
  readonly #sink: MessageSink;
  readonly #written: Map<string, Written>;
  readonly #spool = openUnnamed();
  #end = 0;
  readonly #staged = new Map<Guid, { readonly at: number; readonly size: number }>();

  constructor(sink: MessageSink, written: Map<string, Written>) {
    this.#sink = sink;
    this.#written = written;
  }

  async reserve({ guids }: { readonly guids: readonly Guid[] }): Promise<Outcome<readonly Guid[]>> {
    return ok(guids.filter((guid) => !this.#staged.has(guid)));
  }

  stage(message: IncomingMessage): MessageWriter {
    return receiving(message, (received) => this.#keep(message, received));
  }

  async #keep({ guid, size }: IncomingMessage, received: ReceivedMessage): Promise<void> {
    // What is not the message that it is called is never staged, so its mailbox is refused.
    if (received.digest() !== guid) return received.release();
    const chunks: Uint8Array[] = [];
    for await (const chunk of received.content().chunks()) chunks.push(chunk);
    writeFully(this.#spool, concat(chunks), this.#end);
    this.#staged.set(guid, { at: this.#end, size });
    this.#end += size;
  }

  async flush(): Promise<Outcome> {
    return DONE;
  }

  async apply(command: ApplyCommand): Promise<Outcome> {
    if (command.kind === "mailbox") return this.#put(command);
    return refused("notSupported", `Files of messages hold no ${command.kind}`);
  }

  async #put({ state, records }: ApplyMailbox): Promise<Outcome> {
    const { name } = state;
    const refusal = nameProblem(name) ?? this.#sink.refuses(name);
    if (refusal !== undefined) return refused("notSupported", refusal);
    if (this.#written.has(name)) return refused("notSupported", `${name} was written already`);
    const all: MailRecord[] = [];
    for await (const batch of records.batches()) {
      for (const record of batch) if (!record.expunged) all.push(record);
    }
    const lost = all.find(({ guid }) => !this.#staged.has(guid));
    if (lost !== undefined) {
      return refused("checksum", `Message ${lost.uid} of ${name} was not sent: ${lost.guid}`);
    }
    for (const record of all) {
      const staged = this.#staged.get(record.guid);
      if (staged === undefined) continue;
      this.#sink.put(name, record, readFully(this.#spool, staged.size, staged.at));
    }
    this.#written.set(name, { state, records: all });
    return DONE;
  }

  async restart(): Promise<void> {
    this.#staged.clear();
    this.#end = 0;
  }

  async close(): Promise<void> {
    closeSync(this.#spool);
  }
}
