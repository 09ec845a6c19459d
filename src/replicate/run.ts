/**
 * Does a plan: brings one user from a place to another. One mailbox that fails is reported and stops no
 * other; what it failed for is a value, so that the caller can say it and count it.
 */
import { createHash } from "node:crypto";
import { classifyUuid } from "../formats/cyrus/uuid.ts";
import type { MailboxState, UserState } from "../model/mailbox.ts";
import { recordsOf } from "../model/mailbox.ts";
import { type Outcome, type Refusal, refused } from "../model/outcome.ts";
import type { MailRecord } from "../model/record.ts";
import type { MailboxReading, Place, PlaceSession, WritablePlace } from "../places/place.ts";
import { commonHolds, type MailboxStep, type Plan, planUser, type Step } from "./plan.ts";

export interface ReplicateEvents {
  /** Before a step is done, or instead of it in a dry run. */
  readonly step?: (step: Step) => void;
  /** A step that could not be done, or a mailbox of A that could not be read. */
  readonly failed: (name: string, refusal: Refusal) => void;
  readonly sent?: (message: { readonly bytes: number }) => void;
}

export interface ReplicateOptions {
  readonly userid: string;
  readonly dryRun: boolean;
  readonly events: ReplicateEvents;
}

export interface ReplicateResult {
  readonly plan: Plan;
  readonly failures: number;
  readonly messages: number;
  readonly bytes: number;
}

/** Brings what `source` holds of a user to `target`. A refusal is one of the whole user. */
export async function replicateUser(
  source: Place,
  target: WritablePlace,
  options: ReplicateOptions,
): Promise<Outcome<ReplicateResult>> {
  const { userid, dryRun, events } = options;
  const ours = await source.user(userid);
  if (ours.kind === "refused") return ours;
  const theirs = await target.user(userid);
  if (theirs.kind === "refused") return theirs;
  const holds = commonHolds(source.holds, target.holds);
  const plan = planUser({ userid, source: ours.value, target: theirs.value, holds });
  const total = { failures: 0, messages: 0, bytes: 0 };
  const fail = (name: string, refusal: Refusal): void => {
    total.failures++;
    events.failed(name, refusal);
  };
  for (const { name, refusal } of ours.value.unreadable ?? []) fail(name, refusal);
  const session = await target.openSession();
  try {
    const sender = { source, session, target: theirs.value, events, total };
    for (const step of plan.steps) {
      events.step?.(step);
      if (dryRun) continue;
      const done =
        step.kind === "mailbox"
          ? await sendMailbox(step, sender)
          : await session.apply(step.command);
      if (done.kind === "refused") fail(nameOf(step), done);
    }
  } finally {
    await session.close();
  }
  return { kind: "ok", value: { plan, ...total } };
}

/** What a step is about, for a person. */
export function nameOf(step: Step): string {
  if (step.kind === "mailbox") return step.name;
  const { command } = step;
  if (command.kind === "rename") return command.oldName;
  if (command.kind === "quota") return command.quota.root;
  return "name" in command ? command.name : command.kind;
}

interface Sender {
  readonly source: Place;
  readonly session: PlaceSession;
  readonly target: UserState;
  readonly events: ReplicateEvents;
  readonly total: { messages: number; bytes: number };
}

/** Sends the records that the target cannot know, their messages first. */
async function sendMailbox(step: MailboxStep, sender: Sender): Promise<Outcome> {
  const reading = await sender.source.readMailbox(step.name);
  if (reading.kind === "refused") return reading;
  const { state: found } = reading.value;
  const { fresh, hasForeign } = await newRecords(reading.value, step);
  const records = hasForeign ? await identify(fresh, found, sender.source) : fresh;
  // The checksum over GUIDs that no one else has cannot come out the same.
  const state = hasForeign ? { ...found, syncCrc: 0 } : found;
  if (state.uniqueid !== step.uniqueid)
    return refused("changed", `Mailbox ${step.name} was replaced meanwhile`);
  const arriving = records.filter((record) => record.uid > step.knownUid && !record.unlinked);
  const staged = await sendMessages(arriving, state, sender);
  if (staged.kind === "refused") return staged;
  const since = step.isNew ? undefined : { modseq: step.knownModseq };
  return sender.session.apply({
    kind: "mailbox",
    state,
    records: recordsOf(records),
    ...(since === undefined ? {} : { since }),
  });
}

interface NewRecords {
  readonly fresh: readonly MailRecord[];
  /** True where any record of the mailbox lacks the GUID that is its message's SHA-1. */
  readonly hasForeign: boolean;
}

async function newRecords(reading: MailboxReading, step: MailboxStep): Promise<NewRecords> {
  const fresh: MailRecord[] = [];
  let hasForeign = false;
  for await (const batch of reading.records.batches()) {
    for (const record of batch) {
      hasForeign ||= isForeign(record);
      if (record.modseq > step.knownModseq || record.uid > step.knownUid) fresh.push(record);
    }
  }
  return { fresh, hasForeign };
}

function isForeign(record: MailRecord): boolean {
  return classifyUuid(record.guid) !== undefined;
}

/**
 * Gives records of old mailboxes the GUID of their message: Cyrus before 2.4 kept none, or a number of
 * its own, and the protocol knows messages by nothing else.
 */
async function identify(
  records: readonly MailRecord[],
  state: MailboxState,
  source: Place,
): Promise<MailRecord[]> {
  const known: MailRecord[] = [];
  for (const record of records) {
    const guid =
      isForeign(record) && !record.unlinked ? await hashOf(record, state, source) : undefined;
    known.push(guid === undefined ? record : { ...record, guid });
  }
  return known;
}

async function hashOf(
  record: MailRecord,
  state: MailboxState,
  source: Place,
): Promise<string | undefined> {
  const { uid, guid } = record;
  const { uniqueid, name: mailbox, partition } = state;
  const content = await source.message({ mailbox, uniqueid, partition, uid, guid });
  if (content.kind === "refused") return undefined; // sending it will say why
  const hash = createHash("sha1");
  for await (const chunk of content.value.chunks()) hash.update(chunk);
  return hash.digest("hex");
}

/** Stages what the target has not; an expunged message that is gone is no loss, a live one is. */
async function sendMessages(
  records: readonly MailRecord[],
  state: MailboxState,
  { source, session, target, events, total }: Sender,
): Promise<Outcome> {
  if (records.length === 0) return session.flush();
  const byGuid = new Map(records.map((record) => [record.guid, record]));
  const partition = state.partition ?? "default";
  const mailboxes = [state.name, ...target.mailboxes.map(({ name }) => name)];
  const missing = await session.reserve({ partition, mailboxes, guids: [...byGuid.keys()] });
  if (missing.kind === "refused") return missing;
  for (const guid of missing.value) {
    const record = byGuid.get(guid);
    if (record === undefined) continue;
    const { uniqueid, name: mailbox } = state;
    const content = await source.message({ mailbox, uniqueid, partition, uid: record.uid, guid });
    if (content.kind === "refused") {
      if (record.expunged) continue;
      return content;
    }
    const { size } = content.value;
    const writer = session.stage({ partition, guid, size });
    for await (const chunk of content.value.chunks()) await writer.write(chunk);
    await writer.end();
    total.messages++;
    total.bytes += size;
    events.sent?.({ bytes: size });
  }
  return session.flush();
}
