/**
 * Versions of Cyrus sum up annotations in different ways (sync-protocol.md 5.1), so the sums of two
 * mailboxes that are alike may differ. Then the records of one side tell what its sum would be in
 * the other's way.
 */
import type { MailboxState } from "../../model/mailbox.ts";
import { ANNOT_VARIANTS, mailAnnotCrc } from "../../model/sync_crc.ts";
import type { Holds, MailboxReading } from "../../places/place.ts";
import { differingFields, differingSums, stateToSend } from "./target_state.ts";

/** True where only annotation sums differ, and another version gives `theirs` of these records. */
export async function isSummedOtherwise(
  { state, records }: MailboxReading,
  theirs: MailboxState,
  holds: Holds,
): Promise<boolean> {
  if (!state.syncCrc || !theirs.syncCrc) return false;
  if (differingSums(state, theirs).join() !== "syncCrcAnnot") return false;
  const wanted = stateToSend(state, { holds, theirs, partition: theirs.partition ?? "" });
  if (differingFields(wanted, theirs, holds).length > 0) return false;
  const sums: number[] = ANNOT_VARIANTS.map(({ init }) => init);
  for await (const batch of records.batches()) {
    for (const [at, variant] of ANNOT_VARIANTS.entries()) {
      sums[at] = ((sums[at] ?? 0) ^ mailAnnotCrc(batch, variant) ^ variant.init) >>> 0;
    }
  }
  return sums.includes(theirs.syncCrcAnnot ?? 0);
}
