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
import { bytesOf, granted, recordsIn } from "../support/places.ts";
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

function cyrusAt({ syncPort: port }: Lab): Promise<WritablePlace> {
  return openSyncPlace({
    address: { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1", port },
    password: () => Promise.resolve("labpass"),
  });
}

function isReal(state: MailboxState): boolean {
  return !isIntermediate(state);
}

describe.skipIf(!has("a Cyrus server"))("reconcileOwner() between a real Cyrus and a store", () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp();
  }, 60_000);
  afterAll(() => lab.down());

  async function play(userid: string, cyrusIs: "a" | "b", rounds: number): Promise<RoundsResult> {
    await lab.run("user", userid, "--plain");
    const cyrus = await cyrusAt(lab);
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
    const cyrus = await cyrusAt(lab);
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

describe.skipIf(!has("a Cyrus server"))("reconcileOwner() between two real Cyrus", () => {
  const labs: Lab[] = [];
  beforeAll(async () => {
    labs.push(await labUp(), await labUp());
  }, 120_000);
  afterAll(async () => {
    for (const lab of labs) await lab.down();
  });

  test("brings all that either has to the other, and a second run has nothing to do", async () => {
    const owner = { kind: "user", userid: "ann" } as const;
    const [one, two] = labs as [Lab, Lab];
    const subjects: string[] = [];
    for (const [at, lab] of [one, two].entries()) {
      await lab.run("user", "ann", "--plain");
      const client = await imapClient(lab.imapPort, "ann");
      // «both» is made on each, at the same modseq.
      for (const name of ["both", at === 0 ? "only-a" : "only-b"]) {
        await client.command(`CREATE ${name}`);
        const subject = `${name} of ${at}`;
        subjects.push(subject);
        const text = `From: <a@example.com>\r\nSubject: ${subject}\r\n\r\nbody\r\n`;
        await client.command(`APPEND ${name} {{${text}}}`);
      }
      client.close();
    }
    const [a, b] = [await cyrusAt(one), await cyrusAt(two)];
    for (const [place, text] of [
      [a, "keep;"],
      [b, "stop;"],
    ] as const) {
      const script = { userid: "ann", filename: `${text.slice(0, 4)}.script`, lastUpdate: 9 };
      await applyTo(place, { kind: "sieve", ...script, content: Buffer.from(text) });
    }
    const told = await reconcile(owner, { a, b });
    expect(told.failures).toEqual([]);
    const again = await reconcile(owner, { a, b });
    expect(again).toMatchObject({ steps: [], failures: [] });
    expect(await differencesOf(owner, { a, b }, { deep: true })).toEqual([]);
    for (const [place, lab] of [
      [a, one],
      [b, two],
    ] as const) {
      const found: string[] = [];
      const { mailboxes } = granted(await place.user("ann"));
      const origins = mailboxes.map(({ createdmodseq }) => createdmodseq);
      for (const { name, uniqueid, partition } of mailboxes.filter(isReal)) {
        const { records } = granted(await place.readMailbox(name));
        for (const { uid, guid, expunged } of await recordsIn(records)) {
          if (expunged) continue;
          const text = await bytesOf(place, { mailbox: name, uniqueid, partition, uid, guid });
          found.push(/^Subject: (.*)\r$/m.exec(text.toString())?.[1] ?? "");
        }
      }
      expect(found.filter((one) => subjects.includes(one)).sort()).toEqual([...subjects].sort());
      expect(origins.every((one) => one !== undefined)).toBe(true);
      expect(labLog(lab)).not.toMatch(/IOERROR|assert|fatal/i);
      await place.close();
    }
  }, 120_000);
});
