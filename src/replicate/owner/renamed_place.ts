/**
 * A place seen as if one of its users had another name: `replicate fred --as bert`. His mailboxes
 * get uniqueids of their own, for both users may come to live in one place; the same ones each
 * time, so that a second run finds them. Nobody else is there, and sums over annotations, which may
 * name him, are left out.
 */
import { utf8 } from "../../core/bytes.ts";
import { sha1Of } from "../../hash/sha1.ts";
import { parseAcl, printAcl } from "../../model/acl.ts";
import type { Annotation } from "../../model/annotation.ts";
import type {
  MailboxState,
  Quota,
  RecordSource,
  UnreadableMailbox,
  UserMeta,
  UserState,
} from "../../model/mailbox.ts";
import { inboxOf, type Owner, parseName } from "../../model/names.ts";
import { DONE, type Outcome, ok } from "../../model/outcome.ts";
import type { MessageAddress, Place } from "../../places/place.ts";
import { wrapPlace } from "../../places/wrap_place.ts";

export interface UserRename {
  /** User ids. */
  readonly from: string;
  readonly to: string;
}

/**
 * Every member of Place that names a user or a mailbox. A new member of Place must be written
 * below, or be added to what is left out here: it does not compile otherwise.
 */
type RenamedMembers = Required<
  Omit<
    Place,
    "holds" | "caveat" | "readAhead" | "bytecode" | "mailsScripts" | "fillsGaps" | "until" | "close"
  >
>;

/** `place` with the user `from` under the name `to`. */
export function asUser(place: Place, rename: UserRename): Place {
  /** What the place itself calls the mailboxes that were given other uniqueids here. */
  const originals = new Map<string, string>();
  return wrapPlace(place, (inner) => renamedMembers(inner, { rename, originals }));
}

interface Renaming {
  readonly rename: UserRename;
  readonly originals: Map<string, string>;
}

function renamedMembers(place: Place, { rename, originals }: Renaming): RenamedMembers {
  const { from, to } = rename;
  const back = { from: to, to: from };
  const stateOf = (state: MailboxState): MailboxState => {
    const renamed = renameState(state, rename);
    originals.set(renamed.uniqueid, state.uniqueid);
    return renamed;
  };
  const user = async (userid: string): Promise<Outcome<UserState>> => {
    if (userid !== to) return ok(NOBODY);
    const found = await place.user(from);
    return found.kind === "refused" ? found : ok(renameUser(found.value, { stateOf, rename }));
  };
  const nameThere = (name: string): string => renameMailbox(name, back);
  const addressThere = (address: MessageAddress): MessageAddress => {
    const uniqueid = originals.get(address.uniqueid) ?? address.uniqueid;
    return { ...address, uniqueid, mailbox: nameThere(address.mailbox) };
  };
  const { contentGuid } = place;
  return {
    locator: `${place.locator} (${from} as ${to})`,
    owners: async () => ok(only({ kind: "user", userid: to })),
    user,
    meta: async (userid) => {
      const found = await user(userid);
      if (found.kind === "refused") return found;
      const { seen, subscriptions, sieve } = found.value;
      return ok({ seen, subscriptions, sieve });
    },
    mailboxes: async (names) => mapped(await place.mailboxes(names.map(nameThere)), stateOf),
    mailboxesByUniqueid: async (uniqueids) => {
      const unknown = new Set(uniqueids.filter((one) => !originals.has(one)));
      if (unknown.size > 0) {
        const isAsked = (uniqueid: string) => unknown.has(newUniqueid(uniqueid, rename));
        const hidden = await findNameless(place, isAsked);
        if (hidden.kind === "refused") return hidden;
      }
      const there = uniqueids.flatMap((one) => originals.get(one) ?? []);
      return mapped(await place.mailboxesByUniqueid(there), stateOf);
    },
    sharedMailboxes: async () => ok({ mailboxes: [] }),
    readMailbox: async (name) => {
      const found = await place.readMailbox(nameThere(name));
      if (found.kind === "refused") return found;
      const { state, records, ...rest } = found.value;
      return ok({ ...rest, state: stateOf(state), records: renameRecords(records, rename) });
    },
    message: (address) => place.message(addressThere(address)),
    contentGuid: contentGuid && ((address) => contentGuid.call(place, addressThere(address))),
    objectionTo: (mailbox) => place.objectionTo?.({ ...mailbox, name: nameThere(mailbox.name) }),
    deletions: async () => [], // who is renamed is brought as he is now
    annotations: async (name) =>
      mapped(await place.annotations(nameThere(name)), (one) => renameAnnotation(one, rename)),
    quota: async (root) => {
      const found = await place.quota(nameThere(root));
      if (found.kind === "refused" || found.value === undefined) return found;
      return ok(renameQuota(found.value, rename));
    },
    sieveScript: (_, filename) => place.sieveScript(from, filename),
  };
}

const NOBODY: UserState = { mailboxes: [], quotas: [], seen: [], subscriptions: [], sieve: [] };

/**
 * Refuses where a mailbox whose name cannot be read, so that it seems to be nobody's, has one of
 * these uniqueids: what it is called here cannot be turned back into that.
 */
async function findNameless(
  place: Place,
  isAsked: (uniqueid: string) => boolean,
): Promise<Outcome> {
  const owners = await place.owners();
  // A place that cannot list its owners finds mailboxes by name, damaged or not.
  if (owners.kind === "refused") return owners.reason === "notSupported" ? DONE : owners;
  for await (const owner of owners.value) {
    if (owner.kind !== "shared") continue;
    const shared = await place.sharedMailboxes(owner.toplevel);
    if (shared.kind === "refused") return shared;
    for (const { uniqueid, refusal } of shared.value.unreadable ?? []) {
      if (uniqueid !== undefined && isAsked(uniqueid)) return refusal;
    }
  }
  return DONE;
}

async function* only(owner: Owner): AsyncGenerator<Owner, void> {
  yield owner;
}

function mapped<Value>(
  outcome: Outcome<readonly Value[]>,
  change: (value: Value) => Value,
): Outcome<readonly Value[]> {
  return outcome.kind === "refused" ? outcome : ok(outcome.value.map(change));
}

const DELETED = "DELETED.";

/** The internal name under the other user; names of anybody else stay. */
function renameMailbox(name: string, { from, to }: UserRename): string {
  const { domain, isDeleted, local, owner } = parseName(name);
  if (owner.kind !== "user" || owner.userid !== from) return name;
  // A name in a virtual domain stays one, if the new name has a domain at all.
  const inbox = inboxOf(to, { virtualDomains: domain !== undefined });
  const { domain: newDomain, local: newLocal } = parseName(inbox);
  const prefix = newDomain === undefined ? "" : `${newDomain}!`;
  const before = (domain === undefined ? 0 : domain.length + 1) + (isDeleted ? DELETED.length : 0);
  const end = name.slice(before + local.length);
  const below = local
    .split(".")
    .slice(2)
    .map((part) => `.${part}`);
  return [prefix, isDeleted ? DELETED : "", newLocal, ...below, end].join("");
}

/** The uniqueid of a copy under the name `to`, of a user or a mailbox: each time the same UUID. */
export function newUniqueid(uniqueid: string, { to }: Pick<UserRename, "to">): string {
  const hex = sha1Of(utf8(`${uniqueid}\0${to}`));
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20, 32)].join("-");
}

function renameState(state: MailboxState, rename: UserRename): MailboxState {
  const { jmapid: _, quotaroot, acl, ...rest } = state;
  return {
    ...rest,
    name: renameMailbox(state.name, rename),
    uniqueid: newUniqueid(state.uniqueid, rename),
    syncCrcAnnot: 0,
    acl: acl === null ? null : renameAcl(acl, rename),
    ...(quotaroot !== undefined && { quotaroot: renameMailbox(quotaroot, rename) }),
    annotations: state.annotations.map((one) => renameAnnotation(one, rename)),
  };
}

/** An ACL that is not in tab form is passed on as it is. */
export function renameAcl(acl: string, { from, to }: UserRename): string {
  const entries = parseAcl(acl);
  if (entries === undefined) return acl;
  const renamed = entries.map(({ identifier, rights }) => {
    const [sign, id] = identifier.startsWith("-") ? ["-", identifier.slice(1)] : ["", identifier];
    return { identifier: id === from ? `${sign}${to}` : identifier, rights };
  });
  return printAcl(renamed);
}

function renameAnnotation(annotation: Annotation, { from, to }: UserRename): Annotation {
  return annotation.userid === from ? { ...annotation, userid: to } : annotation;
}

function renameQuota(quota: Quota, rename: UserRename): Quota {
  return { ...quota, root: renameMailbox(quota.root, rename) };
}

interface UserRenaming {
  readonly stateOf: (state: MailboxState) => MailboxState;
  readonly rename: UserRename;
}

function renameUser(user: UserState, { stateOf, rename }: UserRenaming): UserState {
  const own = new Set(user.mailboxes.map(({ uniqueid }) => uniqueid));
  const renamed = ({ name, uniqueid, refusal }: UnreadableMailbox): UnreadableMailbox => ({
    name: renameMailbox(name, rename),
    ...(uniqueid !== undefined && { uniqueid: newUniqueid(uniqueid, rename) }),
    refusal,
  });
  const { unreadable, salvaged } = user;
  const meta: UserMeta = {
    sieve: user.sieve,
    subscriptions: user.subscriptions.map((name) => renameMailbox(name, rename)),
    // What he has seen of others' mailboxes is by their uniqueids.
    seen: user.seen.map((seen) =>
      own.has(seen.uniqueid) ? { ...seen, uniqueid: newUniqueid(seen.uniqueid, rename) } : seen,
    ),
  };
  return {
    ...meta,
    mailboxes: user.mailboxes.map(stateOf),
    quotas: user.quotas.map((quota) => renameQuota(quota, rename)),
    ...(unreadable !== undefined && { unreadable: unreadable.map(renamed) }),
    ...(salvaged !== undefined && { salvaged: salvaged.map(renamed) }),
    ...(user.flawed !== undefined && { flawed: user.flawed }),
  };
}

function renameRecords(source: RecordSource, rename: UserRename): RecordSource {
  const isHis = ({ userid }: Annotation): boolean => userid === rename.from;
  return {
    batches: async function* () {
      for await (const batch of source.batches()) {
        yield batch.map((record) =>
          record.annotations.some(isHis)
            ? {
                ...record,
                annotations: record.annotations.map((one) => renameAnnotation(one, rename)),
              }
            : record,
        );
      }
    },
  };
}
