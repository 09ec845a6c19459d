/**
 * The records of one mailbox, applied at the target. A mailbox that cannot be made equal by adding
 * to it is deleted and made anew, for the protocol has no command that does both: all that the old
 * and the new one need is staged before, and where the new one is refused the old one is put back.
 */
import { AppError } from "../../core/errors.ts";
import type { ApplyMailbox } from "../../model/apply.ts";
import type { Guid } from "../../model/guid.ts";
import {
  type MailboxState,
  type RecordSource,
  recordsOf,
  recordsWhere,
} from "../../model/mailbox.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { MailboxReading, Place, PlaceSession } from "../../places/place.ts";
import type { Budget } from "./budget.ts";
import { isBlank, type Prepared } from "./prepare_mailbox.ts";
import type { WantedMessage } from "./read_messages.ts";
import { sendParcel, type Transport } from "./send_messages.ts";

export interface Applying {
  readonly session: PlaceSession;
  readonly budget: Budget;
  /** The highestmodseq that the target must still have; undefined for a new mailbox. */
  readonly since?: bigint | undefined;
  /** Called when all records have been sent; the answer is still to come. */
  readonly sent?: (() => void) | undefined;
}

/** Applies `prepared`, with `state` as the mailbox's; deletes only what the plan has counted. */
export async function applyContent(
  { reading, content }: Prepared,
  state: MailboxState,
  { session, budget, since, sent }: Applying,
): Promise<Outcome> {
  const { name, uniqueid } = state;
  const { deletes, expunge: uids } = content;
  const allowed = budget.allow(state, deletes);
  if (allowed.kind === "refused") return allowed;
  if (uids.length > 0) {
    const expunged = await session.apply({ kind: "expunge", name, uniqueid, uids });
    if (expunged.kind === "refused") return expunged;
    budget.spend(state, deletes);
  }
  const records = recordsWhere(
    reading.records,
    (record) => content.isSent(record) && !isBlank(record),
  );
  const command: ApplyMailbox = {
    ...{ kind: "mailbox", state, records },
    ...(since !== undefined && { since: { modseq: since } }),
  };
  const done = await session.apply(command, sent === undefined ? {} : { sent });
  if (done.kind === "ok" && uids.length === 0) budget.spend(state, deletes);
  return done;
}

export interface Rebuilding extends Transport {
  readonly target: Place;
  readonly budget: Budget;
  /** The target's mailbox as it was read. */
  readonly old: MailboxReading;
}

/** Deletes the mailbox and applies it anew with `state`. Its messages are staged already. */
export async function rebuildMailbox(
  prepared: Prepared,
  state: MailboxState,
  { target, budget, old, ...transport }: Rebuilding,
): Promise<Outcome> {
  const { session } = transport;
  const { deletes } = prepared.content;
  const allowed = budget.allow(state, deletes);
  if (allowed.kind === "refused") return allowed;
  const kept = await gathered(old.records);
  const staged = await stageOld(
    { ...old, records: recordsOf(kept) },
    { ...transport, source: target },
  );
  if (staged.kind === "refused") return staged;
  const { name } = state;
  const deleted = await session.apply({ kind: "unmailbox", name });
  if (deleted.kind === "refused" && deleted.reason !== "nonexistent") return deleted;
  try {
    const made = await applyContent(prepared, state, { session, budget });
    if (made.kind === "ok") return made;
    const records = recordsOf(kept);
    const back = await session.apply({ kind: "mailbox", state: { ...old.state, name }, records });
    if (back.kind === "ok")
      return { ...made, text: `${made.text}; ${name} is at the target as it was` };
    budget.spend(state, deletes);
    return { ...made, text: `${made.text}; ${missingText(name)} (${back.text})` };
  } catch (error) {
    budget.spend(state, deletes);
    if (!(error instanceof AppError)) throw error;
    const { code, message, context, hint } = error;
    throw new AppError(code, `${message}; ${missingText(name)}`, {
      ...{ cause: error, context },
      ...(hint !== undefined && { hint }),
    });
  }
}

function missingText(name: string): string {
  return `${name} was to be made anew and may be missing at the target until the next run`;
}

/** Stages the messages of the target's own mailbox, so that it can be put back when it is gone. */
async function stageOld(old: MailboxReading, transport: Transport): Promise<Outcome> {
  const { name: mailbox, uniqueid, partition } = old.state;
  const messages = new Map<Guid, WantedMessage>();
  for await (const batch of old.records.batches()) {
    for (const { uid, guid, size, expunged } of batch) {
      if (expunged) continue;
      const address = { mailbox, uniqueid, partition, uid, guid };
      messages.set(guid, { address, size, mayBeGone: true });
    }
  }
  const sent = await sendParcel({ messages, partition: partition ?? "default" }, transport);
  return sent.kind === "refused" ? sent : transport.session.flush();
}

async function gathered(source: RecordSource): Promise<MailRecord[]> {
  const records: MailRecord[] = [];
  for await (const batch of source.batches()) for (const record of batch) records.push(record);
  return records;
}
