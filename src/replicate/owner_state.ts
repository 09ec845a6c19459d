/** Everything about an owner but records: a user, or a shared toplevel, which has mailboxes only. */
import type { UserState } from "../model/mailbox.ts";
import type { Owner } from "../model/names.ts";
import { type Outcome, ok } from "../model/outcome.ts";
import type { Place } from "../places/place.ts";

const NOTHING: UserState = { mailboxes: [], quotas: [], seen: [], subscriptions: [], sieve: [] };

/** What `place` holds of `owner` now. */
export async function readOwnerState(place: Place, owner: Owner): Promise<Outcome<UserState>> {
  if (owner.kind === "user") return place.user(owner.userid);
  const mailboxes = await place.sharedMailboxes(owner.toplevel);
  if (mailboxes.kind === "refused") return mailboxes;
  return ok({ ...NOTHING, mailboxes: mailboxes.value });
}

/** An owner's id, or the toplevel's name. */
export function ownerName(owner: Owner): string {
  return owner.kind === "user" ? owner.userid : owner.toplevel;
}
