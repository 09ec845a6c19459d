/** Values of options: sizes, rates and percentages. */
import { describe, expect, test } from "bun:test";
import {
  byteRateOption,
  percentOption,
  sizeOption,
  sizeOrMibOption,
} from "../../src/cli/options.ts";

describe("sizeOrMibOption()", () => {
  test("takes a bare number for MiB, and sizes with their unit", () => {
    expect(["100", "100MiB", "1GB"].map(sizeOrMibOption)).toEqual([100 << 20, 100 << 20, 1e9]);
    expect(() => sizeOrMibOption("1.5")).toThrow("like 10GiB or 512MB");
  });
});

describe("sizeOption()", () => {
  test.each([
    ["10GiB", 10 * 1024 ** 3],
    ["512MB", 512e6],
    ["1.5 kib", 1536],
    ["100B", 100],
    ["2TB", 2e12],
  ])("%s", (text, bytes) => expect(sizeOption(text)).toBe(bytes));

  test.each([
    ...["", "10", "0MiB", "0.0001B", "-1MB", "1e3MB", "10 GiBs", "GiB", "10XB", "10G", "9000000TB"],
  ])("refuses %p", (text) => expect(() => sizeOption(text)).toThrow("like 10GiB or 512MB"));
});

describe("byteRateOption()", () => {
  test("takes a size, with or without the second", () => {
    expect(["100MB/s", "20kB", "1MiB/s"].map(byteRateOption)).toEqual([100e6, 20e3, 1024 ** 2]);
    for (const wrong of ["fast", "100MB/h", "100"]) expect(() => byteRateOption(wrong)).toThrow();
  });
});

describe("percentOption()", () => {
  test("takes a whole number, with or without its sign", () => {
    expect(["0", "20%", "100 %"].map(percentOption)).toEqual([0, 20, 100]);
    for (const wrong of ["101", "1.5%", "%", "-1"]) expect(() => percentOption(wrong)).toThrow();
  });
});
