/** What `ls` and `cat` read of a place: mailboxes, records, and their counts. */
import { breathe } from "../../core/breathe.ts";
import {
  type FlawedSetting,
  isIntermediate,
  type MailboxState,
  type OwnedMailboxes,
  type RecordSource,
  type UnreadableMailbox,
} from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { type Outcome, ok } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Place } from "../../places/place.ts";
import { granted } from "../refusal_error.ts";

export interface OwnerContents {
  readonly states: readonly MailboxState[];
  readonly unreadable: readonly UnreadableMailbox[];
  readonly flawed: readonly FlawedSetting[];
}

/** The mailboxes of an owner. Throws AppError if the place refuses all of them. */
export async function readOwner(owner: Owner, place: Place): Promise<OwnerContents> {
  return granted(await lookAtOwner(owner, place));
}

/** The mailboxes of an owner, or why the place refuses all of them. */
export async function lookAtOwner(owner: Owner, place: Place): Promise<Outcome<OwnerContents>> {
  const owned: Outcome<OwnedMailboxes> =
    owner.kind === "shared"
      ? await place.sharedMailboxes(owner.toplevel)
      : await place.user(owner.userid);
  if (owned.kind === "refused") return owned;
  const { mailboxes: states, unreadable = [], salvaged = [], flawed = [] } = owned.value;
  return ok({ states, unreadable: [...unreadable, ...salvaged], flawed });
}

export interface Counts {
  readonly messages: number;
  readonly unseen: number;
  /** Size of all messages in bytes. */
  readonly bytes: number;
  /** Number of expunged records. */
  readonly expunged: number;
}

const NOTHING: Counts = { messages: 0, unseen: 0, bytes: 0, expunged: 0 };

/** Counts the records of a mailbox. */
export async function countMailbox(state: MailboxState, place: Place): Promise<Outcome<Counts>> {
  if (isIntermediate(state)) return ok(NOTHING);
  const reading = await place.readMailbox(state.name);
  if (reading.kind === "refused") return reading;
  let [messages, unseen, bytes, expunged] = [0, 0, 0, 0];
  for await (const record of recordsIn(reading.value.records)) {
    if (record.expunged) {
      expunged += 1;
      continue;
    }
    messages += 1;
    bytes += record.size;
    if (!record.flags.includes("\\Seen")) unseen += 1;
  }
  return ok({ messages, unseen, bytes, expunged });
}

/** The sum of the counts of several mailboxes. */
export function sumOf(mailboxes: readonly { readonly counts: Counts }[]): Counts {
  return mailboxes.reduce(
    (sum, { counts }) => ({
      messages: sum.messages + counts.messages,
      unseen: sum.unseen + counts.unseen,
      bytes: sum.bytes + counts.bytes,
      expunged: sum.expunged + counts.expunged,
    }),
    NOTHING,
  );
}

/** Yields the records of a source one by one. */
export async function* recordsIn(records: RecordSource): AsyncGenerator<MailRecord, void> {
  for await (const batch of records.batches()) {
    await breathe();
    yield* batch;
  }
}
