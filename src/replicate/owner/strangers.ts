/**
 * Whether the user of a name is the same person at both places. Uniqueids tell: names are given
 * away again. What would mix two people's mail is refused before anything is sent.
 */
import {
  isIntermediate,
  type MailboxState,
  type UnreadableMailbox,
  type UserState,
} from "../../model/mailbox.ts";
import {
  externalName,
  isInbox,
  type Owner,
  ownerName,
  parseName,
  sameOwner,
} from "../../model/names.ts";
import { DONE, type Outcome, ok, type Refusal, refused } from "../../model/outcome.ts";
import type { Place } from "../../places/place.ts";
import { type Both, OTHER_SIDE, type Side } from "../plan/sides.ts";

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
  const hint =
    "Give a new name; with replicate, --into-existing adds the mail to a user who is there";
  return { ...refused("permissionDenied", text), hint };
}

/** The refusal of a mailbox that was sent, and that `place` does not list for its owner. */
export function notListed(name: string, place: Place): Refusal {
  const text = `${name} was made at ${place.locator}, which does not list it as this owner's`;
  const hint = "One of the servers may have virtual domains (virtdomains) and the other none";
  return { ...refused("moved", text), hint };
}

export interface MovedRequest {
  readonly owner: Owner;
  readonly places: Both<Place>;
  /** The sides whose mailboxes must not be sent where they are another owner's. */
  readonly sides: readonly Side[];
}

/**
 * `states` with what is another owner's at the other side, being the same mailbox by its uniqueid,
 * as unreadable: it can be neither made nor renamed there. Where it is the INBOX of either side the
 * user himself was renamed, and the whole owner is refused.
 */
export async function withoutMoved(
  states: Both<UserState>,
  { owner, places, sides }: MovedRequest,
): Promise<Outcome<Both<UserState>>> {
  const settled: { [At in Side]: UserState } = { ...states };
  for (const side of ["a", "b"] as const) {
    const moved: UnreadableMailbox[] = [];
    for (const [here, there] of await movedFrom(side, states, { owner, places })) {
      const refusal = movedRefusal(here, there, {
        here: places[side],
        there: places[OTHER_SIDE[side]],
      });
      if (isInbox(here.name)) return refusal;
      if (sides.includes(side)) moved.push({ name: here.name, uniqueid: here.uniqueid, refusal });
    }
    if (moved.length === 0) continue;
    settled[side] = { ...states[side], unreadable: [...(states[side].unreadable ?? []), ...moved] };
  }
  return ok(settled);
}

/** Pairs of one mailbox at both sides, which at the other side is not one of this owner's. */
async function movedFrom(
  side: Side,
  states: Both<UserState>,
  { owner, places }: Omit<MovedRequest, "sides">,
): Promise<(readonly [MailboxState, MailboxState])[]> {
  const [ours, theirs] = [states[side], states[OTHER_SIDE[side]]];
  const known = new Set(
    [...theirs.mailboxes, ...(theirs.unreadable ?? [])].map(({ uniqueid }) => uniqueid),
  );
  const single = ours.mailboxes.filter((one) => !known.has(one.uniqueid) && !isIntermediate(one));
  const other = places[OTHER_SIDE[side]];
  if (single.length === 0 || !other.holds.uniqueids) return [];
  const byId = new Map(single.map((state) => [state.uniqueid, state]));
  const found = await other.mailboxesByUniqueid([...byId.keys()]);
  // Servers before 3.2 know names only; what else is refused now is refused again when it is sent.
  if (found.kind === "refused") return [];
  return found.value.flatMap((there) => {
    const here = byId.get(there.uniqueid);
    const isMoved = here !== undefined && !sameOwner(parseName(there.name).owner, owner);
    return isMoved ? [[here, there] as const] : [];
  });
}

function movedRefusal(
  here: MailboxState,
  there: MailboxState,
  places: { readonly here: Place; readonly there: Place },
): Refusal {
  const [one, other] = [here, there].map(({ name }) => externalName(name));
  const text =
    `${one} at ${places.here.locator} is ${other} at ${places.there.locator}, ` +
    "so it was renamed to another owner at one of them";
  const hint =
    "Rename it at the other too (a Cyrus with allowusermoves: RENAME as an administrator), " +
    "or delete the old one there (bobbin store delete --tree)";
  return { ...refused("permissionDenied", text), hint };
}
