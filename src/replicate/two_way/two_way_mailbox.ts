/**
 * One mailbox of two sides, done: both read, an agreement, then A and B each brought to it and
 * verified. A side that was written to meanwhile refuses; then both are read again, for the
 * agreement was about something else.
 */
import type { MailboxState } from "../../model/mailbox.ts";
import { isGone, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { StagedGuids } from "../../model/staged_guids.ts";
import type { Holds, MailboxReading, Place, PlaceSession } from "../../places/place.ts";
import { applyContent } from "../mailbox/apply_mailbox.ts";
import type { Budget } from "../mailbox/budget.ts";
import { patient } from "../mailbox/patient.ts";
import { type Prepared, withMessages } from "../mailbox/prepare_mailbox.ts";
import type { MessageSource } from "../mailbox/read_messages.ts";
import { flushMessages, mayTryAgain, parcelOf } from "../mailbox/run_mailbox.ts";
import { sendParcel, type Transport } from "../mailbox/send_messages.ts";
import { verifyMailbox } from "../mailbox/verify_mailbox.ts";
import type { ContentPlan } from "../plan/plan_mailbox.ts";
import { type Both, OTHER_SIDE, SIDES, type Side } from "../plan/sides.ts";
import type { MailboxStep } from "../plan/steps.ts";
import { differingFields, stateToSend } from "../plan/target_state.ts";
import { type Agreement, agreeMailbox, type SideChange, withChanges } from "./conflicts.ts";

/** A mailbox that both sides have and that differs. */
export interface PairStep {
  readonly kind: "pair";
  /** Its name at both sides once the renames are done. */
  readonly name: string;
  /** As they are before the renames. */
  readonly states: Both<MailboxState>;
}

export interface PairWork {
  readonly places: Both<Place>;
  readonly holds: Holds;
  /** Names of mailboxes that were changed meanwhile; added to. */
  readonly gone: Set<string>;
  /** Unix seconds. */
  readonly now: number;
}

export interface PreparedPair extends Both<Prepared> {
  readonly agreement: Agreement;
  readonly readings: Both<MailboxReading>;
}

/**
 * Reads the mailbox at both sides, where it has these names, and agrees on it; nothing is written.
 */
export async function preparePair(
  pair: PairStep,
  names: Both<string>,
  work: PairWork,
): Promise<Outcome<PreparedPair>> {
  const a = await readSide("a", pair, { names, work });
  if (a.kind === "refused") return a;
  const b = await readSide("b", pair, { names, work });
  if (b.kind === "refused") return b;
  const { holds, now } = work;
  const readings = { a: a.value, b: b.value };
  const agreement = await agreeMailbox(readings.a, readings.b, { holds, now });
  const prepare = (reading: MailboxReading, change: SideChange): Promise<Outcome<Prepared>> => {
    const changed = { ...reading, records: withChanges(reading.records, change.records) };
    return withMessages(changed, contentOf(agreement, { reading, change, holds, name: pair.name }));
  };
  const toA = await prepare(readings.a, agreement.a);
  if (toA.kind === "refused") return toA;
  const toB = await prepare(readings.b, agreement.b);
  if (toB.kind === "refused") return toB;
  return ok({ agreement, readings, a: toA.value, b: toB.value });
}

async function readSide(
  side: Side,
  pair: PairStep,
  { names, work }: { readonly names: Both<string>; readonly work: PairWork },
): Promise<Outcome<MailboxReading>> {
  const read = await patient(() => work.places[side].readMailbox(names[side]));
  if (read.kind === "refused") {
    if (isGone(read)) work.gone.add(pair.name);
    return read;
  }
  if (read.value.state.uniqueid === pair.states[side].uniqueid) return read;
  work.gone.add(pair.name);
  const { locator } = work.places[side];
  return refused("changed", `${pair.name} was replaced at ${locator} meanwhile`);
}

interface SideFacts {
  readonly reading: MailboxReading;
  readonly change: SideChange;
  readonly holds: Holds;
  readonly name: string;
}

function contentOf(agreement: Agreement, { reading, change, holds, name }: SideFacts): ContentPlan {
  const theirs = { ...reading.state, name };
  const { partition, uniqueid } = theirs;
  const wanted = stateToSend(agreement.state, { holds, theirs, partition: partition ?? "default" });
  const state = { ...wanted, name, uniqueid };
  const { records, expunged } = change;
  return {
    ...{ state, expunge: [], leftovers: [], rebuild: undefined, deletes: expunged },
    isSent: ({ uid }) => records.has(uid),
    isNew: ({ uid }) => uid > theirs.lastUid && records.has(uid),
    isNothing: records.size === 0 && differingFields(state, theirs, holds).length === 0,
  };
}

/** What a side gets, as a step to be told. */
export function stepFor(
  side: Side,
  { name, states }: PairStep,
  { content }: Prepared,
): MailboxStep {
  const theirs = states[side];
  return {
    ...{ kind: "mailbox", name, ours: content.state, theirs, nameBefore: theirs.name },
    records: "compare",
  };
}

export interface PairSending extends PairWork, Pick<Transport, "sent"> {
  readonly sessions: Both<PlaceSession>;
  /** Mailboxes that RESERVE may look in. */
  readonly reservable: Both<readonly string[]>;
  readonly staged: Both<StagedGuids>;
  readonly budgets: Both<Budget>;
}

const ATTEMPTS = 4;

/** Brings both sides to what is agreed; the agreement, undefined where nothing had to be done. */
export async function runPair(
  pair: PairStep,
  sending: PairSending & {
    /** Before anything of this mailbox is written. */
    readonly begins: (prepared: PreparedPair) => void;
  },
): Promise<Outcome<Agreement | undefined>> {
  const names = { a: pair.name, b: pair.name };
  for (let attempt = 1; ; attempt++) {
    const prepared = await preparePair(pair, names, sending);
    if (prepared.kind === "refused") return prepared;
    const { value } = prepared;
    if (value.a.content.isNothing && value.b.content.isNothing) return ok(undefined);
    if (attempt === 1) sending.begins(value);
    const refusal = await writeBoth(value, sending);
    if (refusal === undefined) return ok(value.agreement);
    if (!mayTryAgain(refusal) || attempt === ATTEMPTS) return refusal;
  }
}

async function writeBoth(
  prepared: PreparedPair,
  sending: PairSending,
): Promise<Refusal | undefined> {
  for (const side of SIDES) {
    if (prepared[side].content.isNothing) continue;
    const done = await writeSide(side, prepared, sending);
    if (done.kind === "refused") return done;
  }
  return undefined;
}

async function writeSide(
  side: Side,
  prepared: PreparedPair,
  sending: PairSending,
): Promise<Outcome> {
  const { agreement, readings } = prepared;
  const { content, reading } = prepared[side];
  const { places, holds, sessions, reservable, staged, budgets, sent } = sending;
  const source: MessageSource = {
    readAhead: places[OTHER_SIDE[side]].readAhead,
    message: ({ uid, guid }) => {
      const from = agreement.moved.get(uid) ?? { side: OTHER_SIDE[side], uid };
      const { name: mailbox, uniqueid, partition } = readings[from.side].state;
      const address = { mailbox, uniqueid, partition, uid: from.uid, guid };
      return places[from.side].message(address);
    },
  };
  const session = sessions[side];
  const transport = { source, session, reservable: reservable[side], staged: staged[side], sent };
  const uploaded = await sendParcel(parcelOf(prepared[side]), transport);
  if (uploaded.kind === "refused") return uploaded;
  const flushed = await flushMessages(transport);
  if (flushed.kind === "refused") return flushed;
  const since = readings[side].state.highestmodseq;
  const applying = { session, since, budget: budgets[side] };
  const done = await patient(() => applyContent(prepared[side], content.state, applying));
  if (done.kind === "refused") return done;
  return verifyMailbox(reading, { target: places[side], content, holds, records: true });
}
