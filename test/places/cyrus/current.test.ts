import { describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { currentOf } from "../../../src/places/cyrus/current.ts";

describe("currentOf()", () => {
  test("reads what is cheap each time, unless it is still the same", async () => {
    let count = 0;
    let still = false;
    const current = currentOf(() => ++count, { isStill: () => still, now: () => 0 });
    expect([await current.get(), await current.get()]).toEqual([1, 2]);
    still = true;
    expect([await current.get(), await current.get()]).toEqual([2, 2]);
    expect(await current.fresh()).toBe(3);
  });

  test("keeps what is costly for twenty times what it cost, and not longer", async () => {
    let count = 0;
    let clockMs = 0;
    const read = () => {
      clockMs += 25;
      return ++count;
    };
    const current = currentOf(read, { now: () => clockMs });
    expect(await current.get()).toBe(1);
    clockMs += 20 * 25 - 1;
    expect(await current.get()).toBe(1);
    clockMs += 1;
    expect(await current.get()).toBe(2);
    expect(await current.fresh()).toBe(3);
  });

  test("reads once for all who ask meanwhile, and anew after a failure", async () => {
    let count = 0;
    const current = currentOf(async () => {
      await sleep(1);
      count += 1;
      if (count === 1) throw new Error("not yet");
      return count;
    });
    const results = await Promise.allSettled([current.get(), current.get()]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(count).toBe(1);
    expect(await current.get()).toBe(2);
  });
});
