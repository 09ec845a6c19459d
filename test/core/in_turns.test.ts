import { expect, test } from "bun:test";
import { inTurns } from "../../src/core/in_turns.ts";

test("inTurns() runs so many works at a time, in order, also after one has failed", async () => {
  const inTurn = inTurns(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const works = ends.map(({ promise }, number) =>
    inTurn(() => {
      begun.push(number);
      return promise;
    }),
  );
  expect(begun).toEqual([0, 1]);
  ends[1]?.reject(new Error("no"));
  expect(await works[1]?.catch(String)).toBe("Error: no");
  expect(begun).toEqual([0, 1, 2]);
  for (const [number, { resolve }] of ends.entries()) resolve(number);
  expect(await Promise.all([works[0], ...works.slice(2)])).toEqual([0, 2, 3, 4]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});
