/**
 * Everything about an owner but records: a user, or a shared toplevel, which has mailboxes and
 * quotas only.
 */
import { pushAll } from "../../core/lists.ts";
import {
  isIntermediate,
  isSieveMailbox,
  isUniqueid,
  type MailboxState,
  type OwnedMailboxes,
  type Quota,
  type UnreadableMailbox,
  type UserState,
} from "../../model/mailbox.ts";
import { externalName, isOwnedBy, type Owner } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";

const NOTHING: UserState = { mailboxes: [], quotas: [], seen: [], subscriptions: [], sieve: [] };

/**
 * What `place` holds of `owner` now, each thing once. A place that cannot list shared mailboxes is
 * asked for those of `known`, by name and by uniqueid: what else it has stays unseen. Quota roots
 * of others that lie above his mailboxes, as that of a whole domain does, are asked for too.
 */
export async function readOwnerState(
  place: Place,
  owner: Owner,
  known: Pick<UserState, "mailboxes" | "quotas"> = NOTHING,
): Promise<Outcome<UserState>> {
  const read = await readOwned(place, owner, known);
  if (read.kind === "refused") return read;
  const { mailboxes, quotas, subscriptions, seen, sieve, ...others } = read.value;
  const listed = new Set(quotas.map(({ root }) => root));
  const above = known.quotas.flatMap(({ root }) =>
    listed.has(root) || isOwnedBy(root, owner) ? [] : [root],
  );
  const more = await quotasOf(above, place);
  if (more.kind === "refused") return more;
  const state = {
    ...{ ...others, mailboxes, subscriptions: [...new Set(subscriptions)] },
    quotas: lastOfEach([...quotas, ...more.value], ({ root }) => root),
    seen: lastOfEach(seen, ({ uniqueid }) => uniqueid),
    sieve: lastOfEach(sieve, ({ filename }) => filename),
  };
  return ok(place.holds.uniqueids ? withoutNameless(state) : state);
}

async function readOwned(
  place: Place,
  owner: Owner,
  known: Pick<UserState, "mailboxes">,
): Promise<Outcome<UserState>> {
  if (owner.kind === "user") return place.user(owner.userid);
  const isAsked = !place.holds.userList && known.mailboxes.length > 0;
  const owned = isAsked
    ? await askFor(known.mailboxes, place)
    : await place.sharedMailboxes(owner.toplevel);
  if (owned.kind === "refused") return owned;
  const roots = [...owned.value.mailboxes, ...known.mailboxes].flatMap(
    ({ quotaroot }) => quotaroot ?? [],
  );
  const quotas = await quotasOf(roots, place);
  return quotas.kind === "ok" ? ok({ ...NOTHING, ...owned.value, quotas: quotas.value }) : quotas;
}

/** The last of those that have one key. */
function lastOfEach<Item>(items: readonly Item[], key: (item: Item) => string): Item[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

/** Mailboxes that nothing can be told of by a uniqueid, as unreadable. */
function withoutNameless(state: UserState): UserState {
  const nameless = state.mailboxes.filter(({ uniqueid }) => !isUniqueid(uniqueid));
  if (nameless.length === 0) return state;
  const unreadable = nameless.map(({ name, uniqueid }): UnreadableMailbox => {
    const what = uniqueid === "" ? "no uniqueid" : `the uniqueid "${uniqueid}", which is none`;
    const why = "by which replication knows a mailbox; Cyrus' reconstruct gives it one";
    return { name, refusal: refused("notSupported", `${externalName(name)} has ${what}, ${why}`) };
  });
  return {
    ...state,
    mailboxes: state.mailboxes.filter((one) => !nameless.includes(one)),
    unreadable: [...(state.unreadable ?? []), ...unreadable],
  };
}

/**
 * `ours`, with the mailboxes that `target` is known not to take as unreadable: they are named, and
 * left out before anything is sent.
 */
export function takenBy(target: Pick<Place, "holds" | "objectionTo">, ours: UserState): UserState {
  const untaken = ours.mailboxes.flatMap((state): UnreadableMailbox[] => {
    if (isIntermediate(state) && !target.holds.placeholders) return [];
    // Scripts go as files where the target has no mailbox for them, or are named themselves.
    if (isSieveMailbox(state) && !target.holds.sieveMailboxes) return [];
    const refusal = target.objectionTo?.(state);
    return refusal === undefined ? [] : [{ name: state.name, uniqueid: state.uniqueid, refusal }];
  });
  if (untaken.length === 0) return ours;
  const names = new Set(untaken.map(({ name }) => name));
  const mailboxes = ours.mailboxes.filter(({ name }) => !names.has(name));
  return { ...ours, mailboxes, unreadable: [...(ours.unreadable ?? []), ...untaken] };
}

/**
 * `ours` and, as unreadable, what the source has of `theirs` without having said so. A mailbox
 * whose cyrus.header is damaged may be known by its uniqueid alone, and one may have been renamed
 * meanwhile: neither may be taken for deleted.
 */
export async function withHidden(
  ours: UserState,
  theirs: UserState,
  { source, owner }: { readonly source: Place; readonly owner: Owner },
): Promise<UserState> {
  const { mailboxes, unreadable = [] } = ours;
  const known = new Set([...mailboxes, ...unreadable].map(({ uniqueid }) => uniqueid));
  const missing = theirs.mailboxes.filter(({ uniqueid }) => !known.has(uniqueid));
  if (missing.length === 0 || !source.holds.uniqueids) return ours;
  const hidden = await findHidden(missing, { source, owner });
  return hidden.length === 0 ? ours : { ...ours, unreadable: [...unreadable, ...hidden] };
}

async function findHidden(
  missing: readonly MailboxState[],
  at: { readonly source: Place; readonly owner: Owner },
): Promise<UnreadableMailbox[]> {
  const [first] = missing;
  const found = await at.source.mailboxesByUniqueid(missing.map(({ uniqueid }) => uniqueid));
  if (found.kind === "ok") {
    // What belongs to another owner by now comes to the target with him.
    const renamed = found.value.filter(({ name }) => isOwnedBy(name, at.owner));
    return renamed.map(({ name, uniqueid }) => {
      const text = `${externalName(name)} was made or renamed at the source meanwhile`;
      return { name, uniqueid, refusal: refused("moved", text) };
    });
  }
  // Servers before 3.2 know names only; there nothing is hidden, for they refuse the whole user.
  if (first === undefined || found.reason === "notSupported") return [];
  if (missing.length === 1) return [{ name: first.name, uniqueid: first.uniqueid, refusal: found }];
  const hidden: UnreadableMailbox[] = [];
  for (const one of missing) pushAll(hidden, await findHidden([one], at));
  return hidden;
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

async function quotasOf(roots: readonly string[], place: Place): Promise<Outcome<Quota[]>> {
  const quotas: Quota[] = [];
  for (const root of new Set(roots)) {
    const quota = await place.quota(root);
    if (quota.kind === "refused") return quota;
    if (quota.value !== undefined) quotas.push(quota.value);
  }
  return ok(quotas);
}
