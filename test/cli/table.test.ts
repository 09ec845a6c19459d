/** Tables, whose cells give way where the terminal is too narrow. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { columns } from "../../src/cli/table.ts";
import { property } from "../support/property.ts";

const ROWS = [
  ["MAILBOX", "MESSAGES", "SIZE"],
  ["user/ann/a folder with a rather long name/below it", "12", "1.1 MiB"],
  ["user/日本語の名前の長い人", "1,234", "60.4 KiB"],
];

describe("columns()", () => {
  test("aligns cells, and leaves them whole without a width or where it suffices", () => {
    const lines = columns(ROWS);
    expect(lines[1]).toBe("user/ann/a folder with a rather long name/below it  12        1.1 MiB");
    expect(lines[0]?.indexOf("MESSAGES")).toBe(52);
    expect(columns(ROWS, { width: 200 })).toEqual(lines);
  });

  test("cuts the widest cells in their middle, and no number", () => {
    expect(columns(ROWS, { width: 40 })).toEqual([
      "MAILBOX               MESSAGES  SIZE",
      "user/ann/a…/below it  12        1.1 MiB",
      "user/日本…の長い人    1,234     60.4 KiB",
    ]);
  });

  test("cuts no time, and the name beside it the more", () => {
    const row = ["user/ann/a folder", "2026-11-22T11:15:33Z", "90425695980adb5e6ee84ca08fbb6917"];
    expect(columns([["NAME", "DATE", "GUID"], row], { width: 48 })).toEqual([
      "NAME          DATE                  GUID",
      "user/a…older  2026-11-22T11:15:33Z  904256…b6917",
    ]);
  });

  test("wraps the last cell below itself where it is a text", () => {
    const rows = [["critical", "MS04", "a message is not what it was when it was delivered"]];
    expect(columns(rows, { width: 40, wrapsLast: true })).toEqual([
      "critical  MS04  a message is not what it",
      "                was when it was",
      "                delivered",
    ]);
  });

  test("no line is wider than the terminal, whatever the cells are", () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", "é", "日", "😀", " ", "-"),
      maxLength: 60,
    });
    const table = fc.array(fc.tuple(cell, cell, cell, cell), { minLength: 1, maxLength: 8 });
    property(table, fc.integer({ min: 40, max: 200 }), (rows, width) => {
      const lines = columns(rows, { width });
      expect(lines.filter((line) => Bun.stringWidth(line) > width)).toEqual([]);
    });
  });
});
