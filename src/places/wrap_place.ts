/** A place that changes some members of another place and passes on all the others. */
import type { Place } from "./place.ts";

/** Gives the members that replace those of `place`. */
export type PlaceChange = (place: Place) => Partial<Place>;

/**
 * `place` with the members that `change` gives. All others are asked of `place` itself, and the
 * place that `until` gives is wrapped in the same way. `all` names every member, the optional ones
 * too, so that a new member of Place that is not passed on does not compile.
 */
export function wrapPlace(place: Place, change: PlaceChange): Place {
  const { contentGuid, until } = place;
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
    contentGuid: contentGuid && ((address) => contentGuid.call(place, address)),
    readAhead: place.readAhead,
    objectionTo: place.objectionTo && ((mailbox) => place.objectionTo?.(mailbox)),
    bytecode: place.bytecode,
    mailsScripts: place.mailsScripts,
    fillsGaps: place.fillsGaps,
    deletions: place.deletions && (async (owner) => (await place.deletions?.(owner)) ?? []),
    annotations: (name) => place.annotations(name),
    quota: (root) => place.quota(root),
    sieveScript: (userid, filename) => place.sieveScript(userid, filename),
    until: until && ((signal) => wrapPlace(until.call(place, signal), change)),
    close: () => place.close(),
  };
  return { ...all, ...change(place) };
}
