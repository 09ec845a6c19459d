import { expect, test } from "bun:test";
import { fromLatin1 } from "../../../src/core/bytes.ts";
import { Boundaries } from "../../../src/formats/mime/boundaries.ts";

/** Which of the lines match with these boundaries open, and how many stay open. */
function matches(open: readonly string[], line: string): [boolean, number] {
  const boundaries = new Boundaries();
  for (const one of open) boundaries.push(one);
  return [boundaries.match(fromLatin1(line)), boundaries.count];
}

test("a delimiter is a boundary, then white space, NUL or the end", () => {
  for (const line of ["b\r\n", "b", "b \r\n", "b\tx\r\n", "b\0x\r\n", "bx", "b-"]) {
    expect([line, ...matches(["a", "b"], line)]).toEqual([line, true, 2]);
  }
  for (const line of ["bx\r\n", "b-\r\n", "", "B\r\n", " b\r\n", "c\r\n"]) {
    expect([line, ...matches(["a", "b"], line)]).toEqual([line, false, 2]);
  }
});

test("the last delimiter of one closes it and all that are in it", () => {
  expect(matches(["a", "b", "c"], "b--\r\n")).toEqual([true, 1]);
  expect(matches(["a", "b", "c"], "a--x\r\n")).toEqual([true, 0]);
  expect(matches(["a", "a", "c"], "a--\r\n")).toEqual([true, 0]);
});

test("of several that match the outermost counts", () => {
  expect(matches(["a--", "a"], "a--\r\n")).toEqual([true, 2]);
  expect(matches(["a", "a--"], "a--\r\n")).toEqual([true, 0]);
  expect(matches(["", "a"], "--\r\n")).toEqual([true, 0]);
});
