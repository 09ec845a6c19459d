/** A run deletes what its plan has counted and the brake let pass, whatever changes meanwhile. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { recordsOf } from "../../../src/model/mailbox.ts";
import { ok } from "../../../src/model/outcome.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import type { MailboxReading, Place, WritablePlace } from "../../../src/places/place.ts";
import { Budget } from "../../../src/replicate/mailbox/budget.ts";
import { granted } from "../../support/places.ts";
import { livingUids, newStorePlace, put, reconcile, replicate } from "../../support/replication.ts";
import { standIn } from "../../support/stand_in.ts";
import { peerCrcs, record } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";
const TEN = Array.from({ length: 10 }, (_, at) => record(at + 1));
const ELEVEN = [...TEN, record(11, { modseq: 30n })];
const SIXTEEN = [...ELEVEN, ...[12, 13, 14, 15, 16].map((uid) => record(uid, { modseq: 40n }))];

/** `place`, where `change` makes something of each reading of the INBOX; the first is number 1. */
function changing(
  place: WritablePlace,
  change: (number: number, reading: MailboxReading) => Promise<MailboxReading>,
): { place: WritablePlace; readings: () => number } {
  let count = 0;
  const readMailbox: Place["readMailbox"] = async (name) => {
    const reading = await place.readMailbox(name);
    if (name !== INBOX || reading.kind === "refused") return reading;
    count += 1;
    return ok(await change(count, reading.value));
  };
  return { place: standIn(place, { readMailbox }), readings: () => count };
}

/** As if the source had lost all but these, without a word of them. */
function without(reading: MailboxReading, records: readonly MailRecord[]): MailboxReading {
  return {
    state: { ...reading.state, ...peerCrcs(records), highestmodseq: 50n },
    records: recordsOf(records),
  };
}

describe("the budget of deletions", () => {
  let source: WritablePlace;
  let target: WritablePlace;
  beforeEach(async () => {
    source = newStorePlace();
    target = newStorePlace();
    await put(source, INBOX, TEN);
    await put(target, INBOX, ELEVEN);
  });
  afterEach(async () => {
    await source.close();
    await target.close();
  });

  test("holds where B gets more that would go between the survey and the run", async () => {
    const { place } = changing(source, async (number, reading) => {
      if (number === 2) await put(target, INBOX, SIXTEEN);
      return reading;
    });
    const { outcome } = await replicate(FRED, { source: place, target }, { mode: "mirror" });
    expect(outcome).toMatchObject({ kind: "refused", reason: "permissionDenied" });
    expect(outcome).toMatchObject({ text: "6 of 16 messages of fred would be deleted" });
    expect(await livingUids(target, INBOX)).toHaveLength(16);
  });

  test("holds where A loses messages between the survey and the run", async () => {
    const { place } = changing(source, async (number, reading) =>
      number === 1 ? reading : without(reading, TEN.slice(0, 5)),
    );
    const { outcome } = await replicate(FRED, { source: place, target }, { mode: "mirror" });
    expect(outcome).toMatchObject({ text: "6 of 11 messages of fred would be deleted" });
    expect(await livingUids(target, INBOX)).toHaveLength(11);
  });

  test("makes no deletion that no plan has counted, and ends with the counts", async () => {
    const { place } = changing(source, async (number, reading) =>
      number % 2 === 1 ? reading : without(reading, TEN.slice(0, 5)),
    );
    const { outcome, failures } = await replicate(
      FRED,
      { source: place, target },
      { mode: "mirror" },
    );
    const text = "6 messages of user/fred would be deleted, and the plan counted 1";
    expect(outcome).toMatchObject({ kind: "refused", reason: "permissionDenied", text });
    expect(failures).toEqual([`${INBOX}: ${text}`]);
    expect(await livingUids(target, INBOX)).toHaveLength(11);
  });

  test("plans anew what changed a little, and deletes it when that is allowed", async () => {
    const more = [...ELEVEN, record(12, { modseq: 40n })];
    const { place } = changing(source, async (number, reading) => {
      if (number === 2) await put(target, INBOX, more);
      return reading;
    });
    const told = await replicate(FRED, { source: place, target }, { mode: "mirror" });
    expect(granted(told.outcome)).toMatchObject({ failures: 0 });
    expect(await livingUids(target, INBOX)).toHaveLength(10);
  });

  test("is not asked where everything may go: then nothing is surveyed", async () => {
    const { place, readings } = changing(source, async (_, reading) => reading);
    const options = { mode: "mirror", allowDelete: 100 } as const;
    granted((await replicate(FRED, { source: place, target }, options)).outcome);
    expect(readings()).toBe(1);
    expect(await livingUids(target, INBOX)).toHaveLength(10);
  });

  test("counts of B no more than decides it", async () => {
    const names = Array.from({ length: 30 }, (_, at) => `${INBOX}.box${at}`);
    for (const name of names) {
      await put(source, name, TEN);
      await put(target, name, TEN);
    }
    const read: string[] = [];
    const readMailbox: Place["readMailbox"] = (name) => {
      read.push(name);
      return target.readMailbox(name);
    };
    const watched = standIn(target, { readMailbox });
    granted((await replicate(FRED, { source, target: watched }, { mode: "mirror" })).outcome);
    // The survey, the count, the run and its proof: all of the INBOX alone.
    expect(new Set(read)).toEqual(new Set([INBOX]));
    expect(await livingUids(target, INBOX)).toHaveLength(10);
  });

  test("holds at either side where both are written", async () => {
    await put(source, INBOX, [...TEN.slice(0, 9), { ...record(10), modseq: 21n, expunged: true }]);
    const gone = ELEVEN.map((one) =>
      one.uid <= 5 ? { ...one, modseq: 60n, expunged: true } : one,
    );
    const { place } = changing(source, async (number, reading) => {
      if (number === 2) await put(target, INBOX, gone);
      return reading;
    });
    const { outcome } = await reconcile(FRED, { a: place, b: target }, { allowDelete: 20 });
    expect(outcome).toMatchObject({ kind: "refused", reason: "permissionDenied" });
    expect(outcome).toMatchObject({ text: "5 of 9 messages of fred would be deleted at A" });
    expect(await livingUids(source, INBOX)).toHaveLength(9);
  });
});

describe("Budget", () => {
  const mailbox = { name: INBOX, uniqueid: "u1" };

  test("allows what was counted, once", () => {
    const budget = new Budget(20);
    budget.begin(new Map([["u1", 3]]));
    expect(budget.allow(mailbox, 3).kind).toBe("ok");
    budget.spend(mailbox, 2);
    expect(budget.allow(mailbox, 1).kind).toBe("ok");
    expect(budget.allow(mailbox, 2).kind).toBe("refused");
    expect(budget.allow({ ...mailbox, uniqueid: "u2" }, 1).kind).toBe("refused");
    expect(budget.refusal?.text).toContain("2 messages of user/fred would be deleted");
  });

  test("keeps what was spent over the passes of a run", () => {
    const budget = new Budget(20);
    budget.begin(new Map([["u1", 3]]));
    budget.spend(mailbox, 2);
    budget.spendMailbox(mailbox);
    budget.begin(new Map());
    expect(budget.spent).toEqual({ mailboxes: 1, messages: 3 });
    expect(budget.refusal).toBeUndefined();
  });
});
