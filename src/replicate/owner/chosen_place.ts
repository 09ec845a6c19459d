/**
 * A place of which only some mailboxes are seen: `replicate --mailbox`. Scripts and quotas, which
 * are no mailbox's, are not there. A mailbox can still be asked for by its uniqueid, so that one
 * that has another name now is not taken for deleted.
 */
import type { OwnedMailboxes, UserState } from "../../model/mailbox.ts";
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
      return ok({ ...found.value, ...chosenOf(found.value, isWanted) });
    },
    quota: () => Promise.resolve(ok(undefined)),
  }));
}

/** The mailboxes that are wanted, with their subscriptions and what was seen of them. */
function chosenPart(user: UserState, isWanted: (name: string) => boolean): UserState {
  const chosen = chosenOf(user, isWanted);
  const { mailboxes, unreadable } = chosen;
  const ids = new Set([...mailboxes, ...unreadable].map(({ uniqueid }) => uniqueid));
  return {
    ...{ ...user, ...chosen, quotas: [], sieve: [] },
    subscriptions: user.subscriptions.filter(isWanted),
    seen: user.seen.filter(({ uniqueid }) => ids.has(uniqueid)),
  };
}

function chosenOf(
  { mailboxes, unreadable = [], salvaged = [] }: OwnedMailboxes,
  isWanted: (name: string) => boolean,
) {
  const isChosen = ({ name }: { readonly name: string }): boolean => isWanted(name);
  return {
    mailboxes: mailboxes.filter(isChosen),
    unreadable: unreadable.filter(isChosen),
    salvaged: salvaged.filter(isChosen),
  };
}
