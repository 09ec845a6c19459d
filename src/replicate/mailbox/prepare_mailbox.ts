/**
 * One mailbox looked at from both sides: its content planned, and the messages named that may have
 * to be sent. Nothing is written.
 */
import type { AppError } from "../../core/errors.ts";
import { pushAll } from "../../core/lists.ts";
import { flawOfMailbox, flawOfRecord } from "../../model/flaws.ts";
import { type Guid, isLegacyUuid, NULL_GUID } from "../../model/guid.ts";
import { isIntermediate, type MailboxState, recordsOf } from "../../model/mailbox.ts";
import { isGone, type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Holds, MailboxReading, Place } from "../../places/place.ts";
import { isSummedOtherwise } from "../plan/annotation_sums.ts";
import { type ContentPlan, planCompared, planNewer } from "../plan/plan_mailbox.ts";
import type { MailboxStep, Mode } from "../plan/steps.ts";
import { patient } from "./patient.ts";
import type { WantedMessage } from "./read_messages.ts";

/** What the work on one owner needs. */
export interface Work {
  readonly source: Place;
  readonly target: Place;
  readonly holds: Holds;
  readonly mode: Mode;
  /** Names of mailboxes that the source turns out not to have any more; added to. */
  readonly gone: Set<string>;
  /** Mailboxes that are left out because the connection was lost over them, with the error. */
  readonly broken?: ReadonlyMap<string, AppError> | undefined;
  /** The partition for a mailbox that is to be made. */
  readonly partitionFor: (state: MailboxState) => string;
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
  /** The messages of new records, by GUID. */
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
  const { fillsGaps } = work.target;
  const request = { mode, holds, fillsGaps, partition: work.partitionFor(step.ours) };
  // What a damaged mailbox does not tell must not be taken for gone.
  const isCompared =
    step.records === "compare" || (reading.lost !== undefined && step.theirs !== undefined);
  if (!isCompared || isIntermediate(step.ours)) {
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

/** Mailboxes of so many records are kept in memory, for they are gone through several times. */
const KEPT_RECORDS = 8192;

/** Counts what is sent, and refuses what no peer could take (sync-protocol.md 4.4). */
export async function withMessages(
  reading: MailboxReading,
  content: ContentPlan,
): Promise<Outcome<Prepared>> {
  const { name: mailbox, uniqueid, partition } = reading.state;
  const messages = new Map<Guid, WantedMessage>();
  const counts = { records: 0, messages: 0, bytes: 0 };
  if (content.isNothing) return ok({ reading, content, counts, messages });
  const unfit = isIntermediate(content.state) ? undefined : flawOfMailbox(content.state);
  if (unfit !== undefined) return refused("notSupported", unfit);
  const kept: MailRecord[] = [];
  let seen = 0;
  for await (const batch of reading.records.batches()) {
    seen += batch.length;
    if (seen <= KEPT_RECORDS) pushAll(kept, batch);
    for (const record of batch) {
      if (!content.isSent(record)) continue;
      const unfit = flawOfRecord(record, mailbox);
      if (unfit !== undefined) return { ...refused("notSupported", unfit), uid: record.uid };
      counts.records += 1;
      if (!content.isNew(record)) continue;
      const { uid, guid, size, expunged } = record;
      const flaw = expunged ? undefined : flawOfNew(record);
      if (flaw !== undefined) {
        return { ...refused("notSupported", `${mailbox} UID ${uid}: ${flaw}`), uid };
      }
      counts.messages += expunged ? 0 : 1;
      counts.bytes += expunged ? 0 : size;
      if (record.unlinked === true || isBlank(record)) continue;
      const mayBeGone = expunged && messages.get(guid)?.mayBeGone !== false;
      const address = { mailbox, uniqueid, partition, uid, guid };
      messages.set(guid, { address, size, mayBeGone });
    }
  }
  const known = seen <= KEPT_RECORDS ? { ...reading, records: recordsOf(kept) } : reading;
  return ok({ reading: known, content, counts, messages });
}

/** Why a living message cannot be sent. */
function flawOfNew({ guid, size, internaldate }: MailRecord): string | undefined {
  if (guid === NULL_GUID) return "it has no GUID";
  if (isLegacyUuid(guid)) return `its GUID ${guid} is a UUID of Cyrus 2.3, not a SHA-1`;
  if (internaldate === 0) return "it has no internaldate";
  return size === 0 ? "it is empty" : undefined;
}

/** An expunged record too bare to be taken; nothing is lost with it. */
export function isBlank({ expunged, guid, internaldate }: MailRecord): boolean {
  return expunged && (guid === NULL_GUID || internaldate === 0);
}
