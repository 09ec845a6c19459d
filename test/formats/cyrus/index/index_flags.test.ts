import { describe, expect, test } from "bun:test";
import {
  hasBit,
  INDEX_OPTION,
  INTERNAL_FLAG,
  OPTIONS_WRITTEN,
  SYSTEM_FLAG,
  SYSTEM_FLAGS,
} from "../../../../src/formats/cyrus/index/index_flags.ts";

describe("the tables of bits", () => {
  test("give each bit of spool-format 1.3 and 2.2 its number", () => {
    const numbers = (masks: Readonly<Record<string, number>>) =>
      Object.values(masks).map((mask) => Math.log2(mask));
    expect(numbers(SYSTEM_FLAG)).toEqual([0, 1, 2, 3, 4]);
    expect(numbers(INTERNAL_FLAG)).toEqual([26, 27, 28, 29, 30, 31]);
    expect(numbers(INDEX_OPTION)).toEqual([0, 1, 2, 3, 4, 29, 30, 31]);
  });

  test("name every system flag once", () => {
    const masks = (bits: readonly { mask: number }[]) => bits.map(({ mask }) => mask);
    expect(masks(SYSTEM_FLAGS)).toEqual(Object.values(SYSTEM_FLAG));
  });

  test("write every option but the retired one", () => {
    const all = Object.values(INDEX_OPTION).reduce((sum, mask) => sum + mask, 0);
    expect(OPTIONS_WRITTEN).toBe(all - INDEX_OPTION.condstore);
  });
});

describe("hasBit()", () => {
  test("sees bit 31", () => {
    expect(hasBit(0x8000_0001, INTERNAL_FLAG.expunged)).toBe(true);
    expect(hasBit(0x7fff_ffff, INTERNAL_FLAG.expunged)).toBe(false);
  });
});
