/** The proof after the deed: what the target now has, against what was read of the source. */
import type { MailboxState, RecordSource } from "../../model/mailbox.ts";
import { DONE, type Outcome, type Refusal, refused } from "../../model/outcome.ts";
import type { Holds, MailboxReading, Place } from "../../places/place.ts";
import { compareRecords, isLiving, textOf, uidOf } from "../plan/compare_records.ts";
import type { ContentPlan } from "../plan/plan_mailbox.ts";
import { differingFields, differingSums, stateToSend } from "../plan/target_state.ts";
import { patient } from "./patient.ts";

/** UIDs named in one refusal. */
const SHOWN = 3;

export interface Verification {
  readonly target: Place;
  readonly content: ContentPlan;
  readonly holds: Holds;
  /** Compare every record even where the sums agree. */
  readonly records: boolean;
}

/** Refuses as `checksum` where the target's mailbox is not what it was to become. */
export async function verifyMailbox(
  reading: MailboxReading,
  { target, content, holds, records }: Verification,
): Promise<Outcome> {
  const { name } = content.state;
  if (!records) {
    const found = await target.mailboxes([name]);
    if (found.kind === "refused") return found;
    const [theirs] = found.value;
    if (theirs === undefined) return missing(name);
    const refusal = stateRefusal(content, theirs, holds);
    if (refusal !== undefined) return refusal;
    const bothSummed = Boolean(content.state.syncCrc && theirs.syncCrc);
    if (bothSummed && differingSums(content.state, theirs).length === 0) return DONE;
  }
  const other = await patient(() => target.readMailbox(name));
  if (other.kind === "refused") return other.reason === "nonexistent" ? missing(name) : other;
  const refusal = stateRefusal(content, other.value.state, holds);
  return refusal ?? verifyRecords(reading.records, other.value.records, { content, holds });
}

function missing(name: string): Refusal {
  return refused("checksum", `${name} is not at the target`);
}

function stateRefusal(
  { state }: ContentPlan,
  theirs: MailboxState,
  holds: Holds,
): Refusal | undefined {
  // What a server raises by itself may have come further than it was told.
  const wanted = stateToSend(state, { holds, theirs, partition: "" });
  const fields: string[] = differingFields(wanted, theirs, holds);
  // How annotations are summed up differs between versions: only the records can tell.
  if (differingSums(state, theirs).includes("syncCrc")) fields.push("SYNC_CRC");
  if (fields.length === 0) return undefined;
  return refused("checksum", `${state.name} differs at the target in ${fields.join(", ")}`);
}

async function verifyRecords(
  ours: RecordSource,
  theirs: RecordSource,
  { content, holds }: Pick<Verification, "content" | "holds">,
): Promise<Outcome> {
  const { name } = content.state;
  const expunged = new Set(content.expunge);
  const wrong: string[] = [];
  for await (const difference of compareRecords(ours, theirs, holds)) {
    if (!isLiving(difference)) continue;
    const uid = uidOf(difference);
    const isOurs =
      content.leftovers.length === 0 ||
      expunged.has(uid) ||
      (difference.kind !== "onlyTarget" && content.isSent(difference.source));
    if (isOurs) wrong.push(`UID ${uid} (${textOf(difference)})`);
  }
  if (wrong.length === 0) return DONE;
  const more = wrong.length > SHOWN ? ` and ${wrong.length - SHOWN} more` : "";
  const text = `${name} differs at the target: ${wrong.slice(0, SHOWN).join(", ")}${more}`;
  return refused("checksum", text);
}
