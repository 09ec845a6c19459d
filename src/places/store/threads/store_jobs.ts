/**
 * The jobs of a store's threads, each of which has the store open for itself; `worker_place.ts`
 * submits them. Refusals are values, errors are carried. A thread does one job at a time, as each
 * is synchronous.
 */
import { rmSync } from "node:fs";
import { assert } from "../../../core/assert.ts";
import type { Limits } from "../../../core/limits.ts";
import type { ApplyCommand } from "../../../model/apply.ts";
import type { Guid } from "../../../model/guid.ts";
import { recordsOf } from "../../../model/mailbox.ts";
import type { Owner } from "../../../model/names.ts";
import { type Outcome, ok } from "../../../model/outcome.ts";
import type { MailRecord } from "../../../model/record.ts";
import { MemoryWatch, OWN_MEMORY } from "../../../net/memory_watch.ts";
import { readFully } from "../../../storage/disk.ts";
import { type Moved, moved, noteToOwner } from "../../../threads/jobs.ts";
import { firstDamage } from "../../first_damage.ts";
import { outcomeOf } from "../../outcome_of.ts";
import type { MessageAddress, ReserveRequest } from "../../place.ts";
import type { RawRecordsRequest } from "../../raw_mailbox.ts";
import { costOf } from "../../record_cost.ts";
import type { KnownMessage } from "../messages/message_file.ts";
import { Staging } from "../messages/staging.ts";
import { StagingSession } from "../messages/staging_session.ts";
import { withReserve } from "../reserve.ts";
import { type FoundMessage, openStorePlace, type StorePlace } from "../store_place.ts";
import { type MailboxSnapshot, readingOf } from "../stored_mailbox.ts";

/** What a thread is told at its start. */
export interface StoreThreadData {
  readonly root: string;
  readonly limits: Limits;
  /** Owners whose folders stay open in one thread. */
  readonly openOwners: number;
}

/** A part of what a session sends, in the order in which it came. */
export type StagedPiece =
  | { readonly kind: "begin"; readonly guid: Guid }
  /** The next `length` bytes of the buffer. */
  | { readonly kind: "bytes"; readonly length: number }
  | { readonly kind: "end" | "abort" };

export interface StagedBatch {
  readonly session: number;
  /** Is handed back with the answer. */
  readonly buffer: ArrayBuffer | undefined;
  readonly pieces: readonly StagedPiece[];
}

/** A part of the records of an APPLY MAILBOX, with those of their messages that are staged. */
export interface RecordBatch {
  readonly request: number;
  readonly records: readonly MailRecord[];
  readonly staged: readonly KnownMessage[];
}

/** A command as it can be sent to a thread: without its source of records. */
export type PlainCommand = ApplyCommand extends infer One
  ? One extends { readonly records: unknown }
    ? Omit<One, "records">
    : One
  : never;

export interface ApplyRequest {
  /** The number in the record batches that were sent before. */
  readonly request: number;
  /** Without its records, which were sent before. */
  readonly command: PlainCommand;
  readonly force: boolean;
}

/** The handlers of one thread; `data` is a `StoreThreadData` where the thread is one of a store. */
export function storeJobs(data: unknown) {
  // `StoreThreads` gives just that to the threads to which it submits these jobs.
  const told = data as StoreThreadData;
  let opened: StorePlace | undefined;
  const place = (): StorePlace => {
    const { root, limits, openOwners } = told;
    const options = { limits, openOwners, access: "upgrade", tell: noteToOwner } as const;
    opened ??= openStorePlace(root, options);
    return opened;
  };
  return {
    "store.owners": () => place().owners().then(gathered),
    "store.lost": (among: readonly Owner[] | undefined) => place().lost(among),
    "store.holders": (uniqueids: readonly string[]) => place().holders(uniqueids),
    "store.user": (userid: string) => place().user(userid),
    "store.meta": (userid: string) => place().meta(userid),
    "store.mailboxes": (names: readonly string[]) => place().mailboxes(names),
    "store.mailboxesByUniqueid": (uniqueids: readonly string[]) =>
      place().mailboxesByUniqueid(uniqueids),
    "store.sharedMailboxes": (toplevel: string) => place().sharedMailboxes(toplevel),
    "store.annotations": async (name: string) =>
      moving(await place().annotations(name), (all) => all.map(({ value }) => value)),
    "store.quota": (root: string) => place().quota(root),
    "store.sieveScript": async ({ userid, filename }: { userid: string; filename: string }) =>
      moving(await place().sieveScript(userid, filename), (content) => [content]),
    "store.snapshot": async (name: string) =>
      moving(await soundSnapshot(await place().snapshot(name)), ({ image }) =>
        image === undefined ? [] : Object.values(image.files),
      ),
    "store.rawMailboxes": (userid: string) => place().rawMailboxes(userid),
    "store.rawMailbox": async (name: string) =>
      moving(await place().rawMailbox(name), ({ files }) => Object.values(files)),
    "store.rawRecords": (request: RawRecordsRequest) => place().rawRecords(request),
    "store.message": async (address: MessageAddress) =>
      movedMessage(await place().findMessage(address)),
    "store.readAt": ({ fd, length, offset }: { fd: number; length: number; offset: number }) => {
      const bytes = readFully(fd, length, offset);
      return moved(bytes, [bytes.buffer]);
    },
    "store.findSound": (request: ReserveRequest) => place().findSound(request),
    ...applyJobs(place),
    ...stagingJobs(told),
    "store.close": () => opened?.close(),
  };
}

export type StoreJobs = ReturnType<typeof storeJobs>;

/** The records of an APPLY MAILBOX that have come so far, and their messages. */
interface RecordsOnTheWay {
  readonly records: MailRecord[];
  readonly staged: Map<Guid, KnownMessage>;
}

function newOnTheWay(): RecordsOnTheWay {
  return { records: [], staged: new Map() };
}

function applyJobs(place: () => StorePlace) {
  const memory = new MemoryWatch(OWN_MEMORY);
  const onTheWay = new Map<number, RecordsOnTheWay>();
  return {
    "store.records": ({ request, records, staged }: RecordBatch): void => {
      const whole = onTheWay.get(request) ?? newOnTheWay();
      onTheWay.set(request, whole);
      for (const record of records) {
        whole.records.push(record);
        memory.took(costOf(record));
      }
      for (const message of staged) whole.staged.set(message.facts.guid, message);
    },
    "store.forget": (request: number): void => {
      onTheWay.delete(request);
    },
    "store.apply": async ({ request, command, force }: ApplyRequest) => {
      const { records, staged } = onTheWay.get(request) ?? newOnTheWay();
      onTheWay.delete(request);
      const find = (guid: Guid): KnownMessage | undefined => staged.get(guid);
      const whole = "state" in command ? { ...command, records: recordsOf(records) } : command;
      const cost = records.reduce((sum, record) => sum + costOf(record), 0);
      memory.took(cost);
      const outcome = await place().apply(whole, records, { staging: { find }, force });
      // What a large request leaves behind would stay until this thread's next one.
      memory.took(cost);
      return outcome;
    },
  };
}

function stagingJobs(told: StoreThreadData) {
  const sessions = new Map<number, OpenSession>();
  const find = (session: number): OpenSession => {
    const found = sessions.get(session);
    assert(found !== undefined, `session ${session} has been opened in this thread`);
    return found;
  };
  return {
    /** Opens a session's staging: its folder. `abandoned` is its folder in a lost thread, or "". */
    "staging.open": ({ session, abandoned }: { session: number; abandoned: string }): string => {
      if (abandoned !== "") rmSync(abandoned, { recursive: true, force: true });
      const staging = withReserve(told.root, () => new Staging(told.root, told.limits));
      const staged: KnownMessage[] = [];
      const running = new StagingSession(staging, (message) => staged.push(message));
      sessions.set(session, { running, staged });
      return staging.folder;
    },
    "staging.write": ({ session, buffer, pieces }: StagedBatch) => {
      takePieces(find(session).running, pieces, buffer);
      return moved(buffer, buffer === undefined ? [] : [buffer]);
    },
    /** What was staged since this was last asked; `applied` are those that a mailbox has since. */
    "staging.staged": ({ session, applied }: { session: number; applied: readonly Guid[] }) => {
      const { running, staged } = find(session);
      running.staging.applied(applied);
      return staged.splice(0);
    },
    "staging.flush": async (session: number) => {
      const { running, staged } = find(session);
      const outcome = await outcomeOf((): undefined => {
        running.flush();
      });
      return { outcome, staged: staged.splice(0) };
    },
    "staging.reserve": ({ session, found }: { session: number; found: readonly KnownMessage[] }) =>
      outcomeOf(() => find(session).running.reserve(found)),
    "staging.restart": (session: number): void => {
      const { running, staged } = find(session);
      running.restart();
      staged.length = 0;
    },
    "staging.close": (session: number): void => {
      find(session).running.close();
      sessions.delete(session);
    },
  };
}

interface OpenSession {
  readonly running: StagingSession;
  /** What it has staged since this was last asked. */
  readonly staged: KnownMessage[];
}

/** Stages what has come, in its order. */
function takePieces(
  session: StagingSession,
  pieces: readonly StagedPiece[],
  buffer: ArrayBuffer | undefined,
): void {
  let at = 0;
  for (const piece of pieces) {
    switch (piece.kind) {
      case "begin":
        session.begin(piece.guid);
        break;
      case "bytes":
        assert(buffer !== undefined, "bytes come in a buffer");
        session.write(new Uint8Array(buffer, at, piece.length));
        at += piece.length;
        break;
      case "end":
        session.end();
        break;
      case "abort":
        session.abort();
        break;
    }
  }
}

async function gathered<T>(found: Outcome<AsyncIterable<T>>): Promise<Outcome<readonly T[]>> {
  return found.kind === "refused" ? found : ok(await Array.fromAsync(found.value));
}

/** The snapshot with its records checked, which takes long: here it stalls no session. */
async function soundSnapshot(found: Outcome<MailboxSnapshot>): Promise<Outcome<MailboxSnapshot>> {
  if (found.kind === "refused") return found;
  return (await firstDamage(readingOf(found.value).records)) ?? found;
}

/** What was found, with those of its bytes given away that are all of a block of memory. */
function moving<Value>(
  found: Outcome<Value>,
  bytesIn: (value: Value) => readonly (Uint8Array | undefined)[],
): Outcome<Value> | Moved<Outcome<Value>> {
  if (found.kind === "refused") return found;
  const buffers: ArrayBuffer[] = [];
  for (const bytes of bytesIn(found.value)) {
    const isAll = bytes !== undefined && bytes.buffer.byteLength === bytes.length;
    if (isAll && bytes.buffer instanceof ArrayBuffer) buffers.push(bytes.buffer);
  }
  return moved(found, buffers);
}

function movedMessage(
  found: Outcome<FoundMessage>,
): Outcome<FoundMessage> | Moved<Outcome<FoundMessage>> {
  if (found.kind === "refused" || !("bytes" in found.value)) return found;
  return moved(found, [found.value.bytes.buffer]);
}
