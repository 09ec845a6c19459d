/**
 * Whether the user of a name is the same person at both places. Uniqueids tell: names are given
 * away again. What would mix two people's mail is refused before anything is sent.
 */
import { isIntermediate, type UserState } from "../../model/mailbox.ts";
import { isInbox, type Owner, ownerName } from "../../model/names.ts";
import { DONE, type Outcome, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";

interface Between {
  readonly owner: Owner;
  readonly target: Place;
}

/**
 * Refused as `permissionDenied` where the target has the user, and not as a copy of the source's.
 * The INBOX decides, if it has one.
 */
export function refuseStranger(
  ours: UserState,
  theirs: UserState,
  { owner, target }: Between,
): Outcome {
  const there = [
    ...theirs.mailboxes.filter((state) => !isIntermediate(state)),
    ...(theirs.unreadable ?? []),
  ];
  const known = new Set(
    [...ours.mailboxes, ...(ours.unreadable ?? [])].flatMap(({ uniqueid }) => uniqueid ?? []),
  );
  const inbox = there.find(({ name }) => isInbox(name));
  const telling = inbox?.uniqueid === undefined ? there : [inbox];
  const isCopy = telling.some(({ uniqueid }) => uniqueid !== undefined && known.has(uniqueid));
  if (there.length === 0 || isCopy) return DONE;
  const who = `${ownerName(owner)} at ${target.locator}`;
  const text = `${who} is somebody else, and no copy of this user`;
  const hint = "Give a new name; or --into-existing, to add to him the mailboxes that he lacks";
  return { ...refused("permissionDenied", text), hint };
}
