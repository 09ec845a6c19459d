/**
 * The rules for conflicts, each alone, and what holds for any two sides: nothing lost, the same at
 * both, once.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type MailboxState, recordsOf } from "../../../src/model/mailbox.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import type { MailboxReading } from "../../../src/places/place.ts";
import { compareRecords } from "../../../src/replicate/plan/compare_records.ts";
import {
  type Agreement,
  agreeMailbox,
  hasUnheardOf,
  withChanges,
} from "../../../src/replicate/two_way/conflicts.ts";
import { recordsIn } from "../../support/places.ts";
import { asyncProperty } from "../../support/property.ts";
import { newStorePlace } from "../../support/replication.ts";
import { NOW, record, stateOf } from "../../support/store_fixture.ts";

const NAME = "user.fred";
const place = newStorePlace();
const OPTIONS = { holds: place.holds, now: NOW + 500 };

function reading(
  records: readonly MailRecord[],
  change: Partial<MailboxState> = {},
): MailboxReading {
  return { state: stateOf(NAME, records, change), records: recordsOf(records) };
}

/** A side after it was brought to the agreement. */
function after(side: "a" | "b", before: MailboxReading, agreement: Agreement): MailboxReading {
  const records = withChanges(before.records, agreement[side].records);
  const { syncCrcAnnot = 0, ...state } = agreement.state;
  return { state: { ...state, syncCrcAnnot }, records };
}

async function agree(
  a: readonly MailRecord[],
  b: readonly MailRecord[],
  change: { readonly a?: Partial<MailboxState>; readonly b?: Partial<MailboxState> } = {},
) {
  const [ours, theirs] = [reading(a, change.a), reading(b, change.b)];
  const agreement = await agreeMailbox(ours, theirs, OPTIONS);
  const [atA, atB] = [after("a", ours, agreement), after("b", theirs, agreement)];
  return {
    agreement,
    a: await recordsIn(atA.records),
    b: await recordsIn(atB.records),
    living: (await recordsIn(atA.records)).filter(({ expunged }) => !expunged),
    decisions: agreement.decisions.map(({ uid, text }) => `${uid ?? "-"} ${text}`),
  };
}

const COMMON = [record(1), record(2)];

describe("agreeMailbox()", () => {
  test("passes on what one side alone has done, and writes nothing there", async () => {
    const flagged = { ...record(1), modseq: 9n, flags: ["\\Seen"] };
    const gone = { ...record(2), modseq: 10n, expunged: true };
    const { agreement, b, decisions } = await agree(
      [flagged, gone, record(3, { modseq: 11n })],
      COMMON,
    );
    expect([agreement.a.records.size, decisions]).toEqual([0, []]);
    expect(b).toEqual([flagged, gone, record(3, { modseq: 11n })]);
    expect(agreement.b.expunged).toBe(1);
    expect(agreement.state).toMatchObject({ highestmodseq: 11n, lastUid: 3 });
  });

  test("gives two messages under one UID new ones, the lower GUID first", async () => {
    const [ours, theirs] = [record(3, {}, 33), record(3, {}, 44)];
    const { agreement, living, a, b, decisions } = await agree(
      [...COMMON, ours],
      [...COMMON, theirs],
    );
    const guids = [ours.guid, theirs.guid].sort();
    expect(living.map(({ uid, guid }) => [uid, guid])).toEqual([
      [1, record(1).guid],
      [2, record(2).guid],
      [4, guids[0] ?? ""],
      [5, guids[1] ?? ""],
    ]);
    const tombstone = { expunged: true, modseq: 5n, lastUpdated: OPTIONS.now };
    expect(a[2]).toEqual({ ...ours, ...tombstone });
    expect(b[2]).toEqual({ ...theirs, ...tombstone });
    expect(agreement.state).toMatchObject({ lastUid: 5, highestmodseq: 5n });
    expect(agreement.moved.get(4)?.uid).toBe(3);
    expect(decisions).toHaveLength(2);
    expect(agreement.a.expunged + agreement.b.expunged).toBe(0);
  });

  test("appends the living one anew where the other under its UID is expunged", async () => {
    const theirs = record(3, {}, 44);
    const gone = { ...record(3, {}, 33), expunged: true, modseq: 8n };
    const { living } = await agree([...COMMON, gone], [...COMMON, theirs]);
    expect(living.map(({ uid, guid }) => [uid, guid]).at(-1)).toEqual([4, theirs.guid]);
  });

  test("appends what one side alone has below the other's last UID", async () => {
    for (const change of [{}, { deletedmodseq: 100n }]) {
      const { living, b } = await agree([record(1), record(4)], COMMON, { a: change });
      expect(living.map(({ uid, guid }) => [uid, guid])).toEqual([
        [1, record(1).guid],
        [4, record(4).guid],
        [5, record(2).guid],
      ]);
      expect(b.find(({ uid }) => uid === 2)?.expunged).toBe(true);
    }
  });

  test("lets a tombstone win, and says so if the message was changed since", async () => {
    const gone = { ...record(2), modseq: 5n, expunged: true };
    const changed = { ...record(2), modseq: 7n, flags: ["\\Flagged"] };
    for (const isSwapped of [false, true]) {
      const [a, b] = isSwapped ? [changed, gone] : [gone, changed];
      const { agreement, living, decisions } = await agree([record(1), a], [record(1), b]);
      expect(living.map(({ uid }) => uid)).toEqual([1]);
      expect(decisions).toHaveLength(1);
      expect(agreement[isSwapped ? "a" : "b"].records.get(2)?.modseq).toBe(8n);
    }
  });

  test("keeps B's flags if its modseq is higher and its change no earlier, else A's", async () => {
    const cases = [
      { ours: 5n, theirs: 9n, later: 10, kept: "\\Answered" },
      { ours: 5n, theirs: 9n, later: -10, kept: "\\Flagged" },
      { ours: 9n, theirs: 5n, later: 10, kept: "\\Flagged", modseq: 9n },
      { ours: 5n, theirs: 5n, later: 10, kept: "\\Flagged" },
    ];
    for (const { ours, theirs, later, kept, modseq = 21n } of cases) {
      const a = record(1, { modseq: ours, flags: ["\\Flagged"] });
      const lastUpdated = a.lastUpdated + later;
      const b = record(1, { modseq: theirs, flags: ["\\Answered"], lastUpdated, internaldate: 77 });
      const { living } = await agree([a, record(2, { modseq: 20n })], [b, record(2)]);
      expect(living[0]).toMatchObject({ flags: [kept], internaldate: a.internaldate });
      expect(living[0]?.lastUpdated).toBe(Math.max(a.lastUpdated, lastUpdated));
      expect(living[0]?.modseq).toBe(modseq);
    }
  });

  test("tells whose flags are kept only if both sides were changed", async () => {
    const ours = { ...record(1), modseq: 7n, flags: ["\\Flagged"] };
    const theirs = { ...record(1), modseq: 9n, flags: ["\\Answered"], lastUpdated: NOW + 60 };
    const both = await agree([ours, record(2)], [theirs, record(2)]);
    expect(both.decisions).toEqual(["1 flags: B's are kept, modseq 9 against 7"]);
    expect((await agree(COMMON, [theirs, record(2)])).decisions).toEqual([]);
    const elsewhere = { ...record(2), modseq: 8n, flags: ["\\Seen"] };
    const apart = await agree([record(1), elsewhere, record(3)], [theirs, record(2), record(3)]);
    expect(apart.decisions).toEqual([]);
    const unsure = await agree([elsewhere], [{ ...elsewhere, modseq: 9n, flags: [] }]);
    expect(unsure.decisions).toEqual(["2 flags: B's are kept, modseq 9 against 8"]);
  });

  test("keeps A's settings and the higher numbers, and names what differed", async () => {
    const { agreement, decisions } = await agree(COMMON, COMMON, {
      a: { acl: "fred\tlr\t", options: "P", uidvalidity: 5, foldermodseq: 9n, lastUid: 8 },
      b: { acl: "fred\tlrs\t", options: "", uidvalidity: 6, foldermodseq: 7n, lastUid: 3 },
    });
    expect(agreement.state).toMatchObject({
      ...{ acl: "fred\tlr\t", options: "P", uidvalidity: 6, foldermodseq: 9n, lastUid: 8 },
    });
    expect(decisions).toHaveLength(3);
  });

  test("after a run that was killed between the sides appends nothing twice", async () => {
    const before = {
      a: reading([...COMMON, record(3, {}, 33)]),
      b: reading([...COMMON, record(3, {}, 44)]),
    };
    const first = await agreeMailbox(before.a, before.b, OPTIONS);
    const half = after("a", before.a, first);
    const second = await agreeMailbox(half, before.b, OPTIONS);
    const ended = after("b", before.b, second);
    const living = (await recordsIn(ended.records)).filter(({ expunged }) => !expunged);
    expect(living.map(({ uid }) => uid)).toEqual([1, 2, 4, 5]);
    expect(second.a.records.size).toBe(0);
  });
});

/** What one side made of the common history: up to six UIDs, some messages of its own. */
const side = fc.array(
  fc.record({
    uid: fc.integer({ min: 1, max: 7 }),
    /** Messages above 7 are one side's own. */
    number: fc.constantFrom(0, 0, 0, 8, 9),
    modseq: fc.integer({ min: 1, max: 12 }),
    later: fc.integer({ min: 0, max: 3 }),
    flags: fc.subarray(["\\Seen", "\\Flagged", "work"]),
    expunged: fc.boolean(),
    internaldate: fc.constantFrom(0, 1),
  }),
  { maxLength: 6 },
);

type Made = typeof side extends fc.Arbitrary<infer Value> ? Value : never;

function recordsFrom(made: Made): MailRecord[] {
  const byUid = new Map(made.map((one) => [one.uid, one]));
  return [...byUid.values()]
    .sort((one, two) => one.uid - two.uid)
    .map(({ uid, number, modseq, later, flags, expunged, internaldate }) => {
      const change = { modseq: BigInt(modseq), lastUpdated: NOW + later, flags, expunged };
      const date = { internaldate: NOW - 1000 + internaldate };
      return record(uid, { ...change, ...date }, number === 0 ? uid : number);
    });
}

/** Living messages of `records` that `other` does not record as expunged. */
function keptOf(records: readonly MailRecord[], other: readonly MailRecord[]): string[] {
  const isGone = ({ uid, guid }: MailRecord): boolean =>
    other.some((one) => one.uid === uid && one.guid === guid && one.expunged);
  return records.filter((one) => !one.expunged && !isGone(one)).map(({ guid }) => guid);
}

describe("agreeMailbox() of any two sides", () => {
  test("agreeMailbox() makes both the same, loses nothing, and is then done", async () => {
    await asyncProperty(side, side, async (one, two) => {
      const [ours, theirs] = [recordsFrom(one), recordsFrom(two)];
      const [a, b] = [reading(ours), reading(theirs)];
      const agreement = await agreeMailbox(a, b, OPTIONS);
      const [atA, atB] = [after("a", a, agreement), after("b", b, agreement)];
      for await (const found of compareRecords(atA.records, atB.records, OPTIONS.holds)) {
        const isTombstone =
          (found.kind === "onlySource" && found.source.expunged) ||
          (found.kind === "onlyTarget" && found.target.expunged);
        expect([found, isTombstone]).toEqual([found, true]);
      }
      const all = [await recordsIn(atA.records), await recordsIn(atB.records)];
      for (const [at, records] of all.entries()) {
        const living = records.filter(({ expunged }) => !expunged);
        expect(stateOf(NAME, living).syncCrc).toBe(agreement.state.syncCrc ?? -1);
        const guids = new Set(living.map(({ guid }) => guid));
        for (const guid of [...keptOf(ours, theirs), ...keptOf(theirs, ours)]) {
          expect([at, guid, guids.has(guid)]).toEqual([at, guid, true]);
        }
        for (const { uid, modseq } of records) {
          expect(uid).toBeLessThanOrEqual(agreement.state.lastUid);
          expect(modseq <= agreement.state.highestmodseq).toBe(true);
        }
      }
      const again = await agreeMailbox(atA, atB, OPTIONS);
      expect([again.decisions, again.state.highestmodseq]).toEqual([
        [],
        agreement.state.highestmodseq,
      ]);
      for (const change of [again.a, again.b]) {
        expect([...change.records.values()].filter(({ expunged }) => !expunged)).toEqual([]);
      }
    });
  });

  test("agreeMailbox() gives every change a modseq above all that clients know", async () => {
    await asyncProperty(side, side, async (one, two) => {
      const before = { a: recordsFrom(one), b: recordsFrom(two) };
      const [a, b] = [reading(before.a), reading(before.b)];
      const agreement = await agreeMailbox(a, b, OPTIONS);
      for (const [name, { state }] of [["a", a] as const, ["b", b] as const]) {
        for (const [uid, next] of agreement[name].records) {
          const old = before[name].find((record) => record.uid === uid);
          if (next.expunged && (old === undefined || old.expunged)) continue;
          const isSame =
            old !== undefined &&
            old.expunged === next.expunged &&
            old.internaldate === next.internaldate &&
            new Set(old.flags).symmetricDifference(new Set(next.flags)).size === 0;
          if (!isSame) expect(next.modseq > state.highestmodseq).toBe(true);
          if (old !== undefined) expect(next.modseq >= old.modseq).toBe(true);
        }
      }
    });
  });

  test("agreeMailbox() of swapped sides is the mirror image, without a master", async () => {
    await asyncProperty(side, side, async (one, two) => {
      const [ours, theirs] = [recordsFrom(one), recordsFrom(two)];
      // The later change is the one with the higher modseq, and dates do not differ.
      const fair = (records: readonly MailRecord[], odd: bigint): MailRecord[] =>
        records.map((record) => {
          const modseq = record.modseq * 2n + odd;
          const internaldate = NOW - 1000;
          return { ...record, modseq, lastUpdated: NOW + Number(modseq), internaldate };
        });
      const [a, b] = [reading(fair(ours, 0n)), reading(fair(theirs, 1n))];
      const there = await agreeMailbox(a, b, OPTIONS);
      const back = await agreeMailbox(b, a, OPTIONS);
      const sorted = (records: Agreement["a"]["records"]): MailRecord[] =>
        [...records.values()].sort((left, right) => left.uid - right.uid);
      expect(sorted(back.a.records)).toEqual(sorted(there.b.records));
      expect(sorted(back.b.records)).toEqual(sorted(there.a.records));
      expect([back.a.expunged, back.b.expunged]).toEqual([there.b.expunged, there.a.expunged]);
      const { highestmodseq, lastUid, syncCrc } = there.state;
      expect(back.state).toMatchObject({ highestmodseq, lastUid, syncCrc });
    });
  });
});

describe("hasUnheardOf()", () => {
  test("is true only for a living message that the other side has no record of", async () => {
    const holds = OPTIONS.holds;
    const gone = { ...record(2), expunged: true };
    const ask = (living: MailRecord[], deleted: MailRecord[]): Promise<boolean> =>
      hasUnheardOf(recordsOf(living), recordsOf(deleted), holds);
    expect(await ask(COMMON, [record(1), gone])).toBe(false);
    expect(await ask([record(1)], COMMON)).toBe(false);
    expect(await ask([record(1), gone], [record(1)])).toBe(false);
    expect(await ask(COMMON, [record(1)])).toBe(true);
    expect(await ask([record(1), record(2, {}, 9)], COMMON)).toBe(true);
  });
});
