/**
 * One mailbox, done: read, upload, apply, verify. Where the target refuses because it is not as it was thought
 * to be, it is asked again and every record is compared (sync-protocol.md 5.6; Cyrus gives up sooner).
 */
import type { AppError } from "../../core/errors.ts";
import type { Guid } from "../../model/guid.ts";
import { isLegacyUuid, NULL_GUID } from "../../model/guid.ts";
import type { MailboxState, RecordSource } from "../../model/mailbox.ts";
import { isIntermediate, recordsOf } from "../../model/mailbox.ts";
import { DONE, isGone, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { StagedGuids } from "../../model/staged_guids.ts";
import type { Holds, MailboxReading, Place, PlaceSession } from "../../places/place.ts";
import { isSummedOtherwise } from "../plan/annotation_sums.ts";
import { type ContentPlan, planCompared, planNewer } from "../plan/plan_mailbox.ts";
import type { MailboxStep, Mode } from "../plan/steps.ts";
import { patient } from "./patient.ts";
import { sendMessages, type WantedMessage } from "./send_messages.ts";
import { verifyMailbox } from "./verify.ts";

/** What the work on one owner needs. */
export interface Work {
  readonly source: Place;
  readonly target: Place;
  readonly holds: Holds;
  readonly mode: Mode;
  /** Names of mailboxes that the source turns out not to have any more; added to. */
  readonly gone: Set<string>;
  /** Names that are left out, for the connection was lost over each of them again and again, and how. */
  readonly broken?: ReadonlyMap<string, AppError> | undefined;
  /** The partition for a mailbox that is to be made. */
  readonly partitionFor: (state: MailboxState) => string;
}

export interface Sending extends Work {
  readonly session: PlaceSession;
  /** Target's mailboxes that RESERVE may look in. */
  readonly reservable: readonly string[];
  readonly staged: StagedGuids;
  readonly sent: (messages: number, bytes: number) => Promise<void>;
  /** Before anything of this mailbox is written. */
  readonly begins: (step: MailboxStep, prepared: Prepared) => void;
}

/** How much of a mailbox goes over. */
export interface ContentCounts {
  readonly records: number;
  /** Messages that the target may lack; RESERVE may find some of them there. */
  readonly messages: number;
  readonly bytes: number;
}

/** A mailbox looked at from both sides. */
export interface Prepared {
  readonly reading: MailboxReading;
  readonly content: ContentPlan;
  readonly counts: ContentCounts;
  /** Those of new records. */
  readonly messages: ReadonlyMap<Guid, WantedMessage>;
}

/** Reads what `step` needs and plans its content; nothing is written. */
export async function prepareMailbox(
  step: MailboxStep,
  targetName: string,
  work: Work,
): Promise<Outcome<Prepared>> {
  const read = await patient(() => work.source.readMailbox(step.name));
  if (read.kind === "refused") {
    if (isGone(read)) work.gone.add(step.name);
    return read;
  }
  const reading = read.value;
  if (reading.state.uniqueid !== step.ours.uniqueid) {
    work.gone.add(step.name);
    return refused("changed", `${step.name} was replaced at the source meanwhile`);
  }
  const { mode, holds } = work;
  const request = { mode, holds, partition: work.partitionFor(step.ours) };
  if (step.records !== "compare" || isIntermediate(step.ours)) {
    return withMessages(reading, planNewer(step, reading.state, request));
  }
  if (step.theirs !== undefined && (await isSummedOtherwise(reading, step.theirs, holds))) {
    const same = { ...planNewer(step, reading.state, request), isNothing: true };
    return withMessages(reading, same);
  }
  const other = await patient(() => work.target.readMailbox(targetName));
  if (other.kind === "refused") return other;
  const target = { ...other.value, state: { ...other.value.state, name: step.name } };
  return withMessages(reading, await planCompared(reading, target, request));
}

/** How often a mailbox is tried: at the third time without the annotation sum, then without SINCE. */
const ATTEMPTS = 4;
const WITHOUT_ANNOTATION_SUM = 3;

/** A mailbox that was brought. */
export interface Brought {
  /** What was carried out. */
  readonly content: ContentPlan;
  /** Looks at it at the target. It may go on while the next mailbox is sent; it must be called, and waited for. */
  readonly prove: () => Promise<Outcome>;
}

/** A mailbox whose messages are on their way to the target, and its records not yet. */
export interface BegunMailbox {
  readonly step: MailboxStep;
  readonly attempt: number;
  readonly prepared: Prepared;
}

/** Reads a mailbox and sends its messages; `applyMailbox` asks whether they have come. */
export async function beginMailbox(
  step: MailboxStep,
  sending: Sending,
  attempt = 1,
): Promise<Outcome<BegunMailbox>> {
  const prepared = await prepareMailbox(step, step.name, sending);
  if (prepared.kind === "refused") return prepared;
  const begun = ok({ step, attempt, prepared: prepared.value });
  if (prepared.value.content.isNothing) return begun;
  const uploaded = await sendContent(prepared.value, sending);
  return uploaded.kind === "refused" ? uploaded : begun;
}

/** Sends its records. While the answer is waited for, others may be begun from when `sent` is called. */
export async function applyMailbox(
  { step, attempt, prepared }: BegunMailbox,
  sending: Sending,
  sent?: () => void,
): Promise<Outcome> {
  const { content } = prepared;
  if (content.isNothing) return DONE;
  const { session, staged } = sending;
  const flushed = await flushMessages({ session, staged });
  if (flushed.kind === "refused") return flushed;
  if (attempt === 1) sending.begins(step, prepared);
  const state =
    attempt < WITHOUT_ANNOTATION_SUM ? content.state : { ...content.state, syncCrcAnnot: 0 };
  const since = attempt < ATTEMPTS ? step.theirs?.highestmodseq : undefined;
  return applyContent(prepared, state, { session, since, sent });
}

/** Takes the answer to its records, and tries again where that may help. */
export async function endMailbox(
  first: BegunMailbox,
  answer: Outcome,
  sending: Sending,
): Promise<Outcome<Brought>> {
  let begun = first;
  let done = await patient(() => applyMailbox(first, sending), answer);
  while (done.kind === "refused") {
    if (!mayTryAgain(done) || begun.attempt === ATTEMPTS) return done;
    const step = await lookAgain(begun.step, sending);
    if (step.kind === "refused") return step;
    const again = await beginMailbox(step.value, sending, begun.attempt + 1);
    if (again.kind === "refused") return again;
    const next = again.value;
    begun = next;
    done = await patient(() => applyMailbox(next, sending));
  }
  const { step, prepared } = begun;
  const { content, reading } = prepared;
  if (content.isNothing) return ok({ content, prove: () => Promise.resolve(DONE) });
  const { target, holds } = sending;
  const records = step.records === "compare";
  return ok({ content, prove: () => verifyMailbox(reading, { target, content, holds, records }) });
}

/** Brings one mailbox. */
export async function runMailbox(step: MailboxStep, sending: Sending): Promise<Outcome<Brought>> {
  const begun = await beginMailbox(step, sending);
  if (begun.kind === "refused") return begun;
  return endMailbox(begun.value, await applyMailbox(begun.value, sending), sending);
}

export function mayTryAgain({ reason }: Refusal): boolean {
  return reason === "changed" || reason === "checksum";
}

/** The same step by what the target has now, every record of it. */
async function lookAgain(step: MailboxStep, { target }: Work): Promise<Outcome<MailboxStep>> {
  const states = await target.mailboxes([step.name]);
  if (states.kind === "refused") return states;
  const [theirs] = states.value;
  return ok({ ...step, theirs, records: theirs === undefined ? "all" : "compare" });
}

/** How the messages of one mailbox get to a place. */
export interface Transport extends Pick<Sending, "session" | "reservable" | "staged" | "sent"> {
  /** Where the messages are, by the mailbox and UID of their records. */
  readonly source: Pick<Place, "message">;
}

/** Sends the messages that the target lacks; whether they have come, the next flush says. */
export function sendContent(
  { content, messages }: Prepared,
  { source, session, reservable, staged, sent }: Transport,
): Promise<Outcome> {
  const partition = content.state.partition ?? "default";
  const upload = { source, session, mailboxes: reservable, partition, staged, sent };
  return sendMessages(messages, upload);
}

/** `ok` when the target has taken every message sent since this was last asked. */
export async function flushMessages({
  session,
  staged,
}: Pick<Transport, "session" | "staged">): Promise<Outcome> {
  const flushed = await session.flush();
  if (flushed.kind === "refused") staged.clear(); // nobody knows what of it the target has
  return flushed;
}

interface Applying {
  readonly session: PlaceSession;
  /** The highestmodseq that the target's mailbox must still have; undefined for one that is made. */
  readonly since: bigint | undefined;
  readonly sent?: (() => void) | undefined;
}

/** Applies the records of `content`, with `state` as that of the mailbox. */
export async function applyContent(
  { reading, content }: Prepared,
  state: MailboxState,
  { session, since, sent }: Applying,
): Promise<Outcome> {
  const { name, uniqueid } = state;
  if (content.rebuild) {
    const gone = await session.apply({ kind: "unmailbox", name });
    if (gone.kind === "refused" && gone.reason !== "nonexistent") return gone;
  }
  if (content.expunge.length > 0) {
    const uids = content.expunge;
    const expunged = await session.apply({ kind: "expunge", name, uniqueid, uids });
    if (expunged.kind === "refused") return expunged;
  }
  const records = filterRecords(
    reading.records,
    (record) => content.isSent(record) && !isBlank(record),
  );
  const isUpdate = since !== undefined && !content.rebuild;
  const command = {
    ...({ kind: "mailbox", state, records } as const),
    ...(isUpdate && { since: { modseq: since } }),
  };
  return session.apply(command, sent === undefined ? {} : { sent });
}

/** Records of one mailbox that are kept in memory: they are gone through when sent, when proven, and in between. */
const KEPT_RECORDS = 8192;

/** What goes over of the records. Refuses what no peer could take (sync-protocol.md 4.4). */
export async function withMessages(
  reading: MailboxReading,
  content: ContentPlan,
): Promise<Outcome<Prepared>> {
  const { name: mailbox, uniqueid, partition } = reading.state;
  const messages = new Map<Guid, WantedMessage>();
  const counts = { records: 0, messages: 0, bytes: 0 };
  if (content.isNothing) return ok({ reading, content, counts, messages });
  const kept: MailRecord[] = [];
  let seen = 0;
  for await (const batch of reading.records.batches()) {
    seen += batch.length;
    if (seen <= KEPT_RECORDS) kept.push(...batch);
    for (const record of batch) {
      if (!content.isSent(record)) continue;
      counts.records += 1;
      if (!content.isNew(record)) continue;
      const { uid, guid, size, expunged } = record;
      const flaw = expunged ? undefined : flawOf(record);
      if (flaw !== undefined) {
        return { ...refused("notSupported", `${mailbox} UID ${uid}: ${flaw}`), uid };
      }
      counts.messages += expunged ? 0 : 1;
      counts.bytes += expunged ? 0 : size;
      if (record.unlinked === true || isBlank(record)) continue;
      const mayBeGone = expunged && messages.get(guid)?.mayBeGone !== false;
      messages.set(guid, { address: { mailbox, uniqueid, partition, uid, guid }, mayBeGone });
    }
  }
  const known = seen <= KEPT_RECORDS ? { ...reading, records: recordsOf(kept) } : reading;
  return ok({ reading: known, content, counts, messages });
}

/** Why a living record cannot be sent. */
function flawOf({ guid, size, internaldate }: MailRecord): string | undefined {
  if (guid === NULL_GUID) return "it has no GUID";
  if (isLegacyUuid(guid)) return `its GUID ${guid} is a UUID of Cyrus 2.3, not a SHA-1`;
  if (internaldate === 0) return "it has no internaldate";
  return size === 0 ? "it is empty" : undefined;
}

/** A tombstone too bare to be taken; nothing is lost with it. */
function isBlank({ expunged, guid, internaldate }: MailRecord): boolean {
  return expunged && (guid === NULL_GUID || internaldate === 0);
}

/** Those records of a source that `isWanted`. */
function filterRecords(
  source: RecordSource,
  isWanted: (record: MailRecord) => boolean,
): RecordSource {
  return {
    batches: async function* () {
      for await (const batch of source.batches()) {
        const some = batch.filter(isWanted);
        if (some.length > 0) yield some;
      }
    },
  };
}
