/**
 * A place of which only some mailboxes are seen: `replicate --mailbox`. Scripts and quotas, which
 * are no mailbox's, are not there. A mailbox can still be asked for by its uniqueid, so that one
 * that has another name now is not taken for deleted.
 */
import type { UserState } from "../../model/mailbox.ts";
import { ok } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { wrapPlace } from "../../places/wrap_place.ts";

/** `place` with those mailboxes of each owner whose internal names are wanted. */
export function chosenMailboxes(place: Place, isWanted: (name: string) => boolean): Place {
  return wrapPlace(place, (inner) => ({
    user: async (userid) => {
      const found = await inner.user(userid);
      return found.kind === "refused" ? found : ok(chosenPart(found.value, isWanted));
    },
    sharedMailboxes: async (toplevel) => {
      const found = await inner.sharedMailboxes(toplevel);
      if (found.kind === "refused") return found;
      const { mailboxes, unreadable = [], ...others } = found.value;
      const isChosen = ({ name }: { readonly name: string }): boolean => isWanted(name);
      const some = mailboxes.filter(isChosen);
      return ok({ ...others, mailboxes: some, unreadable: unreadable.filter(isChosen) });
    },
    quota: () => Promise.resolve(ok(undefined)),
  }));
}

/** The mailboxes that are wanted, with their subscriptions and what was seen of them. */
function chosenPart(user: UserState, isWanted: (name: string) => boolean): UserState {
  const isChosen = ({ name }: { readonly name: string }): boolean => isWanted(name);
  const mailboxes = user.mailboxes.filter(isChosen);
  const unreadable = (user.unreadable ?? []).filter(isChosen);
  const ids = new Set([...mailboxes, ...unreadable].map(({ uniqueid }) => uniqueid));
  return {
    ...{ ...user, mailboxes, unreadable, quotas: [], sieve: [] },
    subscriptions: user.subscriptions.filter(isWanted),
    seen: user.seen.filter(({ uniqueid }) => ids.has(uniqueid)),
  };
}
