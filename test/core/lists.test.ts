import { describe, expect, test } from "bun:test";
import { pushAll } from "../../src/core/lists.ts";

describe("pushAll()", () => {
  test("appends a million items, in order", () => {
    const list = [-1];
    pushAll(
      list,
      Array.from({ length: 1_000_000 }, (_, at) => at),
    );
    expect(list).toHaveLength(1_000_001);
    expect([list[0], list[1], list.at(-1)]).toEqual([-1, 0, 999_999]);
  });
});
