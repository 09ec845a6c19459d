/**
 * Messages on their way to the target (sync-protocol.md 5.2): RESERVE finds what the target has
 * somewhere already, the rest is read at the source and staged, for several mailboxes as one
 * stream. A message is sent once for an owner.
 */
import type { Guid } from "../../model/guid.ts";
import { DONE, type Outcome, type Refusal } from "../../model/outcome.ts";
import { type StagedGuids, stagedIn } from "../../model/staged_guids.ts";
import { type PlaceSession, releaseMessage } from "../../places/place.ts";
import {
  MessageReader,
  type MessageSource,
  type ReadMessage,
  type WantedMessage,
} from "./read_messages.ts";

/** GUIDs in one RESERVE: what Cyrus' own client sends at most. */
const RESERVE_GUIDS = 8192;
/** After so many messages or bytes the sender is told how far it is. */
const BATCH_MESSAGES = 128;
const BATCH_BYTES = 1024 * 1024;

/** How messages get from one place to another. */
export interface Transport {
  readonly source: MessageSource;
  readonly session: PlaceSession;
  /** Internal names of the target's mailboxes in which RESERVE may find messages. */
  readonly reservable: readonly string[];
  /** What the session has staged already; added to. */
  readonly staged: StagedGuids;
  /** After each batch; waits where the sender is too fast, throws where the time is up. */
  readonly sent: (messages: number, bytes: number) => Promise<void>;
}

/** The messages of one mailbox. */
export interface Parcel {
  readonly messages: ReadonlyMap<Guid, WantedMessage>;
  /** Where they go at the target: staging is by partition. */
  readonly partition: string;
}

/**
 * Sends what the target lacks of the parcels, and says of each in turn whether it could be sent;
 * whether it has come, the flush of the session says. Leaving the loop early lets go of all that
 * was read ahead.
 */
export async function* sendParcels(
  parcels: readonly Parcel[],
  transport: Transport,
): AsyncGenerator<Outcome, void> {
  const refusals = new Map<string, Refusal>();
  const missing = await findMissing(parcels, { transport, refusals });
  const reader = new MessageReader(missing.flat(), transport.source);
  try {
    for (const [at, { partition }] of parcels.entries()) {
      const messages = missing[at] ?? [];
      const refusal = messages.length > 0 ? refusals.get(partition) : undefined;
      yield refusal ?? (await sendAll(messages, { partition, reader, transport }));
    }
  } finally {
    await reader.close();
  }
}

/** Sends one parcel. */
export async function sendParcel(parcel: Parcel, transport: Transport): Promise<Outcome> {
  for await (const sent of sendParcels([parcel], transport)) return sent;
  return DONE;
}

/** What has to be sent with each parcel. */
async function findMissing(
  parcels: readonly Parcel[],
  { transport, refusals }: { transport: Transport; refusals: Map<string, Refusal> },
): Promise<WantedMessage[][]> {
  const unknown = new Map<string, Set<Guid>>();
  const wanted = parcels.map(({ messages, partition }) => {
    const staged = stagedIn(transport.staged, partition);
    const ofPartition = stagedIn(unknown, partition);
    const news = [...messages].filter(([guid]) => !staged.has(guid) && !ofPartition.has(guid));
    for (const [guid] of news) ofPartition.add(guid);
    return news;
  });
  for (const [partition, guids] of unknown) {
    const refusal = await reserve(guids, { partition, transport });
    if (refusal !== undefined) refusals.set(partition, refusal);
  }
  return wanted.map((news, at) => {
    const staged = stagedIn(transport.staged, parcels[at]?.partition ?? "");
    return news.flatMap(([guid, message]) => (staged.has(guid) ? [] : [message]));
  });
}

/** Notes as staged what the target has found of `guids`. */
async function reserve(
  guids: ReadonlySet<Guid>,
  { partition, transport }: { partition: string; transport: Transport },
): Promise<Refusal | undefined> {
  const { session, reservable: mailboxes, staged } = transport;
  if (mailboxes.length === 0) return undefined;
  const all = [...guids];
  for (let at = 0; at < all.length; at += RESERVE_GUIDS) {
    const some = all.slice(at, at + RESERVE_GUIDS);
    const answer = await session.reserve({ partition, mailboxes, guids: some });
    if (answer.kind === "refused") return answer;
    const missing = new Set(answer.value);
    for (const guid of some) if (!missing.has(guid)) stagedIn(staged, partition).add(guid);
  }
  return undefined;
}

interface Sending {
  readonly partition: string;
  readonly reader: MessageReader;
  readonly transport: Transport;
}

async function sendAll(
  messages: readonly WantedMessage[],
  { partition, reader, transport }: Sending,
): Promise<Outcome> {
  const staged = stagedIn(transport.staged, partition);
  let batch = { messages: 0, bytes: 0 };
  for (const message of messages) {
    const { uid, guid, mailbox } = message.address;
    const read = await reader.take(message);
    if (read.kind === "refused") {
      if (message.mayBeGone) continue;
      const refusal = { ...read, uid };
      const { session } = transport;
      if (session.lacks === undefined) return refusal;
      await session.lacks(guid, mailbox, refusal);
      continue;
    }
    await stage(read.value, { partition, guid, mailbox, session: transport.session });
    staged.add(guid);
    batch = { messages: batch.messages + 1, bytes: batch.bytes + read.value.size };
    if (batch.messages < BATCH_MESSAGES && batch.bytes < BATCH_BYTES) continue;
    await transport.sent(batch.messages, batch.bytes);
    batch = { messages: 0, bytes: 0 };
  }
  if (batch.messages > 0) await transport.sent(batch.messages, batch.bytes);
  return DONE;
}

interface Staging {
  readonly partition: string;
  readonly guid: Guid;
  readonly mailbox: string;
  readonly session: PlaceSession;
}

async function stage(
  { size, chunks }: ReadMessage,
  { session, ...message }: Staging,
): Promise<void> {
  const open = () => session.stage({ ...message, size, isVerified: true });
  const writer = await releasing(chunks, open);
  try {
    for await (const chunk of "chunks" in chunks ? chunks.chunks() : chunks) {
      const waiting = writer.write(chunk);
      if (waiting !== undefined) await waiting;
    }
    await writer.end();
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** Does `work`; if it throws, the message that nobody has begun to read is let go of. */
async function releasing<Value>(chunks: ReadMessage["chunks"], work: () => Value): Promise<Value> {
  try {
    return work();
  } catch (error) {
    if ("chunks" in chunks) await releaseMessage(chunks);
    throw error;
  }
}
