import { describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import {
  bytesOf,
  dateOf,
  FieldError,
  guidOf,
  itemsOf,
  kvlistOf,
  latin1Of,
  lookUp,
  u32Of,
  u64Of,
} from "../../../src/formats/dlist/access.ts";
import { parseValue } from "../../../src/formats/dlist/parse.ts";
import { type DlistValue, NIL } from "../../../src/formats/dlist/value.ts";

const value = (text: string): DlistValue => parseValue(utf8(text));
const GUID = "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc";

type Accessor = (value: DlistValue | undefined, key: string) => unknown;

const accepted: readonly [Accessor, string, unknown][] = [
  [u32Of, "0", 0],
  [u32Of, "4294967295", 4294967295],
  [u32Of, "00000000000000000007", 7],
  [u64Of, "18446744073709551615", 18446744073709551615n],
  [u64Of, "999999999999999", 999999999999999n],
  [dateOf, "1700000000", 1700000000],
  [dateOf, "18446744073709551615", -1],
  [guidOf, GUID, GUID],
  [guidOf, GUID.toUpperCase(), GUID],
  [latin1Of, '"a b"', "a b"],
  [latin1Of, "\\Seen", "\\Seen"],
  [bytesOf, "{2}\r\nab", utf8("ab")],
];
const refused: readonly [Accessor, string][] = [
  ...["", "4294967296", "-1", "1x", "0x1", "NIL", "(1)", "99999999999999999999999"].map(
    (text): [Accessor, string] => [u32Of, text === "" ? '""' : text],
  ),
  [u64Of, "18446744073709551616"],
  [u64Of, "1.5"],
  [dateOf, "9007199254740993"],
  [guidOf, "abc"],
  [guidOf, `${GUID}0`],
  [latin1Of, "()"],
  [bytesOf, "NIL"],
  [itemsOf, "a"],
  [kvlistOf, "()"],
];

describe("accessors", () => {
  test.each(accepted)("%p reads %j", (accessor, text, expected) => {
    expect(accessor(value(text), "KEY")).toEqual(expected);
  });

  test.each(refused)("%p refuses %j and names the key", (accessor, text) => {
    expect(() => accessor(value(text), "KEY")).toThrow(FieldError);
    expect(() => accessor(value(text), "KEY")).toThrow(FormatError);
    expect(() => accessor(value(text), "KEY")).toThrow(/KEY/);
  });

  test.each([u32Of, u64Of, dateOf, guidOf, latin1Of, bytesOf, itemsOf, kvlistOf])(
    "%p refuses a missing value",
    (accessor: Accessor) => {
      expect(() => accessor(undefined, "KEY")).toThrow(FieldError);
    },
  );

  test("lookUp() takes the first of a name and minds case", () => {
    const kvlist = kvlistOf(value("%(A 1 A 2 a 3)"), "K");
    expect(u32Of(lookUp(kvlist, "A"), "A")).toBe(1);
    expect(u32Of(lookUp(kvlist, "a"), "a")).toBe(3);
    expect(lookUp(kvlist, "B")).toBeUndefined();
  });

  test("itemsOf() takes a kvlist where a list is asked for", () => {
    expect(itemsOf(value("%(A 1 B NIL)"), "K")).toEqual([value("1"), NIL]);
    expect(itemsOf(value("(1 2)"), "K")).toHaveLength(2);
    expect(itemsOf(value("%()"), "K")).toEqual([]);
  });
});
