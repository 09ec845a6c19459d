import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { viewOf } from "../../../../src/core/bytes.ts";
import { FormatError } from "../../../../src/core/errors.ts";
import {
  blankIndexHeader,
  indexHeaderCrcs,
  indexTableOf,
  parseIndexHeader,
  printIndexHeader,
} from "../../../../src/formats/cyrus/index/index_header.ts";
import { INDEX_TABLES, tableOf } from "../../../../src/formats/cyrus/index/index_table.ts";
import { goldenMailboxes, mailboxFile } from "../../../support/golden_mailboxes.ts";
import { anyHeader } from "../../../support/index_bytes.ts";
import { examinedMailboxes } from "../../../support/mbexamine.ts";
import { property } from "../../../support/property.ts";

const golden = goldenMailboxes();
const table17 = INDEX_TABLES.find((table) => table.version === 17) ?? expect.unreachable();
const table20 = INDEX_TABLES.find((table) => table.version === 20) ?? expect.unreachable();

function printed(version: number): Uint8Array<ArrayBuffer> {
  return printIndexHeader(blankIndexHeader(tableOf(version) ?? expect.unreachable()));
}

describe("parseIndexHeader()", () => {
  test("reads every version there is, as found in real mailboxes", () => {
    const versions = new Set(
      golden.map((mailbox) => parseIndexHeader(mailboxFile(mailbox, "cyrus.index")).minorVersion),
    );
    expect([...versions].sort((a, b) => a - b)).toEqual([
      6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    ]);
  });

  test.each([
    "index-versions",
    "index-versions-master",
    "conversations-3.6",
    "uuid-paths-3.12",
    "uuid-paths-master",
  ])("says of %s what mbexamine says", (name) => {
    const examined = examinedMailboxes(name);
    expect(examined.length).toBeGreaterThan(5);
    for (const expected of examined) {
      const mailbox = golden.find((one) => one.archive === name && one.folder === expected.folder);
      const header = parseIndexHeader(mailboxFile(mailbox ?? expect.unreachable(), "cyrus.index"));
      const old = header.minorVersion < 12;
      expect({
        ...header,
        // What mbexamine derives where a version lacks the field.
        messages: old ? header.numRecords : header.exists,
        highestmodseq: header.highestmodseq === 0n ? 1n : header.highestmodseq,
      }).toMatchObject({
        generationNo: expected.generationNo,
        minorVersion: expected.minorVersion,
        startOffset: expected.headerSize,
        recordSize: expected.recordSize,
        messages: expected.messages,
        quotaMailboxUsed: expected.quotaMailboxUsed,
        quotaAnnotUsed: expected.quotaAnnotUsed,
        quotaDeletedUsed: header.minorVersion < 18 ? 0n : (expected.quotaDeletedUsed ?? 0n),
        quotaExpungedUsed: header.minorVersion < 18 ? 0n : (expected.quotaExpungedUsed ?? 0n),
        lastAppenddate: expected.lastAppenddate,
        uidvalidity: expected.uidvalidity,
        lastUid: expected.lastUid,
        deleted: expected.deleted,
        answered: expected.answered,
        flagged: expected.flagged,
        highestmodseq: expected.highestmodseq,
      });
    }
  });

  test("keeps nanoseconds that Cyrus does not write", () => {
    const bytes = printed(20);
    viewOf(bytes).setBigUint64(24, 1_700_000_000_123_456_789n);
    const header = parseIndexHeader(bytes);
    expect(header.lastAppenddate).toBe(1_700_000_000);
    expect(header.subseconds).toEqual({ lastAppenddate: 123_456_789 });
    expect(viewOf(printIndexHeader(header)).getBigUint64(24)).toBe(1_700_000_000_123_456_789n);
  });

  test.each([0, 1, 5, 11, 21, 2 ** 31, 2 ** 32 - 1])("refuses version %d", (version) => {
    const bytes = printed(17);
    viewOf(bytes).setUint32(8, version);
    expect(() => parseIndexHeader(bytes)).toThrow(`not ${version}`);
  });

  test.each([12, 16])("refuses sizes at byte %d that are not the version's", (offset) => {
    for (const value of [0, 159, 161, 2 ** 32 - 1]) {
      const bytes = printed(17);
      viewOf(bytes).setUint32(offset, value);
      expect(() => parseIndexHeader(bytes)).toThrow(FormatError);
      expect(() => parseIndexHeader(bytes)).toThrow(`not ${value} at byte ${offset}`);
    }
  });

  test("takes version 19 with records of version 20", () => {
    const bytes = printed(19);
    viewOf(bytes).setUint32(16, 144);
    expect(parseIndexHeader(bytes).recordSize).toBe(144);
    expect(indexTableOf(bytes).wideRecord).toBe(true);
  });

  test("refuses every truncation with a FormatError", () => {
    for (const table of INDEX_TABLES) {
      const bytes = printIndexHeader(blankIndexHeader(table));
      for (let length = 0; length < bytes.length; length++) {
        expect(() => parseIndexHeader(bytes.subarray(0, length))).toThrow(FormatError);
      }
    }
  });

  test("throws nothing but FormatError on random bytes", () => {
    const start = fc.constantFrom(
      new Uint8Array(0),
      ...INDEX_TABLES.map((t) => printed(t.version)),
    );
    const tail = fc.uint8Array({ maxLength: 300 });
    property(start, tail, fc.nat({ max: 24 }), (prefix, rest, keep) => {
      const bytes = new Uint8Array([...prefix.subarray(0, keep), ...rest]);
      try {
        parseIndexHeader(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    });
  });
});

describe("printIndexHeader()", () => {
  test("gives every real header back byte for byte", () => {
    for (const mailbox of golden) {
      const bytes = mailboxFile(mailbox, "cyrus.index");
      const header = parseIndexHeader(bytes);
      expect(printIndexHeader(header)).toEqual(bytes.slice(0, header.startOffset));
    }
  });

  test.each(INDEX_TABLES.map((table) => [table.version, table] as const))(
    "prints what parseIndexHeader() reads, version %d",
    (_version, table) => {
      property(anyHeader(table), (header) => {
        const bytes = printIndexHeader(header);
        const headerCrc = indexHeaderCrcs(bytes, table)?.computed ?? 0;
        expect(parseIndexHeader(bytes)).toEqual({ ...header, headerCrc });
      });
    },
  );

  test("refuses numbers that do not fit, and versions that do not exist", () => {
    const blank = blankIndexHeader(table17);
    expect(() => printIndexHeader({ ...blank, exists: 2 ** 32 })).toThrow("32-bit");
    expect(() => printIndexHeader({ ...blank, exists: -1 })).toThrow("32-bit");
    expect(() => printIndexHeader({ ...blank, exists: 1.5 })).toThrow("32-bit");
    expect(() => printIndexHeader({ ...blank, quotaAnnotUsed: 1n << 32n })).toThrow("4 bytes");
    expect(() => printIndexHeader({ ...blank, highestmodseq: -1n })).toThrow("8 bytes");
    expect(() => printIndexHeader({ ...blank, minorVersion: 11 })).toThrow("no index version");
    const far = { ...blankIndexHeader(table20), recenttime: 18_446_744_074 };
    expect(() => printIndexHeader(far)).toThrow("64-bit");
  });
});

describe("indexHeaderCrcs()", () => {
  test("agrees with every real header of version 12 and later, and misses none", () => {
    for (const mailbox of golden) {
      const bytes = mailboxFile(mailbox, "cyrus.index");
      const table = indexTableOf(bytes);
      const crcs = indexHeaderCrcs(bytes, table);
      if (table.version < 12) expect(crcs).toBeUndefined();
      else expect(crcs?.stored).toBe(crcs?.computed ?? Number.NaN);
    }
  });

  test("sees a flip of any bit, spare bytes and the checksum included", () => {
    const bytes = printed(17);
    for (let at = 24; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      const crcs = indexHeaderCrcs(flipped, table17);
      expect(crcs?.stored).not.toBe(crcs?.computed ?? Number.NaN);
    }
  });
});
