import { describe, expect, test } from "bun:test";
import { FormatError } from "../../src/core/errors.ts";
import { parseSequenceSet, printSequenceSet } from "../../src/model/sequence_set.ts";

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
});
