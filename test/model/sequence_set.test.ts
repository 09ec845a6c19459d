import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FormatError } from "../../src/core/errors.ts";
import { hasUid, parseSequenceSet, printSequenceSet } from "../../src/model/sequence_set.ts";
import { property } from "../support/property.ts";

describe("sequence sets", () => {
  test.each([
    ["", ""],
    ["1", "1"],
    ["3,1,2", "1:3"],
    ["5:3,4:9,20", "3:9,20"],
    ["1:2,3:4", "1:4"],
    ["4294967295", "4294967295"],
  ])("%s reads as %s", (text, joined) => {
    expect(printSequenceSet(parseSequenceSet(text))).toBe(joined);
  });

  test.each(["0", "1:", ":1", "1,", "*", "1:*", "4294967296", "a", "1 2"])(
    "parseSequenceSet() refuses %j",
    (text) => {
      expect(() => parseSequenceSet(text)).toThrow(FormatError);
    },
  );

  test("hasUid() says what a set of the same UIDs says", () => {
    const uids = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
    property(uids, fc.integer({ min: 1, max: 41 }), (members, uid) => {
      const ranges = parseSequenceSet(members.join(","));
      expect(hasUid(ranges, uid)).toBe(members.includes(uid));
    });
  });
});
