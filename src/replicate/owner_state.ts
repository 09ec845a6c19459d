/** Everything about an owner but records: a user, or a shared toplevel, which has mailboxes and quotas only. */
import type { MailboxState, OwnedMailboxes, Quota, UserState } from "../model/mailbox.ts";
import type { Owner } from "../model/names.ts";
import { type Outcome, ok } from "../model/outcome.ts";
import type { Place } from "../places/place.ts";

const NOTHING: UserState = { mailboxes: [], quotas: [], seen: [], subscriptions: [], sieve: [] };

/**
 * What `place` holds of `owner` now. A place that cannot list shared mailboxes is asked for those of `known`, by name and
 * by uniqueid: what else it has stays unseen.
 */
export async function readOwnerState(
  place: Place,
  owner: Owner,
  known: readonly MailboxState[] = [],
): Promise<Outcome<UserState>> {
  if (owner.kind === "user") return place.user(owner.userid);
  const isAsked = !place.holds.userList && known.length > 0;
  const owned = isAsked ? await askFor(known, place) : await place.sharedMailboxes(owner.toplevel);
  if (owned.kind === "refused") return owned;
  const quotas = await quotasOf([...owned.value.mailboxes, ...known], place);
  return quotas.kind === "ok" ? ok({ ...NOTHING, ...owned.value, quotas: quotas.value }) : quotas;
}

async function askFor(
  known: readonly MailboxState[],
  place: Place,
): Promise<Outcome<OwnedMailboxes>> {
  const named = await place.mailboxes(known.map(({ name }) => name));
  if (named.kind === "refused") return named;
  const found = new Map(named.value.map((state) => [state.uniqueid, state]));
  const others = known.map(({ uniqueid }) => uniqueid).filter((one) => !found.has(one));
  const renamed = await place.mailboxesByUniqueid(others);
  // Servers before 3.2 know names only: there a rename is a mailbox that is new.
  if (renamed.kind === "refused" && renamed.reason !== "notSupported") return renamed;
  for (const state of renamed.kind === "ok" ? renamed.value : []) found.set(state.uniqueid, state);
  return ok({ mailboxes: [...found.values()] });
}

async function quotasOf(
  mailboxes: readonly MailboxState[],
  place: Place,
): Promise<Outcome<Quota[]>> {
  const roots = new Set(mailboxes.flatMap(({ quotaroot }) => quotaroot ?? []));
  const quotas: Quota[] = [];
  for (const root of roots) {
    const quota = await place.quota(root);
    if (quota.kind === "refused") return quota;
    if (quota.value !== undefined) quotas.push(quota.value);
  }
  return ok(quotas);
}

/** An owner's id, or the toplevel's name. */
export function ownerName(owner: Owner): string {
  return owner.kind === "user" ? owner.userid : owner.toplevel;
}
