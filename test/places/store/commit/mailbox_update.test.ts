import { describe, expect, test } from "bun:test";
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../../src/core/errors.ts";
import { refusalOf } from "../../../../src/model/refusal.ts";
import { ANNOT_VARIANTS } from "../../../../src/model/sync_crc.ts";
import { newStore } from "../../../support/new_store.ts";
import { apply, fill, message, peerCrcs, record, stateOf } from "../../../support/store_fixture.ts";
import { verifyStore } from "../../../support/store_verify.ts";

const INBOX = "user.fred";

function reasonOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    return refusalOf(error)?.reason ?? String(error);
  }
  return "ok";
}

describe("applyMailbox()", () => {
  test("makes a mailbox with its messages, one inode for folder and pool", () => {
    const { root, store } = newStore();
    const records = fill(store, INBOX, 3);
    const contents = verifyStore(root);
    expect(Object.keys(contents)).toEqual([INBOX]);
    expect(contents[INBOX]?.split("\n").length).toBe(3);
    const folder = join(root, "user/f/fred", stateOf(INBOX, []).uniqueid);
    expect(readdirSync(folder).sort()).toEqual([
      "1.",
      "2.",
      "3.",
      "cyrus.cache",
      "cyrus.header",
      "cyrus.index",
    ]);
    expect(lstatSync(join(folder, "1.")).nlink).toBe(2);
    expect(records[0]?.guid).toBe(
      readdirSync(join(root, "user/f/fred/.pool", records[0]?.guid.slice(0, 2) ?? ""))[0] ?? "",
    );
  });

  test("changes flags, expunges and appends in one request, sums kept", () => {
    const { root, store } = newStore();
    const [one, two, three] = fill(store, INBOX, 3);
    if (one === undefined || two === undefined || three === undefined)
      throw new Error("three records");
    const next = [
      { ...one, flags: ["\\Seen", "$Label1", "work"], modseq: 20n },
      { ...two, expunged: true, flags: ["\\Deleted"], modseq: 21n },
      record(4, {
        modseq: 22n,
        cid: 0x0123456789abcdefn,
        annotations: [
          { entry: "/comment", userid: "fred", modseq: 3n, value: Buffer.from("hello") },
        ],
      }),
    ];
    const whole = [next[0] ?? one, three, next[2] ?? one];
    apply(store, { state: stateOf(INBOX, [...whole], { lastUid: 4 }), records: next }, [
      message(4),
    ]);
    expect(verifyStore(root)[INBOX]?.split("\n").length).toBe(3);
  });

  test("refuses what Cyrus refuses, and then nothing has changed", () => {
    const { root, store } = newStore();
    const records = fill(store, INBOX, 2);
    const before = verifyStore(root);
    const state = stateOf(INBOX, records);
    const twice = { ...record(3), modseq: 9n };
    const table: [string, () => void][] = [
      ["checksum", () => apply(store, { state: { ...state, highestmodseq: 1n }, records: [] })],
      ["checksum", () => apply(store, { state: { ...state, uidvalidity: 1 }, records: [] })],
      ["checksum", () => apply(store, { state: { ...state, syncCrc: 5 }, records: [] })],
      ["checksum", () => apply(store, { state: { ...state, syncCrcAnnot: 5 }, records: [] })],
      [
        "checksum",
        () => apply(store, { state: stateOf(INBOX, [...records, twice]), records: [twice] }),
      ],
      [
        "checksum",
        () => apply(store, { state, records: [record(1, { guid: record(2).guid, modseq: 3n })] }),
      ],
      ["checksum", () => apply(store, { state, records: [record(1, { modseq: 1n })] })],
      ["moved", () => apply(store, { state: { ...state, uniqueid: "other" }, records: [] })],
      ["moved", () => apply(store, { state: { ...state, name: "user.fred.Other" }, records: [] })],
      ["moved", () => apply(store, { state: { ...state, name: "user.anne" }, records: [] })],
      ["changed", () => apply(store, { state, records: [], since: { modseq: 77n } })],
      [
        "changed",
        () =>
          apply(store, { state: stateOf("user.fred.New", []), records: [], since: { modseq: 7n } }),
      ],
      [
        "badParameters",
        () =>
          apply(store, { state: { ...state, lastUid: 9 }, records: [record(5), record(4)] }, [
            message(4),
            message(5),
          ]),
      ],
    ];
    for (const [reason, work] of table) expect([reason, reasonOf(work)]).toEqual([reason, reason]);
    expect(verifyStore(root)).toEqual(before);
  });

  test("takes the same request twice", () => {
    const { root, store } = newStore();
    const records = fill(store, INBOX, 3);
    const before = verifyStore(root);
    apply(
      store,
      { state: stateOf(INBOX, records), records },
      [1, 2, 3].map((number) => message(number)),
    );
    expect(verifyStore(root)).toEqual(before);
  });

  test("finds out which annotation checksum the peer computes", () => {
    const { store } = newStore();
    const records = [record(1, { cid: 0x0fn })];
    for (const variant of ANNOT_VARIANTS) {
      const state = { ...stateOf(INBOX, records), ...peerCrcs(records, variant) };
      apply(store, { state, records }, [message(1)]);
    }
  });

  test("refuses a uniqueid that would be another path", () => {
    const { store } = newStore();
    for (const uniqueid of ["..", "../x", ".pool", "a/b", ""]) {
      expect(() =>
        apply(store, { state: { ...stateOf(INBOX, []), uniqueid }, records: [] }),
      ).toThrow(AppError);
    }
  });

  test("keeps fields that version 17 lacks as annotations", () => {
    for (const indexVersion of [17, 20] as const) {
      const { root, store } = newStore({}, { indexVersion });
      const records = [record(1, { basecid: 5n, internaldateNsec: 123456789, cid: 7n })];
      const variant = ANNOT_VARIANTS[indexVersion === 17 ? 0 : 1];
      apply(
        store,
        { state: { ...stateOf(INBOX, records), ...peerCrcs(records, variant) }, records },
        [message(1)],
      );
      verifyStore(root);
      const folder = join(root, "user/f/fred", stateOf(INBOX, []).uniqueid);
      expect(readdirSync(folder).includes("cyrus.annotations")).toBe(indexVersion === 17);
    }
  });

  test("holds users of every name apart", () => {
    const { root, store } = newStore();
    const names = ["a^b", "x:y?z", "star*", "J\xc3\xb6rg", "^^", "a".repeat(255)].map(
      (user) => `user.${user}`,
    );
    for (const name of names) fill(store, name, 1);
    store.close();
    const contents = verifyStore(root);
    expect(Object.keys(contents).sort()).toEqual([...names].sort());
  });
});
