/**
 * A Cyrus server with a default domain, asked for names in that domain: `fred@example.com` is the
 * `fred` of its files. Where its list does have an owner with the domain, as it was given before
 * the setting, this owner is meant.
 */
import type { OwnedMailboxes } from "../../model/mailbox.ts";
import { type Owner, parseName } from "../../model/names.ts";
import { type Outcome, ok } from "../../model/outcome.ts";
import { inDomain, outOfDomain, type Rename, renamedState, renameTo } from "../domain_names.ts";
import type { MessageAddress, Place } from "../place.ts";
import { wrapPlace } from "../wrap_place.ts";
import type { CyrusSource } from "./cyrus_source.ts";

/** `place`, which reads `directory`, with names in `domain` too. */
export function inDefaultDomain(
  place: Place,
  { directory, domain }: { readonly domain: string } & Pick<CyrusSource, "directory">,
): Place {
  const long: Rename = (name) => inDomain(name, domain);
  const isKept = async (owner: Owner) => (await directory.get()).ownedBy(owner).length > 0;
  /** What the server itself calls a user, a shared top level or a mailbox. */
  const useridThere = async (userid: string) =>
    !userid.endsWith(`@${domain}`) || (await isKept({ kind: "user", userid }))
      ? userid
      : userid.slice(0, -domain.length - 1);
  const nameThere = async (name: string) =>
    (await isKept(parseName(name).owner)) ? name : outOfDomain(name, domain);
  const addressThere = async (address: MessageAddress) => ({
    ...address,
    mailbox: await nameThere(address.mailbox),
  });
  return wrapPlace(place, ({ contentGuid, deletions }) => ({
    user: async (userid) => {
      const there = await useridThere(userid);
      const found = await place.user(there);
      if (there === userid) return found;
      return mapped(found, ({ quotas, subscriptions, ...user }) => ({
        ...user,
        ...renamedOwned(user, long),
        quotas: quotas.map((quota) => ({ ...quota, root: long(quota.root) })),
        subscriptions: subscriptions.map(long),
      }));
    },
    meta: async (userid) => {
      const there = await useridThere(userid);
      const found = await place.meta(there);
      if (there === userid) return found;
      return mapped(found, (meta) => ({ ...meta, subscriptions: meta.subscriptions.map(long) }));
    },
    mailboxes: async (names) => {
      const found = await place.mailboxes([...new Set(await Promise.all(names.map(nameThere)))]);
      const rename = renameTo(names);
      return mapped(found, (all) => all.map((one) => (rename ? renamedState(one, rename) : one)));
    },
    sharedMailboxes: async (toplevel) => {
      const there = await nameThere(toplevel);
      const found = await place.sharedMailboxes(there);
      return there === toplevel ? found : mapped(found, (owned) => renamedOwned(owned, long));
    },
    readMailbox: async (name) => {
      const there = await nameThere(name);
      const found = await place.readMailbox(there);
      if (there === name) return found;
      return mapped(found, (one) => ({ ...one, state: renamedState(one.state, long) }));
    },
    message: async (address) => place.message(await addressThere(address)),
    contentGuid:
      contentGuid && (async (address) => contentGuid.call(place, await addressThere(address))),
    deletions:
      deletions &&
      (async (owner) => {
        if (await isKept(owner)) return deletions.call(place, owner);
        const there: Owner =
          owner.kind === "user"
            ? { ...owner, userid: await useridThere(owner.userid) }
            : { ...owner, toplevel: outOfDomain(owner.toplevel, domain) };
        const found = await deletions.call(place, there);
        return found.map((one) => ({ ...one, name: long(one.name) }));
      }),
    annotations: async (name) => place.annotations(await nameThere(name)),
    quota: async (root) => {
      const found = await place.quota(await nameThere(root));
      return mapped(found, (quota) => quota && { ...quota, root });
    },
    sieveScript: async (userid, filename) => place.sieveScript(await useridThere(userid), filename),
  }));
}

function mapped<From, To>(outcome: Outcome<From>, change: (value: From) => To): Outcome<To> {
  return outcome.kind === "refused" ? outcome : ok(change(outcome.value));
}

function renamedOwned(owned: OwnedMailboxes, rename: Rename): OwnedMailboxes {
  const { mailboxes, unreadable, salvaged } = owned;
  const renamed = <One extends { readonly name: string }>(one: One): One => ({
    ...one,
    name: rename(one.name),
  });
  return {
    ...owned,
    mailboxes: mailboxes.map((state) => renamedState(state, rename)),
    ...(unreadable && { unreadable: unreadable.map(renamed) }),
    ...(salvaged && { salvaged: salvaged.map(renamed) }),
  };
}
