/**
 * An archive seen as if the target had never lost anything: each mailbox that is to come back is
 * there as it is to be afterwards (plan_restore.ts). So a restore is a replication from this place,
 * with all that a replication does: messages are sent once, what another one writes meanwhile is
 * met by looking again, and the end is proven. Any place can be the archive.
 */
import {
  isIntermediate,
  isSieveMailbox,
  type MailboxState,
  type UnreadableMailbox,
  type UserState,
} from "../../model/mailbox.ts";
import { externalName, type Owner, ownerName, parseName, useridOf } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailboxReading, MessageAddress, Place } from "../../places/place.ts";
import { wrapPlace } from "../../places/wrap_place.ts";
import { identified } from "../owner/identified_place.ts";
import { readOwnerState } from "../owner/owner_state.ts";
import { newUniqueid, renameAcl } from "../owner/renamed_place.ts";
import {
  type Destination,
  destinationOf,
  type MessageChoice,
  nameInLife,
  type RestoredMailbox,
  restoreGone,
  restoreInto,
} from "./plan_restore.ts";

/** What is to come back. */
export interface RestoreChoice {
  /** Mailboxes of the archive by internal name; undefined: all that were not deleted. */
  readonly isWanted: ((mailbox: string) => boolean) | undefined;
  /** Only these messages of them. */
  readonly messages: MessageChoice | undefined;
  /** The only mailbox that is wanted is this owner's, and comes back under this internal name. */
  readonly as: { readonly owner: Owner; readonly name: string } | undefined;
  /** A mailbox of the target that only has the same name gets no mail. */
  readonly onlyCopies: boolean;
  /** Unix seconds. */
  readonly now: () => number;
}

export interface Restoring {
  /** The source of the replication, in mode merge and with `isPart`. */
  readonly place: Place;
  /** What was planned last for the target's mailbox of this name. */
  readonly planned: (name: string) => RestoredMailbox | undefined;
  /** All that was planned. */
  readonly all: () => readonly RestoredMailbox[];
}

/** A mailbox on its way back; `archived` is its state in the archive. */
interface Returning extends Destination {
  readonly archived: MailboxState;
}

interface Sides {
  readonly source: Place;
  readonly target: Place;
  readonly choice: RestoreChoice;
}

/** `archive` as what `choice` brings back of it to `target`. */
export function restoring(archive: Place, target: Place, choice: RestoreChoice): Restoring {
  const sides: Sides = { source: identified(archive), target, choice };
  /** Both by the name at the target. */
  const returning = new Map<string, Returning>();
  const planned = new Map<string, Planned>();
  const plan = async (name: string): Promise<Outcome<RestoredMailbox>> => {
    const one = returning.get(name);
    if (one === undefined) return refused("nonexistent", `${name} does not come back`);
    const done = await restoreMailbox(one, sides);
    if (done.kind === "refused") return done;
    const uids = new Map(done.value.restored.map(({ newUid, uid }) => [newUid, uid]));
    planned.set(name, { mailbox: done.value, uids });
    return done;
  };
  const owned = async (owner: Owner): Promise<Outcome<UserState>> => {
    const both = await readBoth(owner, sides);
    if (both.kind === "refused") return both;
    const { unreadable, found } = findReturning(both.value, choice);
    const { messages } = choice;
    const missing = new Set([...(messages?.guids ?? []), ...(messages?.uids ?? [])]);
    const mailboxes: MailboxState[] = [];
    for (const one of found) {
      returning.set(one.name, one);
      const done = await plan(one.name);
      if (done.kind === "refused") {
        unreadable.push({ name: one.name, uniqueid: idOf(one, choice), refusal: done });
        continue;
      }
      const { state, restored, present } = done.value;
      const told = [...restored, ...present];
      for (const message of told) for (const key of keysOf(message)) missing.delete(key);
      if (messages === undefined || told.length > 0) mailboxes.push(state);
    }
    if (missing.size > 0) {
      const text = `There is no message ${[...missing].join(", ")} of ${ownerName(owner)}`;
      return refused("nonexistent", `${text} in the mailboxes to look in, at ${archive.locator}`);
    }
    return ok({ ...settingsOf(both.value, found, choice), mailboxes, unreadable });
  };
  const message = (address: MessageAddress): ReturnType<Place["message"]> => {
    const one = returning.get(address.mailbox);
    const uid = planned.get(address.mailbox)?.uids.get(address.uid);
    if (one === undefined || (one.theirs !== undefined && uid === undefined)) {
      return target.message(address);
    }
    const { name: mailbox, uniqueid, partition } = one.archived;
    const there = { mailbox, uniqueid, partition, uid: uid ?? address.uid };
    return sides.source.message({ ...address, ...there });
  };
  const place = wrapPlace(sides.source, (inner) => ({
    holds: { ...inner.holds, deletedMailboxes: true },
    user: (userid) => owned({ kind: "user", userid }),
    sharedMailboxes: (toplevel) => owned({ kind: "shared", toplevel }),
    readMailbox: plan,
    message,
    contentGuid: undefined,
    // Limits that are there stay: they may have been raised since.
    quota: async (root) => {
      const there = await target.quota(root);
      return there.kind === "ok" && there.value !== undefined ? there : inner.quota(root);
    },
  }));
  return {
    place,
    planned: (name) => planned.get(name)?.mailbox,
    all: () => [...planned.values()].map(({ mailbox }) => mailbox),
  };
}

interface Planned {
  readonly mailbox: RestoredMailbox;
  /** In the archive, by the UID at the target. */
  readonly uids: ReadonlyMap<number, number>;
}

function keysOf({ guid, uid }: { readonly guid: string; readonly uid: number }) {
  return [guid, uid];
}

interface BothStates {
  /** Of the archive, with only the mailboxes that are wanted. */
  readonly ours: UserState;
  readonly theirs: UserState;
}

async function readBoth(
  owner: Owner,
  { source, target, choice }: Sides,
): Promise<Outcome<BothStates>> {
  const { isWanted = (name) => !parseName(name).isDeleted, as } = choice;
  const read = await readOwnerState(source, as?.owner ?? owner);
  if (read.kind === "refused") return read;
  const wants = ({ name }: { readonly name: string }): boolean => isWanted(name);
  const mailboxes = read.value.mailboxes.filter(wants);
  const ours = {
    ...{ ...read.value, mailboxes },
    unreadable: (read.value.unreadable ?? []).filter(wants),
  };
  if (ours.mailboxes.length + ours.unreadable.length === 0) {
    return refused(
      "nonexistent",
      nothingOf(read.value, { owner: as?.owner ?? owner, source, choice }),
    );
  }
  const known = { ...ours, mailboxes: mailboxes.map((state) => renamed(state, choice)) };
  const theirs = await readOwnerState(target, owner, known);
  return theirs.kind === "refused" ? theirs : ok({ ours, theirs: theirs.value });
}

/** Deleted mailboxes that are named to whoever has asked for one that lives. */
const MOST_NAMED = 3;

/** Why nothing comes back, and as what it is there: what was deleted comes back if it is named. */
function nothingOf(
  { mailboxes }: UserState,
  { owner, source, choice: { isWanted } }: Pick<Sides, "source" | "choice"> & { owner: Owner },
): string {
  const what = mailboxes.length === 0 ? "no" : isWanted ? "no such mailbox of" : "no mailbox of";
  const text = `There is ${what} ${ownerName(owner)} at ${source.locator}`;
  const deleted = mailboxes
    .map(({ name }) => name)
    .filter((name) => parseName(name).isDeleted && isWanted?.(nameInLife(name)) !== false);
  if (deleted.length === 0) return text;
  const names = deleted.slice(0, MOST_NAMED).map(externalName).join(", ");
  const more = deleted.length > MOST_NAMED ? ` and ${deleted.length - MOST_NAMED} more` : "";
  return `${text} but deleted ones: name ${names}${more}, or read it as of before with @TIME`;
}

/** The state with the name and the identity that it gets where the mailbox is gone. */
function renamed(state: MailboxState, { as }: RestoreChoice): MailboxState {
  const { name, uniqueid, acl } = state;
  if (as === undefined || as.name === name) return { ...state, name: nameInLife(name) };
  const { jmapid: _, quotaroot: __, ...rest } = state;
  const [from, to] = [useridOf(name), useridOf(as.name)];
  const isOthers = acl !== null && from !== undefined && to !== undefined && from !== to;
  return {
    ...{ ...rest, name: as.name, uniqueid: newUniqueid(uniqueid, { to: as.name }) },
    ...(isOthers && { acl: renameAcl(acl, { from, to }), syncCrcAnnot: 0 }),
  };
}

function idOf({ archived, theirs }: Returning, choice: RestoreChoice): string {
  return theirs?.uniqueid ?? renamed(archived, choice).uniqueid;
}

interface Found {
  readonly found: readonly Returning[];
  readonly unreadable: UnreadableMailbox[];
}

/** Where each mailbox comes back; one of two that would come back as one is refused. */
function findReturning({ ours, theirs }: BothStates, choice: RestoreChoice): Found {
  const found = new Map<string, Returning>();
  const unreadable = [...(ours.unreadable ?? [])];
  const wanted = ours.mailboxes.map((archived) => ({ archived, as: renamed(archived, choice) }));
  const ids = new Set(wanted.map(({ as }) => as.uniqueid));
  const there = choice.onlyCopies
    ? theirs.mailboxes.filter(({ uniqueid }) => ids.has(uniqueid))
    : theirs.mailboxes;
  const isLate = ({ name }: MailboxState) => parseName(name).isDeleted;
  wanted.sort((left, right) => Number(isLate(left.archived)) - Number(isLate(right.archived)));
  for (const { archived, as } of wanted) {
    const destination = destinationOf(as, there);
    const { name, uniqueid } = archived;
    const isThere = destination.theirs !== undefined;
    // Names in the tree hold no mail, and scripts that are there are not to come twice.
    if (isIntermediate(archived) && (isThere || choice.messages !== undefined)) continue;
    if (isSieveMailbox(archived) && isThere && choice.isWanted === undefined) continue;
    const other = found.get(destination.name);
    if (other === undefined) found.set(destination.name, { ...destination, archived });
    else {
      const [one, first] = [name, other.archived.name].map(externalName);
      const text = `${one} would come back into the same mailbox as ${first}: bring it alone`;
      unreadable.push({ name, uniqueid, refusal: refused("permissionDenied", text) });
    }
  }
  return { found: [...found.values()], unreadable };
}

/**
 * Of a user who is gone as a whole everything comes back. Otherwise subscriptions and what was seen
 * come back with their mailboxes, and all else stays what it is.
 */
function settingsOf(
  { ours, theirs }: BothStates,
  found: readonly Returning[],
  choice: RestoreChoice,
): Omit<UserState, "mailboxes" | "unreadable"> {
  const isGone = theirs.mailboxes.length + (theirs.unreadable ?? []).length === 0;
  const isWhole = (choice.isWanted ?? choice.messages ?? choice.as) === undefined;
  const { mailboxes: _, unreadable: __, ...settings } = ours;
  if (isGone && isWhole) return settings;
  const back = found.filter(({ name, theirs }) => theirs?.name !== name);
  const names = new Map(back.map(({ name, archived }) => [archived.name, name]));
  const ids = new Map(back.map((one) => [one.archived.uniqueid, idOf(one, choice)]));
  return {
    ...{ quotas: [], sieve: [] },
    subscriptions: ours.subscriptions.flatMap((name) => names.get(name) ?? []),
    seen: ours.seen.flatMap((seen) => {
      const uniqueid = ids.get(seen.uniqueid);
      return uniqueid === undefined ? [] : [{ ...seen, uniqueid }];
    }),
  };
}

async function restoreMailbox(
  one: Returning,
  { source, target, choice }: Sides,
): Promise<Outcome<RestoredMailbox>> {
  const { archived, theirs, name } = one;
  const options = { messages: choice.messages, now: choice.now() };
  const read = await source.readMailbox(archived.name);
  if (read.kind === "refused") return read;
  if (read.value.state.uniqueid !== archived.uniqueid) {
    return refused("changed", `${archived.name} was replaced in the archive meanwhile`);
  }
  if (theirs === undefined) {
    const state = renamed(read.value.state, choice);
    return ok(await restoreGone({ ...read.value, state }, options));
  }
  const there = await readThere(name, theirs, target);
  if (there.kind === "refused") return there;
  const { state, records } = there.value;
  return ok(await restoreInto({ state: { ...state, name }, records }, read.value.records, options));
}

/** The mailbox at the target, renamed back already or not yet. */
async function readThere(
  name: string,
  { name: before, uniqueid }: MailboxState,
  target: Place,
): Promise<Outcome<MailboxReading>> {
  for (const one of new Set([name, before])) {
    const read = await target.readMailbox(one);
    if (read.kind === "refused" && read.reason !== "nonexistent") return read;
    if (read.kind === "ok" && read.value.state.uniqueid === uniqueid) return read;
  }
  return refused("changed", `${name} was deleted or replaced at the target meanwhile`);
}
