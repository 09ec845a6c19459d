import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { equalBytes, viewOf } from "../../../../src/core/bytes.ts";
import { FormatError } from "../../../../src/core/errors.ts";
import {
  effectiveModseq,
  type IndexRecord,
  parseIndexRecord,
  printIndexRecord,
  recordCrcs,
} from "../../../../src/formats/cyrus/index/index_record.ts";
import { INDEX_TABLES, tableOf } from "../../../../src/formats/cyrus/index/index_table.ts";
import { IndexImage } from "../../../../src/mailbox/index_image.ts";
import { NULL_GUID } from "../../../../src/model/guid.ts";
import { goldenMailboxes, mailboxFile } from "../../../support/golden_mailboxes.ts";
import { anyRecord } from "../../../support/index_bytes.ts";
import { examinedMailboxes } from "../../../support/mbexamine.ts";
import { property } from "../../../support/property.ts";

const golden = goldenMailboxes();
const table17 = tableOf(17) ?? expect.unreachable();
const table20 = tableOf(20) ?? expect.unreachable();

const SAMPLE: IndexRecord = {
  uid: 7,
  internaldate: 1_700_000_000,
  internaldateNsec: 0,
  sentdate: 1_699_920_000,
  size: 1234,
  headerSize: 321,
  contentOffset: 0,
  gmtime: 1_699_999_999,
  cacheOffset: 4,
  lastUpdated: 1_700_000_100,
  systemFlags: 0x8000_0011,
  userFlags: [1, 0, 0, 0x8000_0000],
  contentLines: 0,
  savedate: 1_700_000_001,
  cacheVersion: 11,
  guid: "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc",
  modseq: 4n,
  cid: 0x1234_5678_9abc_defn,
  createdmodseq: 4n,
  basecid: 0n,
  cacheCrc: 5,
  recordCrc: 0,
};

describe("parseIndexRecord()", () => {
  test.each([
    "index-versions",
    "index-versions-master",
    "conversations-3.6",
    "uuid-paths-3.12",
    "uuid-paths-master",
  ])("says of the records of %s what mbexamine says", (name) => {
    let compared = 0;
    for (const expected of examinedMailboxes(name)) {
      const mailbox = golden.find((one) => one.archive === name && one.folder === expected.folder);
      const file = IndexImage.open(
        mailboxFile(mailbox ?? expect.unreachable(), "cyrus.index"),
        "cyrus.index",
      );
      const records = new Map([...file.records()].map((record) => [record.uid, record]));
      for (const { cacheItems: _, ...examined } of expected.records) {
        const shown = Object.entries(examined).filter(([, value]) => value !== undefined);
        const record = records.get(examined.uid) ?? expect.unreachable();
        // mbexamine shows only the lower half of the flags, and no modseq or cid that there is not.
        const systemFlags = record.systemFlags & 0xffff;
        expect({ ...record, systemFlags }).toMatchObject(Object.fromEntries(shown));
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(20);
  });

  test("puts the upper 16 bits of the cache offset beside the cache version", () => {
    const bytes = printIndexRecord({ ...SAMPLE, cacheOffset: 0xabcd_1234_5678 }, table17);
    const view = viewOf(bytes);
    expect(view.getUint32(24)).toBe(0x1234_5678);
    expect(view.getUint32(56)).toBe(0xabcd_000b);
    expect(parseIndexRecord(view, 0, table17)).toMatchObject({
      cacheOffset: 0xabcd_1234_5678,
      cacheVersion: 11,
    });
  });

  test("pads a UUID of 12 bytes with zeros, and shows none where there is none", () => {
    const table9 = tableOf(9) ?? expect.unreachable();
    const table6 = tableOf(6) ?? expect.unreachable();
    const view = viewOf(new Uint8Array(80).fill(0x1f));
    expect(parseIndexRecord(view, 0, table9).guid).toBe("1f".repeat(12) + "00".repeat(8));
    expect(parseIndexRecord(view, 0, table6).guid).toBe(NULL_GUID);
  });

  test("reads nanoseconds of version 20, whatever they are", () => {
    const view = viewOf(printIndexRecord(SAMPLE, table20));
    const times = [0n, 999_999_999n, 1_000_000_000n, 1_795_347_471_133_039_872n, 2n ** 64n - 1n];
    for (const nanoseconds of times) {
      view.setBigUint64(8, nanoseconds);
      view.setBigUint64(112, nanoseconds);
      const record = parseIndexRecord(view, 0, table20);
      const seconds = Number(nanoseconds / 1_000_000_000n);
      const rest = Number(nanoseconds % 1_000_000_000n);
      expect(record).toMatchObject({ internaldate: seconds, internaldateNsec: rest });
      expect(record.lastUpdated).toBe(seconds);
      expect(record.subseconds).toEqual(rest === 0 ? undefined : { lastUpdated: rest });
    }
  });

  test("refuses a size that no number holds, and a record cut short", () => {
    const bytes = printIndexRecord(SAMPLE, table20);
    viewOf(bytes).setBigUint64(24, 2n ** 53n - 1n);
    expect(parseIndexRecord(viewOf(bytes), 0, table20).size).toBe(2 ** 53 - 1);
    for (const size of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      viewOf(bytes).setBigUint64(24, size);
      expect(() => parseIndexRecord(viewOf(bytes), 0, table20)).toThrow(FormatError);
    }
    const short = viewOf(printIndexRecord(SAMPLE, table17).subarray(0, 111));
    expect(() => parseIndexRecord(short, 0, table17)).toThrow("112 bytes at byte 111");
    expect(() => parseIndexRecord(short, 2 ** 50, table17)).toThrow(FormatError);
  });

  test("throws nothing but FormatError on random bytes, and prints the rest back", () => {
    const bytes = fc.uint8Array({ minLength: 50, maxLength: 150 });
    property(fc.constantFrom(...INDEX_TABLES), bytes, (table, random) => {
      let record: IndexRecord;
      try {
        record = parseIndexRecord(viewOf(random), 0, table);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        return;
      }
      const end = table.record.recordCrc?.offset ?? table.recordSize;
      expect(printIndexRecord(record, table).slice(0, end)).toEqual(random.slice(0, end));
    });
  });
});

describe("printIndexRecord()", () => {
  test("gives every real record back byte for byte", () => {
    let records = 0;
    for (const mailbox of golden) {
      const bytes = mailboxFile(mailbox, "cyrus.index");
      const file = IndexImage.open(bytes, "cyrus.index");
      const copy = bytes.slice();
      copy.fill(0xee, file.table.headerSize, file.offsetOf(file.recordCount));
      for (const [index, record] of [...file.records()].entries()) {
        printIndexRecord(record, file.table, copy, file.offsetOf(index));
        records += 1;
      }
      expect(equalBytes(copy, bytes)).toBe(true);
    }
    expect(records).toBeGreaterThan(500);
  });

  test.each(INDEX_TABLES.map((table) => [table.version, table] as const))(
    "prints what parseIndexRecord() reads, version %d",
    (_version, table) => {
      property(anyRecord(table), fc.nat({ max: 9 }), (record, at) => {
        const bytes = printIndexRecord(record, table, new Uint8Array(table.recordSize + 9), at);
        const recordCrc = recordCrcs(bytes, at, table)?.computed ?? 0;
        expect(parseIndexRecord(viewOf(bytes), at, table)).toEqual({ ...record, recordCrc });
      });
    },
  );

  test("refuses values that do not fit", () => {
    const wrong: Partial<IndexRecord>[] = [
      { uid: -1 },
      { uid: 2 ** 32 },
      { size: 2 ** 32 },
      { cacheOffset: 2 ** 48 },
      { cacheOffset: -1 },
      { cacheVersion: 0x1_0000 },
      { guid: "abc" },
      { guid: SAMPLE.guid.toUpperCase() },
      { modseq: 2n ** 64n },
      { userFlags: [0, 0, 0, 2 ** 32] },
    ];
    for (const change of wrong) {
      expect(() => printIndexRecord({ ...SAMPLE, ...change }, table17)).toThrow();
    }
    const table9 = tableOf(9) ?? expect.unreachable();
    expect(() => printIndexRecord(SAMPLE, table9)).toThrow("no GUID of 12 bytes");
    expect(() => printIndexRecord(SAMPLE, table17, new Uint8Array(111))).toThrow("no room");
    expect(() => printIndexRecord(SAMPLE, table17, new Uint8Array(112), 1)).toThrow("no room");
  });
});

describe("recordCrcs()", () => {
  test("agrees with every real record of version 12 and later", () => {
    for (const mailbox of golden) {
      const bytes = mailboxFile(mailbox, "cyrus.index");
      const file = IndexImage.open(bytes, "cyrus.index");
      for (let index = 0; index < file.recordCount; index++) {
        const crcs = recordCrcs(bytes, file.offsetOf(index), file.table);
        if (file.table.version < 12) expect(crcs).toBeUndefined();
        else expect(crcs?.stored).toBe(crcs?.computed ?? Number.NaN);
      }
    }
  });
});

describe("effectiveModseq()", () => {
  const header = { minorVersion: 9, highestmodseq: 100n };

  test("takes the upper half where Cyrus 2.5 put a modseq there", () => {
    expect(effectiveModseq({ modseq: 5n << 32n }, header)).toBe(5n);
    expect(effectiveModseq({ modseq: 5n << 32n }, { ...header, minorVersion: 8 })).toBe(5n);
  });

  test("leaves every other modseq alone", () => {
    for (const modseq of [0n, 5n, (5n << 32n) + 1n, 101n << 32n]) {
      expect(effectiveModseq({ modseq }, header)).toBe(modseq);
    }
    const modseq = 5n << 32n;
    expect(effectiveModseq({ modseq }, { ...header, minorVersion: 10 })).toBe(modseq);
  });
});
