import { describe, expect, test } from "bun:test";
import { viewOf } from "../../src/core/bytes.ts";
import { FormatError } from "../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { blankIndexHeader, printIndexHeader } from "../../src/formats/cyrus/index/index_header.ts";
import { INDEX_TABLES, tableOf } from "../../src/formats/cyrus/index/index_table.ts";
import {
  badRecordCrcs,
  openIndexFile,
  recordOffset,
  recordSpan,
  recordsOf,
} from "../../src/mailbox/index_file.ts";
import { goldenMailboxes, mailboxFile } from "../support/golden_mailboxes.ts";
import { plantInHeader, plantInRecord } from "../support/index_bytes.ts";

const golden = goldenMailboxes();

function sample(version: number): Uint8Array {
  const indexes = golden.map((mailbox) => mailboxFile(mailbox, "cyrus.index"));
  const found = indexes.find((bytes) => {
    const file = openIndexFile(bytes);
    return file.table.version === version && file.recordCount >= 5;
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

describe("openIndexFile()", () => {
  test("finds all records of real mailboxes, in ascending order of uid", () => {
    for (const mailbox of golden) {
      const file = openIndexFile(mailboxFile(mailbox, "cyrus.index"));
      expect(file).toMatchObject({ recordCount: file.header.numRecords, missingRecords: 0 });
      const uids = [...recordsOf(file)].map((record) => record.uid);
      expect(uids).toEqual([...new Set(uids)].sort((a, b) => a - b));
      expect(uids.every((uid) => uid > 0 && uid <= file.header.lastUid)).toBe(true);
    }
  });

  test("walks only what is there when the header counts 2^32 - 1 records", () => {
    const bytes = sample(17);
    const before = [...recordsOf(openIndexFile(bytes))];
    plantInHeader(bytes, "numRecords", 2n ** 32n - 1n);
    const file = openIndexFile(bytes);
    expect(file.recordCount).toBe(before.length);
    expect(file.missingRecords).toBe(2 ** 32 - 1 - before.length);
    expect([...recordsOf(file)]).toEqual(before);
  });

  test("refuses more records than the limit", () => {
    const bytes = sample(17);
    const limits = { ...DEFAULT_LIMITS, indexRecords: 4 };
    expect(() => openIndexFile(bytes, limits)).toThrow(FormatError);
    expect(() => openIndexFile(bytes, limits)).toThrow("at most 4 index records");
  });
});

describe("badRecordCrcs()", () => {
  test("finds none in real mailboxes", () => {
    for (const mailbox of golden) {
      const { bytes, table, recordCount } = openIndexFile(mailboxFile(mailbox, "cyrus.index"));
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
        const { table } = openIndexFile(bytes);
        const range = { table, at: table.headerSize, count: 5 };
        for (let at = 0; at < table.recordSize; at++) {
          const place = recordOffset(openIndexFile(bytes), 3) + at;
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

  test("sweeps a million records, and recordsOf() parses them", () => {
    const table = tableOf(17) ?? expect.unreachable();
    const count = 1_000_000;
    const bytes = new Uint8Array(table.headerSize + count * table.recordSize);
    bytes.set(printIndexHeader({ ...blankIndexHeader(table), numRecords: count }));
    const view = viewOf(bytes);
    for (let index = 0; index < count; index++) {
      view.setUint32(table.headerSize + index * table.recordSize, index + 1);
    }
    const file = openIndexFile(bytes);
    const bad = badRecordCrcs(bytes, { table, at: table.headerSize, count });
    expect(bad).toHaveLength(count); // none has a checksum
    let sum = 0;
    for (const record of recordsOf(file)) sum += record.uid;
    expect(sum).toBe((count * (count + 1)) / 2);
  });
});
