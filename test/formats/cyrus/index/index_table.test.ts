import { describe, expect, test } from "bun:test";
import {
  INDEX_TABLES,
  readField,
  type Slot,
  spareRanges,
  tableOf,
  writeField,
} from "../../../../src/formats/cyrus/index/index_table.ts";

/** Spare bytes as spool-format 1.2 lists them, last byte included. */
const SPARES: Readonly<Record<number, readonly (readonly [number, number])[]>> = {
  6: [[68, 75]],
  7: [[68, 75]],
  8: [[76, 91]],
  9: [[76, 95]],
  10: [[76, 95]],
  12: [[112, 123]],
  13: [],
  14: [[128, 155]],
  15: [[128, 155]],
  16: [[136, 155]],
  17: [[140, 155]],
  18: [],
  19: [],
  20: [],
};

function overlaps(slots: readonly Slot[]): boolean {
  const sorted = [...slots].sort((a, b) => a.offset - b.offset);
  return sorted.some((slot, at) => at > 0 && slot.offset < end(sorted[at - 1] as Slot));
}

function end(slot: Slot): number {
  return slot.offset + slot.size;
}

describe("INDEX_TABLES", () => {
  test("holds versions 6-10 and 12-20, and 19 twice", () => {
    const versions = INDEX_TABLES.map((table) => table.version);
    expect(versions).toEqual([6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20]);
  });

  test.each(INDEX_TABLES.map((table) => [table.version, table] as const))(
    "version %d has no overlapping fields, and its checksums last",
    (version, table) => {
      const header = Object.values(table.header);
      const record = Object.values(table.record);
      expect(overlaps(header)).toBe(false);
      expect(overlaps(record)).toBe(false);
      const hasCrcs = version >= 12;
      expect(table.header.headerCrc && end(table.header.headerCrc)).toBe(
        hasCrcs ? table.headerSize : undefined,
      );
      expect(table.record.recordCrc && end(table.record.recordCrc)).toBe(
        hasCrcs ? table.recordSize : undefined,
      );
      const used = record.reduce((sum, slot) => sum + slot.size, 0);
      expect(used).toBe(table.recordSize);
    },
  );
});

describe("spareRanges()", () => {
  test.each(INDEX_TABLES.map((table) => [table.version, table] as const))(
    "finds the spare bytes of version %d",
    (version, table) => {
      const expected = SPARES[version]?.map(([first, last]) => [first, last + 1] as const);
      expect(spareRanges(table)).toEqual(expected ?? []);
    },
  );
});

describe("tableOf()", () => {
  test.each([0, 5, 11, 21, 2 ** 32 - 1])("knows no version %d", (version) => {
    expect(tableOf(version)).toBeUndefined();
  });

  test("takes version 20's records behind a header of version 19, and no other odd size", () => {
    expect(tableOf(19)?.recordSize).toBe(112);
    expect(tableOf(19, 144)?.wideRecord).toBe(true);
    expect(tableOf(19, 144)?.headerSize).toBe(160);
    expect(tableOf(18, 144)).toBeUndefined();
    expect(tableOf(20, 112)).toBeUndefined();
  });
});

describe("writeField()", () => {
  test("writes what readField() reads, at odd places too", () => {
    const view = new DataView(new ArrayBuffer(32));
    const wide: Slot = { offset: 3, size: 8, kind: "u64" };
    writeField(view, 2, wide, 0xfedc_ba98_7654_3210n);
    expect(readField(view, 2, wide)).toBe(0xfedc_ba98_7654_3210n);
    expect(readField(view, 2, { offset: 3, size: 4, kind: "u32" })).toBe(0xfedc_ba98n);
  });

  test("refuses what does not fit", () => {
    const view = new DataView(new ArrayBuffer(8));
    const slot: Slot = { offset: 0, size: 4, kind: "u32" };
    expect(() => writeField(view, 0, slot, 1n << 32n)).toThrow("does not fit 4 bytes");
    expect(() => writeField(view, 0, slot, -1n)).toThrow("does not fit 4 bytes");
    expect(() => readField(view, 0, { offset: 0, size: 16, kind: "flags" })).toThrow("16 bytes");
  });
});
