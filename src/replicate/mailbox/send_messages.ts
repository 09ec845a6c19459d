/**
 * Messages on their way to the target (sync-protocol.md 5.2): RESERVE what it has somewhere already, then one loop
 * that sends the rest in batches and reads the next batch while one is sent. A message is sent once a user.
 */
import type { Guid } from "../../model/guid.ts";
import { DONE, type Outcome, ok, type Refusal } from "../../model/outcome.ts";
import { type StagedGuids, stagedIn } from "../../model/staged_guids.ts";
import type { MessageAddress, MessageContent, Place, PlaceSession } from "../../places/place.ts";

/** GUIDs in one RESERVE: what Cyrus' own client sends at most. */
const RESERVE_GUIDS = 8192;
/**
 * A batch is sent when it has as many messages or bytes: about what the socket takes, for while a batch is read nothing
 * is written.
 */
const BATCH_MESSAGES = 128;
const BATCH_BYTES = 1024 * 1024;

/** A message that is to be at the target. */
export interface WantedMessage {
  readonly address: MessageAddress;
  /** Nothing is lost if it is not there any more: its record is a tombstone. */
  readonly mayBeGone: boolean;
}

export interface Upload {
  readonly source: Pick<Place, "message">;
  readonly session: PlaceSession;
  /** Internal names of the target's mailboxes that may hold messages. */
  readonly mailboxes: readonly string[];
  /** Where the messages go: staging is by partition. */
  readonly partition: string;
  /** What the session has staged already; added to. */
  readonly staged: StagedGuids;
  /** After each batch; waits where the sender is too fast, throws where the time is up. */
  readonly sent: (messages: number, bytes: number) => Promise<void>;
}

/** Sends every wanted message that the target lacks. Whether all have come, the flush of the session says. */
export async function sendMessages(
  wanted: ReadonlyMap<Guid, WantedMessage>,
  upload: Upload,
): Promise<Outcome> {
  const staged = stagedIn(upload.staged, upload.partition);
  const unknown = [...wanted.keys()].filter((guid) => !staged.has(guid));
  const missing = await reserve(unknown, upload);
  if (missing.kind === "refused") return missing;
  const left = new Set(missing.value);
  for (const guid of unknown) if (!left.has(guid)) staged.add(guid);
  const queue = missing.value
    .map((guid) => wanted.get(guid))
    .filter((message) => message !== undefined);
  const batches = readBatches(queue, upload.source);
  let next = batches.next();
  for (;;) {
    const { value: batch, done } = await next;
    if (done === true) break;
    if ("reason" in batch) return batch;
    // The next batch is read while this one is sent. If sending fails it is awaited all the same.
    next = batches.next();
    try {
      await sendBatch(batch, upload);
    } catch (error) {
      await Promise.allSettled([next]);
      throw error;
    }
    for (const { guid } of batch.messages) staged.add(guid);
  }
  return DONE;
}

async function reserve(
  guids: readonly Guid[],
  { session, mailboxes, partition }: Upload,
): Promise<Outcome<readonly Guid[]>> {
  if (mailboxes.length === 0) return ok(guids);
  const missing: Guid[] = [];
  for (let at = 0; at < guids.length; at += RESERVE_GUIDS) {
    const some = guids.slice(at, at + RESERVE_GUIDS);
    const answer = await session.reserve({ partition, mailboxes, guids: some });
    if (answer.kind === "refused") return answer;
    missing.push(...answer.value);
  }
  return ok(missing);
}

interface ReadMessage {
  readonly guid: Guid;
  readonly size: number;
  /** In memory, or as the source gives them where it is too large for that. */
  readonly chunks: readonly Uint8Array[] | MessageContent;
}

interface Batch {
  readonly messages: readonly ReadMessage[];
  readonly bytes: number;
}

async function* readBatches(
  queue: readonly WantedMessage[],
  source: Pick<Place, "message">,
): AsyncGenerator<Batch | Refusal, undefined> {
  let messages: ReadMessage[] = [];
  let bytes = 0;
  for (const { address, mayBeGone } of queue) {
    const content = await source.message(address);
    if (content.kind === "refused") {
      if (mayBeGone) continue;
      yield { ...content, uid: address.uid };
      return;
    }
    const { size } = content.value;
    if (messages.length > 0 && (bytes + size > BATCH_BYTES || messages.length === BATCH_MESSAGES)) {
      yield { messages, bytes };
      messages = [];
      bytes = 0;
    }
    const chunks = size > BATCH_BYTES ? content.value : await gather(content.value);
    messages.push({ guid: address.guid, size, chunks });
    bytes += size;
  }
  if (messages.length > 0) yield { messages, bytes };
}

async function gather(content: MessageContent): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content.chunks()) chunks.push(chunk);
  return chunks;
}

async function sendBatch(batch: Batch, { session, partition, sent }: Upload): Promise<void> {
  for (const { guid, size, chunks } of batch.messages) {
    const writer = session.stage({ partition, guid, size, isVerified: true });
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
  await sent(batch.messages.length, batch.bytes);
}
