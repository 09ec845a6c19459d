/** Two stores compared: nothing where they are alike, and each kind of difference by its name. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { AppError } from "../../src/core/errors.ts";
import { recordsOf } from "../../src/model/mailbox.ts";
import type { MailRecord } from "../../src/model/record.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { compareRecords, isLiving, uidOf } from "../../src/replicate/plan/compare_records.ts";
import { granted } from "../support/places.ts";
import { applyTo, newStorePlace, put } from "../support/replication.ts";
import { standIn } from "../support/stand_in.ts";
import { record } from "../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";

describe("diffOwner()", () => {
  let source: WritablePlace;
  let target: WritablePlace;
  beforeEach(() => {
    source = newStorePlace();
    target = newStorePlace();
  });
  afterEach(async () => {
    await source.close();
    await target.close();
  });

  async function diff(deep = false): Promise<string[]> {
    const found: string[] = [];
    const outcome = await diffOwner(
      FRED,
      { source, target },
      {
        deep,
        difference: ({ kind, name, uid, text }) =>
          found.push(`${kind} ${name} ${uid ?? "-"} ${text}`),
        failed: (name, { text }) => found.push(`failed ${name}: ${text}`),
      },
    );
    granted(outcome);
    return found;
  }

  test("finds nothing between two that are alike, deep or not", async () => {
    for (const place of [source, target]) await put(place, INBOX, [record(1), record(2)]);
    expect(await diff()).toEqual([]);
    expect(await diff(true)).toEqual([]);
  });

  test("names mailboxes, state, records and settings that differ", async () => {
    for (const [at, place] of [source, target].entries()) {
      const flags = at === 0 ? [] : ["\\Seen"];
      await put(place, INBOX, [record(1, { flags }), record(2 + at)], {
        change: { options: at === 0 ? "P" : "PS" },
      });
    }
    await put(source, `${INBOX}.a`, [record(1)]);
    await put(target, `${INBOX}.b`, [record(1)]);
    await applyTo(target, { kind: "sub", userid: "fred", name: "user.fred.b" });
    expect((await diff()).sort()).toEqual([
      "mailbox user.fred.a - only at A",
      "mailbox user.fred.b - only at B",
      "record user.fred 1 flags",
      "record user.fred 2 only at A",
      "record user.fred 3 only at B",
      "setting user.fred.b - is subscribed at B only",
      "state user.fred - lastUid, highestmodseq, options",
    ]);
  });

  test("tells of a mailbox that cannot be compared, and compares the others", async () => {
    for (const name of [INBOX, `${INBOX}.a`]) {
      await put(source, name, [record(1, { flags: ["\\Seen"] })]);
      await put(target, name, [record(1)]);
    }
    const whole = source;
    source = standIn(whole, {
      readMailbox: (name) => {
        if (name === INBOX) throw new AppError("protocol", "two records of uid 1");
        return whole.readMailbox(name);
      },
    });
    expect(await diff()).toEqual([
      "failed user.fred: user.fred: two records of uid 1",
      "record user.fred.a 1 flags",
    ]);
  });

  test("finds a rotten message in deep mode only", async () => {
    for (const place of [source, target]) await put(place, INBOX, [record(1), record(2)]);
    const root = target.locator.slice("store:".length);
    const rotten = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(`/${record(2).guid}`),
    );
    expect(rotten).toHaveLength(1);
    writeFileSync(join(root, rotten[0] ?? ""), "rotten");
    expect(await diff()).toEqual([]);
    expect(await diff(true)).toEqual([expect.stringMatching(/^message user\.fred 2 at B: /)]);
  });

  test("refuses a user who is at neither", async () => {
    const options = { deep: false, difference: () => undefined, failed: () => undefined };
    expect(await diffOwner(FRED, { source, target }, options)).toMatchObject({
      reason: "nonexistent",
    });
  });
});

describe("compareRecords()", () => {
  test("finds the UIDs that a comparison by tables finds, in whatever batches", async () => {
    const some = fc.uniqueArray(
      fc.record({
        uid: fc.integer({ min: 1, max: 30 }),
        modseq: fc.integer({ min: 1, max: 2 }),
        expunged: fc.boolean(),
      }),
      { selector: ({ uid }) => uid },
    );
    const holds = holdsOfStore();
    await fc.assert(
      fc.asyncProperty(some, some, fc.integer({ min: 1, max: 7 }), async (left, right, size) => {
        const [ours, theirs] = [left, right].map((list) =>
          list
            .sort((a, b) => a.uid - b.uid)
            .map(({ uid, modseq, expunged }) => record(uid, { modseq: BigInt(modseq), expunged })),
        ) as [MailRecord[], MailRecord[]];
        const found: number[] = [];
        for await (const one of compareRecords(inBatches(ours, size), recordsOf(theirs), holds)) {
          if (isLiving(one)) found.push(uidOf(one));
        }
        const at = new Map(theirs.map((one) => [one.uid, one]));
        const uids = new Set([...ours, ...theirs].map(({ uid }) => uid));
        const expected = [...uids].filter((uid) => {
          const [a, b] = [ours.find((one) => one.uid === uid), at.get(uid)];
          const [isA, isB] = [a?.expunged === false, b?.expunged === false];
          return isA !== isB || (isA && a?.modseq !== b?.modseq);
        });
        expect(found).toEqual(expected.sort((a, b) => a - b));
      }),
      { seed: 20260101, numRuns: process.env["BOBBIN_TEST_SIZE"] === "long" ? 5000 : 100 },
    );
  });

  test("refuses UIDs that do not ascend", async () => {
    const wrong = recordsOf([record(2), record(1)]);
    const walk = async (): Promise<void> => {
      for await (const _ of compareRecords(wrong, recordsOf([]), holdsOfStore()));
    };
    await expect(walk()).rejects.toThrow("UID 1 after 2");
  });
});

function holdsOfStore(): WritablePlace["holds"] {
  return newStorePlace().holds;
}

function inBatches(records: readonly MailRecord[], size: number) {
  return {
    batches: function* () {
      for (let at = 0; at < records.length; at += size) yield records.slice(at, at + size);
    },
  };
}
