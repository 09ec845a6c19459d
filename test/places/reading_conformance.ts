/**
 * What every place must do when it is read, whatever lies behind it: the reading half of the suite.
 * A place's own test calls `readsConform` with a way to open it with mail in it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sha1Of } from "../../src/hash/sha1.ts";
import { isIntermediate, type MailboxState, type OwnedMailboxes } from "../../src/model/mailbox.ts";
import type { Owner } from "../../src/model/names.ts";
import type { Outcome } from "../../src/model/outcome.ts";
import type { MailboxReading, Place } from "../../src/places/place.ts";
import { bytesOf, granted, ownersIn, recordsIn } from "../support/places.ts";
import { peerCrcs } from "../support/store_fixture.ts";

export interface ReadablePlace {
  /** A place with mail in it, all of it sound. It is closed at the end. */
  readonly open: () => Place | Promise<Place>;
  /** Who is there; asked of the place itself where it can list them. */
  readonly owners: readonly Owner[];
}

const NOBODY = { mailboxes: [], quotas: [], subscriptions: [], seen: [], sieve: [] };

function ownedAt(place: Place, owner: Owner) {
  return owner.kind === "user" ? place.user(owner.userid) : place.sharedMailboxes(owner.toplevel);
}

/** Without what the state that is listed need not have, and the order of lists that have none. */
function comparable(state: MailboxState): unknown {
  const inOrder = (left: { entry: string }, right: { entry: string }) =>
    left.entry < right.entry ? -1 : 1;
  return { ...state, annotations: state.annotations.toSorted(inOrder) };
}

/** Declares the tests of the reading half for the place called `name`. */
export function readsConform(name: string, { open, owners }: ReadablePlace): void {
  describe(`${name}, read as a place`, () => {
    let place: Place;
    const all: OwnedMailboxes[] = [];
    const mailboxes = () => all.flatMap((owned) => owned.mailboxes);
    /** Those that have messages, each with what was read of it. */
    const readings = async (): Promise<MailboxReading[]> => {
      const found: MailboxReading[] = [];
      for (const state of mailboxes()) {
        if (!isIntermediate(state)) found.push(granted(await place.readMailbox(state.name)));
      }
      return found;
    };

    beforeAll(async () => {
      place = await open();
      for (const owner of owners) {
        if (owner.kind === "user" || place.holds.userList) {
          all.push(granted(await ownedAt(place, owner)));
        }
      }
    });
    afterAll(() => place.close());

    test("lists exactly its owners, or says that it cannot", async () => {
      if (place.holds.userList) {
        const words = (list: readonly Owner[]) => list.map((one) => JSON.stringify(one)).sort();
        expect(words(await ownersIn(place))).toEqual(words(owners));
        return;
      }
      for (const outcome of [await place.owners(), await place.sharedMailboxes("lists")]) {
        expect(outcome).toMatchObject({ kind: "refused", reason: "notSupported" });
      }
    });

    test("finds each mailbox by name and by uniqueid, the same each time", async () => {
      expect(mailboxes().length).toBeGreaterThan(0);
      expect(all.flatMap(({ unreadable = [] }) => unreadable)).toEqual([]);
      for (const state of mailboxes()) {
        const byName = granted(await place.mailboxes([state.name]));
        expect(byName.map(comparable)).toEqual([comparable(state)]);
        if (!place.holds.uniqueids) continue;
        const byId = granted(await place.mailboxesByUniqueid([state.uniqueid, "nobody's"]));
        expect(byId.map(comparable)).toEqual([comparable(state)]);
      }
      const names = mailboxes().map((state) => state.name);
      const found = granted(await place.mailboxes([...names, "user.fred.Nowhere"]));
      expect(found.map((state) => state.name).sort()).toEqual(names.toSorted());
    });

    test("gives state and records of one moment, by UID, as often as asked", async () => {
      let count = 0;
      for (const { state, records } of await readings()) {
        const listed = mailboxes().find(({ name: other }) => other === state.name);
        expect(comparable(state)).toEqual(comparable(listed ?? expect.unreachable(state.name)));
        const found = await recordsIn(records);
        expect(await recordsIn(records)).toEqual(found);
        const uids = found.map(({ uid }) => uid);
        expect(uids).toEqual([...new Set(uids)].sort((left, right) => left - right));
        for (const { uid, modseq, expunged } of found) {
          expect(uid).toBeLessThanOrEqual(state.lastUid);
          if (place.holds.modseqs) expect(modseq <= state.highestmodseq).toBe(true);
          if (!place.holds.tombstones) expect(expunged).toBe(false);
        }
        if (state.syncCrc) expect(peerCrcs(found).syncCrc).toBe(state.syncCrc);
        count += found.length;
      }
      expect(count).toBeGreaterThan(0);
    });

    test("gives every living message, whose bytes are what its record says", async () => {
      let count = 0;
      for (const { state, records } of await readings()) {
        const { name: mailbox, uniqueid, partition } = state;
        for (const { uid, guid, size, expunged } of await recordsIn(records)) {
          if (expunged) continue;
          const bytes = await bytesOf(place, { mailbox, uniqueid, partition, uid, guid });
          expect([mailbox, uid, bytes.length, sha1Of(bytes)]).toEqual([mailbox, uid, size, guid]);
          count += 1;
        }
      }
      expect(count).toBeGreaterThan(0);
    });

    test("may be left in the middle of a message and of a list of records", async () => {
      for (const { state, records } of await readings()) {
        for await (const [first] of records.batches()) {
          if (first === undefined || first.expunged) break;
          const { name: mailbox, uniqueid, partition } = state;
          const { uid, guid } = first;
          const found = await place.message({ mailbox, uniqueid, partition, uid, guid });
          for await (const _ of granted(found).chunks()) break;
          break;
        }
      }
    });

    test("says of a user one by one what it says of him as a whole", async () => {
      for (const owner of owners) {
        if (owner.kind === "shared") continue;
        const { userid } = owner;
        const user = granted(await place.user(userid));
        const { seen, subscriptions, sieve } = user;
        expect(granted(await place.meta(userid))).toEqual({ seen, subscriptions, sieve });
        for (const quota of user.quotas) {
          expect(granted(await place.quota(quota.root))).toEqual(quota);
        }
        for (const { filename, guid } of sieve) {
          if (!filename.endsWith(".script")) continue;
          const content = granted(await place.sieveScript(userid, filename));
          if (guid !== undefined) expect(sha1Of(content)).toBe(guid);
        }
        for (const state of user.mailboxes) {
          const entries = (list: readonly { entry: string; value: Uint8Array }[]) =>
            list.map(({ entry, value }) => `${entry} ${Buffer.from(value).toString("hex")}`).sort();
          const found = granted(await place.annotations(state.name));
          expect(entries(found)).toEqual(entries(state.annotations));
        }
      }
    });

    test("makes up nothing of what it does not hold", () => {
      for (const owned of all) {
        const { seen, subscriptions, sieve, quotas } = { ...NOBODY, ...owned };
        if (!place.holds.seen) expect(seen).toEqual([]);
        if (!place.holds.subscriptions) expect(subscriptions).toEqual([]);
        if (!place.holds.sieveFiles) expect(sieve).toEqual([]);
        if (place.holds.quotas.length === 0) expect(quotas).toEqual([]);
        for (const { annotations } of owned.mailboxes)
          if (!place.holds.mailboxAnnotations) expect(annotations).toEqual([]);
      }
    });

    test("what is not there is empty or nonexistent, and no failure", async () => {
      expect(granted(await place.user("nobody"))).toEqual(NOBODY);
      const { seen, subscriptions, sieve } = NOBODY;
      expect(granted(await place.meta("nobody"))).toEqual({ seen, subscriptions, sieve });
      expect(granted(await place.mailboxes(["user.nobody"]))).toEqual([]);
      expect(granted(await place.mailboxesByUniqueid(["nobody's"]))).toEqual([]);
      expect(granted(await place.quota("user.nobody"))).toBeUndefined();
      const [{ name: mailbox, uniqueid, partition } = expect.unreachable("no mailbox")] =
        mailboxes();
      const address = { mailbox, uniqueid, partition, uid: 4_000_000_000, guid: "1".repeat(40) };
      const refusals: Outcome<unknown>[] = [
        await place.readMailbox("user.nobody"),
        await place.message(address),
        await place.message({ ...address, mailbox: "user.nobody", uniqueid: "nobody's" }),
      ];
      if (place.holds.sieveFiles) refusals.push(await place.sieveScript("fred", "none.script"));
      const reasons = refusals.map((one) => (one.kind === "refused" ? one.reason : "ok"));
      expect(reasons).toEqual(refusals.map(() => "nonexistent"));
    });
  });
}
