/**
 * A second look at a mailbox that is about to go: what arrived in it since the plan was made must
 * not go with it.
 */
import type { MailboxState } from "../../model/mailbox.ts";
import { externalName } from "../../model/names.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";

/**
 * Refused as `changed` where mail has come into `planned`, for which the last UID is enough, or
 * another mailbox has its name; none at all is no change.
 */
export async function unchanged(planned: MailboxState, place: Place): Promise<Outcome> {
  const now = await place.mailboxes([planned.name]);
  if (now.kind === "refused") return now;
  const isSame = now.value.every(
    ({ uniqueid, lastUid }) => uniqueid === planned.uniqueid && lastUid === planned.lastUid,
  );
  if (isSame) return DONE;
  return refused("changed", `${externalName(planned.name)} has got mail meanwhile: it stays`);
}
