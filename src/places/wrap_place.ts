/** A place that changes some of what another one does and passes on everything else. */
import type { Place } from "./place.ts";

/** The members that a wrapper puts in the place of those of `place`. */
export type PlaceChange = (place: Place) => Partial<Place>;

/**
 * `place` with what `change` makes of it. All that `change` leaves out is asked of `place` itself,
 * `until` is wrapped likewise. `all` names every member, the optional ones too: a new one that is
 * not passed on does not compile.
 */
export function wrapPlace(place: Place, change: PlaceChange): Place {
  const { until } = place;
  const all: Required<Place> = {
    locator: place.locator,
    holds: place.holds,
    caveat: place.caveat,
    owners: () => place.owners(),
    user: (userid) => place.user(userid),
    meta: (userid) => place.meta(userid),
    mailboxes: (names) => place.mailboxes(names),
    mailboxesByUniqueid: (uniqueids) => place.mailboxesByUniqueid(uniqueids),
    sharedMailboxes: (toplevel) => place.sharedMailboxes(toplevel),
    readMailbox: (name) => place.readMailbox(name),
    message: (address) => place.message(address),
    readAhead: place.readAhead,
    annotations: (name) => place.annotations(name),
    quota: (root) => place.quota(root),
    sieveScript: (userid, filename) => place.sieveScript(userid, filename),
    until: until && ((signal) => wrapPlace(until.call(place, signal), change)),
    close: () => place.close(),
  };
  return { ...all, ...change(place) };
}
