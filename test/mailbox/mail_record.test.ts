import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../src/core/bytes.ts";
import { OWNER_TOKEN } from "../../src/formats/cyrus/annotations_db.ts";
import { INTERNAL_FLAG } from "../../src/formats/cyrus/index/index_flags.ts";
import {
  keptRecord,
  mailRecord,
  newRecord,
  optionBits,
  optionLetters,
  updatedRecord,
} from "../../src/mailbox/mail_record.ts";
import type { Annotation } from "../../src/model/annotation.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { property } from "../support/property.ts";
import { record } from "../support/store_fixture.ts";

const FLAGS = ["$Forwarded", "work"];
const PREFIX = "/vendor/cmu/cyrus-imapd/";
const slotOf = (flag: string): number => FLAGS.indexOf(flag);

/** What comes back of a record that a mailbox of this version took in. */
function kept(sent: MailRecord, indexVersion: number): MailRecord {
  const { record: own, annotations } = keptRecord(sent, { indexVersion, owner: "fred" });
  const header = { minorVersion: indexVersion, highestmodseq: 1000n };
  const context = { header, userFlags: FLAGS, owner: "fred" };
  const index = newRecord(own, { headerSize: 9, size: sent.size }, slotOf);
  // What the version has no field for is not in its records.
  const stored = indexVersion >= 20 ? index : { ...index, internaldateNsec: 0, basecid: 0n };
  return mailRecord(stored, annotations, context);
}

const anyRecord = fc
  .record({
    cid: fc.bigInt(0n, 2n ** 64n - 1n),
    basecid: fc.bigInt(0n, 2n ** 64n - 1n),
    internaldateNsec: fc.nat(999_999_999),
    savedate: fc.nat(2 ** 31),
    createdmodseq: fc.bigInt(0n, 900n),
    expunged: fc.boolean(),
    flags: fc.subarray(["\\Deleted", "\\Answered", "\\Flagged", "\\Draft", "\\Seen", ...FLAGS]),
    annotations: fc.uniqueArray(
      fc.record({
        entry: fc.constantFrom("/comment", "/altsubject"),
        userid: fc.constantFrom("", "fred", "anne", null),
        modseq: fc.bigInt(0n, 99n),
        value: fc.uint8Array({ minLength: 1, maxLength: 9 }),
      }),
      { selector: ({ entry, userid }) => `${entry} ${userid ?? ""}` },
    ),
  })
  .map((change): MailRecord => record(7, change));

describe("mailRecord()", () => {
  for (const version of [17, 19, 20]) {
    test(`gives back what keptRecord() and newRecord() took, in version ${version}`, () => {
      property(anyRecord, (sent) => {
        expect(kept(sent, version)).toEqual(sent);
      });
    });
  }

  test("says that a message is unlinked only where it is", () => {
    const header = { minorVersion: 17, highestmodseq: 9n };
    const context = { header, userFlags: [], owner: "" };
    const index = newRecord(record(1, { expunged: true }), undefined, slotOf);
    expect(mailRecord(index, [], context)).toMatchObject({ expunged: true, unlinked: true });
    const systemFlags = INTERNAL_FLAG.expunged;
    expect(mailRecord({ ...index, systemFlags }, [], context)).not.toHaveProperty("unlinked");
  });

  test("leaves out annotations that an index of this version holds in its records", () => {
    const header = { minorVersion: 17, highestmodseq: 9n };
    const index = newRecord(record(1, { cid: 5n }), { headerSize: 1, size: 2 }, slotOf);
    const one = { uid: 1, userid: "", modseq: 8n, deleted: false };
    const stale = { ...one, entry: `${PREFIX}thrid`, value: utf8("00000000000000ff") };
    const real = { ...one, entry: "/comment", userid: OWNER_TOKEN, value: utf8("a note") };
    const found = mailRecord(index, [stale, real], { header, userFlags: [], owner: "fred" });
    expect(found.cid).toBe(5n);
    expect(found.annotations.map(({ entry, userid }) => ({ entry, userid }))).toEqual([
      { entry: "/comment", userid: "fred" },
    ]);
  });
});

describe("keptRecord()", () => {
  const basethrid: Annotation = {
    entry: `${PREFIX}basethrid`,
    userid: "",
    modseq: 44n,
    value: utf8("00000000000000ab"),
  };

  test("puts an annotation with a modseq into its field where the index has one", () => {
    const sent = record(3, { annotations: [basethrid] });
    const { record: own, annotations } = keptRecord(sent, { indexVersion: 20, owner: "fred" });
    expect(own).toMatchObject({ basecid: 0xabn, annotations: [] });
    expect(annotations).toEqual([]);
    expect(kept(sent, 20)).toMatchObject({ basecid: 0xabn, annotations: [] });
  });

  test("keeps it as it is, modseq included, where the index has none", () => {
    const sent = record(3, { annotations: [basethrid] });
    expect(kept(sent, 17)).toEqual(sent);
  });
});

describe("updatedRecord()", () => {
  test("keeps Cyrus' own notes and what only the message says", () => {
    const before = newRecord(record(5), { headerSize: 77, size: 123 }, slotOf);
    const noted = {
      ...before,
      cacheOffset: 4096,
      cacheVersion: 11,
      systemFlags: INTERNAL_FLAG.archived | INTERNAL_FLAG.snoozed,
    };
    const change = { modseq: 50n, flags: ["\\Seen", "work"] };
    expect(updatedRecord(noted, record(5, change), slotOf)).toMatchObject({
      ...{ headerSize: 77, size: 123, cacheOffset: 4096, cacheVersion: 11, modseq: 50n },
      systemFlags: INTERNAL_FLAG.archived | INTERNAL_FLAG.snoozed | 0x10,
      userFlags: [0b10, 0, 0, 0],
    });
  });
});

describe("optionBits()", () => {
  test("is the inverse of optionLetters(), and ignores letters that it does not know", () => {
    for (const letters of ["", "P", "PS", "PSDA", "DA"]) {
      expect(optionLetters(optionBits(letters))).toBe(letters);
    }
    expect(optionBits("xPy")).toBe(optionBits("P"));
  });
});
