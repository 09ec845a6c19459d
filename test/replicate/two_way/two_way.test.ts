/**
 * Two stores that are both written to: what each kind of disagreement comes to, and seeded
 * histories of many.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { ok, refused } from "../../../src/model/outcome.ts";
import type { Place, WritablePlace } from "../../../src/places/place.ts";
import { renameMailboxesIn } from "../../../src/places/store/commit/rename.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { newStore } from "../../support/new_store.ts";
import { granted, withSessions } from "../../support/places.ts";
import {
  applyTo,
  livingUids,
  NOTHING_DONE,
  newStorePlace,
  put,
  reconcile,
  type ToldBoth,
} from "../../support/replication.ts";
import { randomOf } from "../../support/spool/random.ts";
import { standIn } from "../../support/stand_in.ts";
import { message, NOW, record } from "../../support/store_fixture.ts";
import { verifyStore } from "../../support/store_verify.ts";
import { doDeeds } from "../../support/two_sided.ts";
import { differencesOf, playRounds } from "../../support/two_sided_rounds.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

describe("reconcileOwner()", () => {
  let a: WritablePlace;
  let b: WritablePlace;
  beforeEach(() => {
    a = newStorePlace();
    b = newStorePlace();
  });
  afterEach(async () => {
    await a.close();
    await b.close();
  });
  const run = (options?: Parameters<typeof reconcile>[2]): Promise<ToldBoth> =>
    reconcile(FRED, { a, b }, options);
  const namesAt = async (place: Place): Promise<string[]> =>
    granted(await place.user("fred"))
      .mailboxes.map(({ name, uniqueid }) => `${name} ${uniqueid}`)
      .sort();

  /** Runs, and finds both sides alike and nothing left to do. */
  async function settle(): Promise<ToldBoth> {
    const told = await run();
    granted(told.outcome);
    expect(told.failures).toEqual([]);
    const { outcome: _, ...again } = await run();
    expect(again).toEqual({ ...NOTHING_DONE, decisions: [], leftovers: told.leftovers });
    if (told.leftovers.length === 0) expect(await differencesOf(FRED, { a, b })).toEqual([]);
    return told;
  }

  /** Both hold messages 1 to 3 in the INBOX and 1 in a folder. */
  async function alike(): Promise<void> {
    for (const place of [a, b]) {
      await put(place, INBOX, [record(1), record(2), record(3)]);
      await put(place, `${INBOX}.a`, [record(1, {}, 11)], { numbers: [11] });
    }
  }
  const deeds = (place: WritablePlace, ...list: Parameters<typeof doDeeds>[1]): Promise<void> =>
    doDeeds(place, list, { userid: "fred", now: NOW + 100, random: randomOf(1).below });

  test("fails where a side takes a mailbox and lists it for somebody else", async () => {
    await put(a, INBOX, [record(1)]);
    const blind = standIn(b, {
      user: async () => ok({ mailboxes: [], quotas: [], seen: [], subscriptions: [], sieve: [] }),
    });
    const { failures } = await reconcile(FRED, { a, b: blind });
    expect(failures).toEqual([expect.stringMatching(/user\.fred was made .*does not list it/)]);
  });

  test("brings each side what the other alone has, once", async () => {
    await put(a, INBOX, [record(1)]);
    await put(b, `${INBOX}.only`, [record(1, {}, 5)], { numbers: [5] });
    const told = await settle();
    expect(told.steps).toEqual([`b mailbox ${INBOX}`, `a mailbox ${INBOX}.only`]);
    expect(granted(told.outcome)).toMatchObject({ messages: 2 });
    expect(told.decisions).toEqual([]);
  });

  test("gives messages delivered to both sides under one UID new ones at both", async () => {
    await alike();
    await deeds(a, { kind: "deliver", name: INBOX, number: 21 });
    await deeds(b, { kind: "deliver", name: INBOX, number: 22 });
    const told = await settle();
    expect(told.decisions).toHaveLength(2);
    expect(await livingUids(a, INBOX)).toEqual([1, 2, 3, 5, 6]);
    const { uniqueid } = granted(await a.mailboxes([INBOX]))[0] ?? { uniqueid: "" };
    for (const place of [a, b]) {
      const { records } = granted(await place.readMailbox(INBOX));
      for await (const batch of records.batches()) {
        for (const { uid, guid } of batch.slice(-2)) {
          const address = { mailbox: INBOX, uniqueid, partition: null, uid, guid };
          expect(granted(await place.message(address)).size).toBe(message(21).length);
        }
      }
    }
  });

  test("takes flags, expunges, renames and deletions from whichever side did them", async () => {
    await alike();
    await put(a, `${INBOX}.b`, [record(1, {}, 12)], { numbers: [12] });
    await settle();
    await deeds(
      a,
      { kind: "rename", name: `${INBOX}.a`, to: `${INBOX}.moved` },
      { kind: "expunge", name: INBOX, uid: 1 },
      { kind: "flag", name: INBOX, uid: 2, flag: "\\Seen", isSet: true },
    );
    await deeds(
      b,
      { kind: "delete", name: `${INBOX}.b` },
      { kind: "flag", name: INBOX, uid: 3, flag: "\\Flagged", isSet: true },
      { kind: "expunge", name: INBOX, uid: 2 },
    );
    const told = await settle();
    expect(await livingUids(a, INBOX)).toEqual([3]);
    const [first, second, third] = (await namesAt(a)).map((name) => name.split(" ")[0]);
    expect(first).toStartWith(`DELETED.${INBOX}.b.`);
    expect([second, third]).toEqual([INBOX, `${INBOX}.moved`]);
    expect(told.decisions.some((text) => text.includes("moved"))).toBe(true);
  });

  test("looks at the records where the sum of one side says nothing", async () => {
    await alike();
    const name = `${INBOX}.a`;
    await deeds(a, { kind: "expunge", name, uid: 1 });
    await deeds(b, { kind: "flag", name, uid: 1, flag: "\\Seen", isSet: true });
    const { steps } = await settle();
    expect(steps).toEqual([`a mailbox ${name}`, `b mailbox ${name}`]);
    expect(await livingUids(b, name)).toEqual([]);
  });

  test("deletes no mailbox that got a message which the side that deletes never saw", async () => {
    await alike();
    await deeds(a, { kind: "delete", name: `${INBOX}.a` });
    await deeds(b, { kind: "deliver", name: `${INBOX}.a`, number: 30 });
    const told = await settle();
    expect(await livingUids(a, `${INBOX}.a`)).toEqual([1, 2]);
    expect(told.decisions[0]).toContain("not deleted, for it got messages that A never saw");
  });

  test("keeps two mailboxes made under one name, and drops one that never had mail", async () => {
    await alike();
    for (const [place, number] of [[a, 41] as const, [b, 42] as const]) {
      const uniqueid = `made-${number}-12345678`;
      const options = { numbers: [number], change: { uniqueid } };
      await put(place, `${INBOX}.new`, [record(1, {}, number)], options);
      const empty = { uniqueid: `empty-${number}` };
      if (number === 41) await put(place, `${INBOX}.tidy`, [record(1)], { change: empty });
      else await put(place, `${INBOX}.tidy`, [], { change: empty });
    }
    await settle();
    expect((await namesAt(b)).filter((name) => /new|tidy/.test(name))).toEqual([
      `${INBOX}.new made-41-12345678`,
      `${INBOX}.new-conflict-12345678 made-42-12345678`,
      `${INBOX}.tidy empty-41`,
    ]);
    expect(await livingUids(a, `${INBOX}.new-conflict-12345678`)).toEqual([1]);
  });

  test("brings together INBOXes of different uniqueids and deletes neither", async () => {
    await put(a, INBOX, [record(1, {}, 51)], { numbers: [51], change: { uniqueid: "one" } });
    await put(b, INBOX, [record(1, {}, 52)], { numbers: [52], change: { uniqueid: "two" } });
    const told = await settle();
    expect(told.leftovers).toEqual([`mailbox ${INBOX}`]);
    expect(await livingUids(a, INBOX)).toEqual([2, 3]);
    expect(await livingUids(b, INBOX)).toEqual([2, 3]);
    const [ours, theirs] = [await a.mailboxes([INBOX]), await b.mailboxes([INBOX])];
    expect(granted(ours)[0]?.syncCrc).toBe(granted(theirs)[0]?.syncCrc ?? -1);
  });

  test("renames what both sides have given one name, and undoes one of the two", async () => {
    await alike();
    for (const place of [a, b])
      await put(place, `${INBOX}.b`, [record(1, {}, 12)], { numbers: [12] });
    await deeds(a, { kind: "rename", name: `${INBOX}.a`, to: `${INBOX}.same` });
    await deeds(b, { kind: "rename", name: `${INBOX}.b`, to: `${INBOX}.same` });
    const told = await settle();
    expect(told.decisions).toHaveLength(2);
    const names = (await namesAt(a)).map((name) => name.split(" ")[0]);
    expect(names).toEqual([INBOX, `${INBOX}.a`, `${INBOX}.same`]);
  });

  for (const moment of ["before", "after"] as const) {
    test(`keeps a folder deleted at A that gets mail at B ${moment} the last look`, async () => {
      await alike();
      const name = `${INBOX}.a`;
      await deeds(a, { kind: "delete", name });
      let isFirst = true;
      const deliver = async (): Promise<void> => {
        if (isFirst) await deeds(b, { kind: "deliver", name, number: 21 });
        isFirst = false;
      };
      const watched = standIn(b, {
        mailboxes: async (names) => {
          if (moment === "before") await deliver();
          return b.mailboxes(names);
        },
      });
      const late = withSessions(watched, (session) => ({
        apply: async (command, options) => {
          if (command.kind === "rename") await deliver();
          return session.apply(command, options);
        },
      }));
      const told = await reconcile(FRED, { a, b: late });
      expect([isFirst, told.failures]).toEqual([false, []]);
      for (const place of [a, b]) expect(await livingUids(place, name)).toEqual([1, 2]);
      await settle();
    });
  }

  test("brings together subscriptions, scripts, quotas and what was seen", async () => {
    await alike();
    const userid = "fred";
    const { uniqueid } = granted(await a.mailboxes([INBOX]))[0] ?? { uniqueid: "" };
    const script = (place: WritablePlace, name: string, text: string, lastUpdate: number) =>
      applyTo(place, {
        ...{ kind: "sieve", userid, filename: `${name}.script`, lastUpdate },
        content: utf8(text),
      });
    const seen = (lastChange: number, seenUids: string) =>
      ({ uniqueid, lastRead: 5, lastUid: 3, lastChange, seenUids }) as const;
    await applyTo(a, { kind: "sub", userid, name: INBOX });
    await applyTo(b, { kind: "sub", userid, name: `${INBOX}.a` });
    await script(a, "one", "keep;", 5);
    await script(a, "two", "discard;", 5);
    await script(b, "two", "stop;", 6);
    await applyTo(b, { kind: "activateSieve", userid, filename: "two.bc" });
    await applyTo(a, { kind: "quota", quota: { root: INBOX, limits: { STORAGE: 7 } } });
    await applyTo(b, { kind: "quota", quota: { root: INBOX, limits: { STORAGE: 8 } } });
    await applyTo(a, { kind: "seen", userid, seen: seen(6, "1") });
    await applyTo(b, { kind: "seen", userid, seen: seen(7, "1:2") });
    const told = await settle();
    expect(told.decisions).toEqual([
      `quota ${INBOX} : the limits differ: A's are kept`,
      "sieve two.script : the scripts differ: B's is kept",
    ]);
    const ours = granted(await a.user(userid));
    expect([...ours.subscriptions].sort()).toEqual([INBOX, `${INBOX}.a`]);
    expect(granted(await a.sieveScript(userid, "two.script"))).toEqual(utf8("stop;"));
    expect(ours.sieve.find(({ isActive }) => isActive)?.filename).toStartWith("two.");
    expect(ours.quotas[0]?.limits.STORAGE).toBe(7);
    expect(ours.seen[0]?.seenUids).toBe("1:2");
  });

  test("brakes at either side before anything is written, and a dry run says so too", async () => {
    await alike();
    await deeds(a, { kind: "deliver", name: INBOX, number: 61 });
    await deeds(b, { kind: "expunge", name: INBOX, uid: 1 });
    // One of five is not over 20 per cent.
    expect((await run({ allowDelete: 20 })).outcome.kind).toBe("ok");
    expect(await livingUids(a, INBOX)).toEqual([2, 3, 4]);
    await deeds(b, { kind: "expunge", name: INBOX, uid: 2 });
    await deeds(b, { kind: "expunge", name: INBOX, uid: 3 });
    for (const dryRun of [true, false]) {
      const told = await run({ allowDelete: 20, dryRun });
      const text = "2 of 4 messages of fred would be deleted at A";
      expect(told.outcome).toMatchObject({ kind: "refused", reason: "permissionDenied", text });
      expect(told.steps).toEqual(dryRun ? [`a mailbox ${INBOX}`] : []);
    }
    expect(await livingUids(a, INBOX)).toEqual([2, 3, 4]);
    await deeds(a, { kind: "delete", name: `${INBOX}.a` });
    const boxes = await run({ allowDelete: 20 });
    expect(boxes.outcome).toMatchObject({ kind: "refused" });
    await settle();
  });

  test("plans in a dry run what the run then does, and writes nothing", async () => {
    await alike();
    await deeds(a, { kind: "deliver", name: INBOX, number: 71 });
    await deeds(b, { kind: "deliver", name: INBOX, number: 72 });
    await deeds(b, { kind: "rename", name: `${INBOX}.a`, to: `${INBOX}.z` });
    await deeds(b, { kind: "create", name: `${INBOX}.y` });
    const before = [granted(await a.user("fred")), granted(await b.user("fred"))];
    const planned = await run({ dryRun: true });
    expect([granted(await a.user("fred")), granted(await b.user("fred"))]).toEqual(before);
    const done = await run();
    expect([...done.steps].sort()).toEqual([...planned.steps].sort());
    expect([...done.decisions].sort()).toEqual([...planned.decisions].sort());
  });

  test("keeps the names that `bobbin store rename` gave at B", async () => {
    const { root, store } = newStore();
    await b.close();
    b = openStorePlace(root);
    await alike();
    for (const place of [a, b]) await put(place, `${INBOX}.p`, [], { change: { type: "ei" } });
    const requests = ["a", "p"].map((name) => {
      return { from: `${INBOX}.${name}`, to: `${INBOX}.new-${name}`, tree: true };
    });
    const rules = { isOwn: () => true, now: NOW, isLocal: true };
    renameMailboxesIn(store.make(FRED), { requests, ...rules });
    store.close();
    await settle();
    const names = (await namesAt(a)).map((name) => name.split(" ")[0]);
    expect(names).toEqual([INBOX, `${INBOX}.new-a`, `${INBOX}.new-p`]);
    expect(await namesAt(b)).toEqual(await namesAt(a));
    await b.close();
    verifyStore(root);
  });

  test("begins a mailbox again that is written to between reading and writing", async () => {
    await alike();
    await deeds(b, { kind: "deliver", name: INBOX, number: 81 });
    let isFirst = true;
    const meddling = standIn(a, {
      openSession: async () => {
        const session = await a.openSession();
        return standIn(session, {
          apply: async (...args) => {
            if (isFirst) await deeds(a, { kind: "deliver", name: INBOX, number: 82 });
            isFirst = false;
            return session.apply(...args);
          },
        });
      },
    });
    const told = await reconcile(FRED, { a: meddling, b });
    expect([granted(told.outcome).failures, told.failures]).toEqual([0, []]);
    expect(await livingUids(a, INBOX)).toEqual([1, 2, 3, 5, 6]);
    await settle();
  });

  test("keeps mail that comes to an empty mailbox while it is about to give way", async () => {
    await put(a, INBOX, [record(1)], { change: { uniqueid: "one" } });
    await put(b, INBOX, [], { change: { uniqueid: "two" } });
    let isFirst = true;
    const busy = standIn(b, {
      mailboxes: async (names) => {
        if (isFirst) await deeds(b, { kind: "deliver", name: INBOX, number: 85 });
        isFirst = false;
        return b.mailboxes(names);
      },
    });
    const told = await reconcile(FRED, { a, b: busy });
    expect([told.failures, told.leftovers]).toEqual([[], [`mailbox ${INBOX}`]]);
    expect(await livingUids(a, INBOX)).toHaveLength(2);
  });

  test("brings both sides' shared mailboxes together", async () => {
    await put(a, "lists.one", [record(1)]);
    await put(b, "lists.two", [record(1)]);
    const lists = { kind: "shared", toplevel: "lists" } as const;
    const told = await reconcile(lists, { a, b });
    expect(told.steps).toEqual(["b mailbox lists.one", "a mailbox lists.two"]);
    expect((await reconcile(lists, { a, b })).steps).toEqual([]);
    expect(await differencesOf(lists, { a, b })).toEqual([]);
  });

  test("refuses places that do not keep what the rules need", async () => {
    await put(a, INBOX, [record(1)]);
    const poor = standIn(b, { holds: { ...b.holds, tombstones: false } });
    const { outcome } = await reconcile(FRED, { a, b: poor });
    expect(outcome).toMatchObject({ kind: "refused", reason: "permissionDenied" });
    expect(granted(await b.user("fred")).mailboxes).toEqual([]);
  });

  test("leaves a mailbox alone that one side cannot read, and brings the others", async () => {
    await alike();
    await deeds(a, { kind: "deliver", name: INBOX, number: 91 });
    await deeds(b, { kind: "create", name: `${INBOX}.b` });
    const blind = standIn(b, {
      readMailbox: async (name) =>
        name === INBOX ? refused("damaged", "rotten") : b.readMailbox(name),
    });
    const told = await reconcile(FRED, { a, b: blind });
    expect(told.failures).toEqual([`${INBOX}: rotten`]);
    expect((await namesAt(a)).some((name) => name.startsWith(`${INBOX}.b `))).toBe(true);
    expect(await livingUids(b, INBOX)).toEqual([1, 2, 3]);
  });

  test("settles seeded histories of two stores with broken runs", async () => {
    await put(a, INBOX, [record(1), record(2)]);
    const rounds = isLong ? 200 : 8;
    const breaks = true;
    const result = await playRounds(FRED, { a, b }, { seed: 20260101, rounds, deeds: 8, breaks });
    expect(result.rounds).toBe(rounds);
    expect(result.checked).toBeGreaterThan(rounds);
    for (const place of [a, b]) {
      await place.close();
      verifyStore(place.locator.slice("store:".length));
    }
    a = newStorePlace();
    b = newStorePlace();
  }, 600_000);
});
