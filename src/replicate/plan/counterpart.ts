/**
 * Where only a part of an owner is brought, the source says what belongs to it. Of the target only
 * what the source names is looked at: nothing else there can be changed, be deleted, or count as a
 * difference.
 */
import type { UserState } from "../../model/mailbox.ts";

/** What the target has of all that `ours` names. Mailboxes are known by uniqueid or by name. */
export function counterpartOf(ours: UserState, theirs: UserState): UserState {
  const both = [...ours.mailboxes, ...(ours.unreadable ?? [])];
  const [ids, names] = [namesOf(both, "uniqueid"), namesOf(both, "name")];
  const [roots, scripts] = [namesOf(ours.quotas, "root"), namesOf(ours.sieve, "filename")];
  const [subscribed, seen] = [new Set(ours.subscriptions), namesOf(ours.seen, "uniqueid")];
  const isNamed = ({ name, uniqueid }: { readonly name: string; readonly uniqueid?: string }) =>
    names.has(name) || (uniqueid !== undefined && ids.has(uniqueid));
  return {
    ...theirs,
    mailboxes: theirs.mailboxes.filter(isNamed),
    unreadable: (theirs.unreadable ?? []).filter(isNamed),
    quotas: theirs.quotas.filter(({ root }) => roots.has(root)),
    sieve: theirs.sieve.filter(({ filename }) => scripts.has(filename)),
    subscriptions: theirs.subscriptions.filter((name) => subscribed.has(name)),
    seen: theirs.seen.filter(({ uniqueid }) => seen.has(uniqueid)),
  };
}

function namesOf<Key extends string>(
  items: readonly { readonly [Name in Key]?: string }[],
  key: Key,
): ReadonlySet<string | undefined> {
  return new Set<string | undefined>(items.map((item) => item[key]));
}
