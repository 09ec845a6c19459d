import { describe, expect, test } from "bun:test";
import { blankIndexHeader, printIndexHeader } from "../../src/formats/cyrus/index/index_header.ts";
import { INDEX_TABLES, tableOf } from "../../src/formats/cyrus/index/index_table.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { badRecordCrcs, recordSpan } from "../../src/mailbox/index_records.ts";
import { goldenMailboxes, mailboxFile } from "../support/golden_mailboxes.ts";
import { plantInRecord } from "../support/index_bytes.ts";

const golden = goldenMailboxes();

function sample(version: number): Uint8Array {
  const indexes = golden.map((mailbox) => mailboxFile(mailbox, "cyrus.index"));
  const found = indexes.find((bytes) => {
    const { table, recordCount } = IndexImage.open(bytes, "cyrus.index");
    return table.version === version && recordCount >= 5;
  });
  return found?.slice() ?? expect.unreachable();
}

describe("recordSpan()", () => {
  const header = { startOffset: 160, recordSize: 112, numRecords: 5 };

  test.each([
    [160 + 5 * 112, { recordCount: 5, missingRecords: 0, tailBytes: 0 }],
    [160 + 5 * 112 + 300, { recordCount: 5, missingRecords: 0, tailBytes: 300 }],
    [160 + 5 * 112 - 1, { recordCount: 4, missingRecords: 1, tailBytes: 0 }],
    [160, { recordCount: 0, missingRecords: 5, tailBytes: 0 }],
    [10, { recordCount: 0, missingRecords: 5, tailBytes: 0 }],
  ])("counts what a file of %d bytes holds of five records", (fileBytes, expected) => {
    expect(recordSpan(header, fileBytes)).toEqual(expected);
  });

  test("does not believe a count of 2^32 - 1", () => {
    const span = recordSpan({ ...header, numRecords: 2 ** 32 - 1 }, 160 + 3 * 112);
    expect(span).toEqual({ recordCount: 3, missingRecords: 2 ** 32 - 4, tailBytes: 0 });
  });
});

describe("badRecordCrcs()", () => {
  test("finds none in real mailboxes", () => {
    for (const mailbox of golden) {
      const bytes = mailboxFile(mailbox, "cyrus.index");
      const { table, recordCount } = IndexImage.open(bytes, "cyrus.index");
      expect(badRecordCrcs(bytes, { table, at: table.headerSize, count: recordCount })).toEqual([]);
    }
  });

  test.each([12, 13, 14, 15, 16, 17, 18, 19, 20])(
    "finds every flipped byte of version %d, at every alignment",
    (version) => {
      const whole = sample(version);
      for (const shift of [0, 1, 2, 3]) {
        const bytes = new Uint8Array(whole.length + shift).subarray(shift);
        bytes.set(whole);
        const image = IndexImage.open(bytes, "cyrus.index");
        const { table } = image;
        const range = { table, at: table.headerSize, count: 5 };
        for (let at = 0; at < table.recordSize; at++) {
          const place = image.offsetOf(3) + at;
          bytes[place] = (bytes[place] ?? 0) ^ 0x80;
          expect(badRecordCrcs(bytes, range)).toEqual([3]);
          bytes[place] = (bytes[place] ?? 0) ^ 0x80;
        }
        plantInRecord(bytes, 2, { field: "uid", value: 99n });
        expect(badRecordCrcs(bytes, range)).toEqual([]);
      }
    },
  );

  test("has nothing to say of versions without checksums", () => {
    for (const table of INDEX_TABLES.filter(({ version }) => version < 12)) {
      const bytes = new Uint8Array(table.recordSize * 3).fill(7);
      expect(badRecordCrcs(bytes, { table, at: 0, count: 3 })).toEqual([]);
    }
  });

  test("refuses a range that is not there", () => {
    const table = tableOf(17) ?? expect.unreachable();
    const range = { table, at: 0, count: 2 ** 32 - 1 };
    expect(() => badRecordCrcs(new Uint8Array(112), range)).toThrow("lies in the bytes");
  });

  test("sweeps a million records", () => {
    const table = tableOf(17) ?? expect.unreachable();
    const count = 1_000_000;
    const bytes = new Uint8Array(table.headerSize + count * table.recordSize);
    bytes.set(printIndexHeader({ ...blankIndexHeader(table), numRecords: count }));
    const bad = badRecordCrcs(bytes, { table, at: table.headerSize, count });
    expect(bad).toHaveLength(count); // none has a checksum
  });
});
