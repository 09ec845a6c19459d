import { describe, expect, test } from "bun:test";
import {
  hasBit,
  INDEX_OPTION,
  INDEX_OPTIONS,
  INTERNAL_FLAG,
  INTERNAL_FLAGS,
  namesOfBits,
  OPTIONS_WRITTEN,
  SYSTEM_FLAG,
  SYSTEM_FLAGS,
  unknownBits,
} from "../../../../src/formats/cyrus/index/index_flags.ts";

describe("the tables of bits", () => {
  test("give each bit of spool-format 1.3 and 2.2 its number", () => {
    const numbers = (masks: Readonly<Record<string, number>>) =>
      Object.values(masks).map((mask) => Math.log2(mask));
    expect(numbers(SYSTEM_FLAG)).toEqual([0, 1, 2, 3, 4]);
    expect(numbers(INTERNAL_FLAG)).toEqual([26, 27, 28, 29, 30, 31]);
    expect(numbers(INDEX_OPTION)).toEqual([0, 1, 2, 3, 4, 29, 30, 31]);
  });

  test("name every bit once", () => {
    const masks = (bits: readonly { mask: number }[]) => bits.map(({ mask }) => mask);
    expect(masks(SYSTEM_FLAGS)).toEqual(Object.values(SYSTEM_FLAG));
    expect(masks(INTERNAL_FLAGS)).toEqual(Object.values(INTERNAL_FLAG));
    expect(masks(INDEX_OPTIONS)).toEqual(Object.values(INDEX_OPTION));
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

describe("namesOfBits() and unknownBits()", () => {
  test("share all bits of a word between them", () => {
    expect(namesOfBits(0x8000_0012, SYSTEM_FLAGS)).toEqual(["\\Flagged", "\\Seen"]);
    expect(namesOfBits(0x8000_0012, INTERNAL_FLAGS)).toEqual(["EXPUNGED"]);
    expect(unknownBits(0x8000_0032, [...SYSTEM_FLAGS, ...INTERNAL_FLAGS])).toBe(0x20);
    expect(unknownBits(0xffff_ffff, INDEX_OPTIONS)).toBe(0x1fff_ffe0);
    expect(namesOfBits(0, INDEX_OPTIONS)).toEqual([]);
  });
});
