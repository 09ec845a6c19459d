/**
 * A real Cyrus and a store that are both written to: seeded histories, as A and as B, with Cyrus'
 * own tools as judges.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isIntermediate, type MailboxState } from "../../src/model/mailbox.ts";
import { externalName } from "../../src/model/names.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import { imapClient } from "../support/imap.ts";
import { type Lab, labLog, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { granted } from "../support/places.ts";
import {
  applyTo,
  NOTHING_DONE,
  newStorePlace,
  put,
  reconcile,
  replicate,
} from "../support/replication.ts";
import { record } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";
import { differencesOf, playRounds, type RoundsResult } from "../support/two_sided_rounds.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const SEED = 20260102;

function isReal(state: MailboxState): boolean {
  return !isIntermediate(state);
}

describe.skipIf(!has("a Cyrus server"))("reconcileOwner() between a real Cyrus and a store", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp();
  }, 60_000);
  afterAll(() => lab.down());

  const cyrusOf = ({ syncPort: port }: Lab): Promise<WritablePlace> =>
    openSyncPlace({
      address: { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1", port },
      password: () => Promise.resolve("labpass"),
    });

  async function play(userid: string, cyrusIs: "a" | "b", rounds: number): Promise<RoundsResult> {
    await lab.run("user", userid, "--plain");
    const cyrus = await cyrusOf(lab);
    const store = newStorePlace();
    const owner = { kind: "user", userid } as const;
    const places = cyrusIs === "a" ? { a: cyrus, b: store } : { a: store, b: cyrus };
    const client = await imapClient(lab.imapPort, userid);
    const imap = { [cyrusIs]: client };
    const breaks = cyrusIs === "b";
    const how = { seed: SEED, rounds, deeds: 10, imap, breaks };
    const result = await playRounds(owner, places, how);
    client.close();
    expect(await differencesOf(owner, places, { deep: true })).toEqual([]);
    // Names the mailboxes, and after a name whatever is wrong with it.
    const checked = (await lab.run("show", "check", userid)).trim().split("\n");
    const mailboxes = granted(await cyrus.user(userid)).mailboxes.filter(isReal);
    expect(checked.sort()).toEqual(mailboxes.map(({ name }) => externalName(name)).sort());
    await cyrus.close();
    await store.close();
    verifyStore(store.locator.slice("store:".length));
    return result;
  }

  test("settles seeded histories of both, with Cyrus as A and as B", async () => {
    const [asA, asB] = isLong ? [150, 50] : [15, 5];
    const told = [await play("ann", "a", asA), await play("bob", "b", asB)];
    if (isLong) console.log(`two-way histories, seed ${SEED}: ${JSON.stringify(told)}`);
    for (const { checked } of told) expect(checked).toBeGreaterThan(10);
    expect(told.some(({ decisions }) => decisions > 0)).toBe(true);
    const bad = labLog(lab)
      .split("\n")
      .filter((line) => /IOERROR|assert|fatal/i.test(line));
    expect(bad).toEqual([]);
  }, 1_800_000);

  test("a run has an end where Cyrus keeps places in the tree that nobody sent", async () => {
    const owner = { kind: "user", userid: "bea" } as const;
    const [store, further] = [newStorePlace(), newStorePlace()];
    const cyrus = await cyrusOf(lab);
    const fromStore = { source: store, target: cyrus };
    await put(store, "user.bea", [record(1)]);
    await put(store, "user.bea.p.q.r", [record(1)]);
    // Nothing lives in it: Cyrus gives it an option of its own accord.
    await put(store, "user.bea.nothing", [], { change: { options: "" } });
    // Cyrus makes mailboxes of p and p.q, and keeps a placeholder where such a one is deleted.
    expect((await replicate(owner, fromStore)).failures).toEqual([]);
    await applyTo(cyrus, { kind: "unmailbox", name: "user.bea.p.q" });
    const places = granted(await cyrus.user(owner.userid)).mailboxes.filter(isIntermediate);
    expect(places.map(({ name }) => name)).toEqual(["user.bea.p.q"]);
    for (const mode of ["merge", "mirror"] as const) {
      expect(await replicate(owner, fromStore, { mode })).toMatchObject(NOTHING_DONE);
    }
    // The brake counts what lives in all of them.
    await put(cyrus, "user.bea.s", [record(1)]);
    const braked = await replicate(owner, fromStore, { mode: "mirror", allowDelete: 30 });
    expect(braked.outcome).toMatchObject({ text: "1 of 3 messages of bea would be deleted" });
    const fromCyrus = { source: cyrus, target: further };
    expect((await replicate(owner, fromCyrus)).failures).toEqual([]);
    expect(await replicate(owner, fromCyrus)).toMatchObject(NOTHING_DONE);
    expect((await reconcile(owner, { a: store, b: cyrus })).failures).toEqual([]);
    const again = await reconcile(owner, { a: store, b: cyrus });
    expect(again).toMatchObject(NOTHING_DONE);
    for (const place of [cyrus, store, further]) await place.close();
  }, 60_000);
});
