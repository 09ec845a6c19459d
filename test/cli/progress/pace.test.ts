/** What a bar says is left, against what really was. */
import { describe, expect, test } from "bun:test";
import { watchPace } from "../../../src/cli/progress/pace.ts";

/** A run of `total` units, each after the milliseconds that `cost` says, begun at `startMs`. */
function runOf(
  total: number,
  { startMs, cost }: { readonly startMs: number; readonly cost: (unit: number) => number },
): { readonly said: number; readonly real: number }[] {
  const pace = watchPace();
  const ends: number[] = [];
  let ms = startMs;
  for (let unit = 0; unit < total; unit++) {
    ms += cost(unit);
    ends.push(ms);
  }
  return ends.flatMap((at, unit) => {
    const said = pace.left(at, unit + 1, total);
    return said === undefined ? [] : [{ said, real: ms - at }];
  });
}

describe("watchPace()", () => {
  test.each([
    ["an even run", 0, () => 50],
    ["one that has listed mailboxes for ten minutes first", 600_000, () => 50],
    ["one whose first unit waits for its threads", 0, (unit: number) => (unit === 0 ? 9000 : 50)],
    ["one with every tenth unit slow", 0, (unit: number) => (unit % 10 === 0 ? 300 : 30)],
    ["a long one", 0, () => 5000],
  ])("is right within a factor of two: %s", (_, startMs, cost) => {
    const told = runOf(1000, { startMs, cost });
    expect(told.length).toBeGreaterThan(900);
    const late = told.filter(({ real }) => real > 2000);
    const wrong = late.filter(({ said, real }) => said > 2 * real || real > 2 * said);
    expect(wrong).toEqual([]);
  });

  test("follows a run that becomes slower", () => {
    const told = runOf(2000, { startMs: 0, cost: (unit) => (unit < 1000 ? 10 : 100) });
    const { said, real } = told.at(-500) ?? { said: 0, real: 1 };
    expect(said / real).toBeGreaterThan(0.5);
  });

  test("says nothing before anything is done, nor in the first two seconds", () => {
    const pace = watchPace();
    const said = [0, 1, 2, 3].map((done) => pace.left(done * 900, done, 10));
    expect(said).toEqual([undefined, undefined, undefined, undefined]);
    expect(pace.left(3600, 4, 10)).toBe(5400);
  });
});
