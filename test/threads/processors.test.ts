import { describe, expect, test } from "bun:test";
import {
  idleShareSince,
  parseProcessorTimes,
  processorTimes,
} from "../../src/threads/processors.ts";
import { until } from "../support/until.ts";

describe("parseProcessorTimes()", () => {
  test("adds what Linux counts, guests not twice", () => {
    const text = "cpu  10 20 30 400 50 6 7 8 1000 2000\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n";
    expect(parseProcessorTimes(text)).toEqual({ idle: 450, total: 531 });
  });

  test("gives undefined for what it does not know", () => {
    expect(parseProcessorTimes("")).toBeUndefined();
    expect(parseProcessorTimes("cpu0 1 2 3 4 5\n")).toBeUndefined();
    expect(parseProcessorTimes("cpu  1 2\n")).toBeUndefined();
  });
});

describe("idleShareSince()", () => {
  test("is between 0 and 1 here, and 1 where nobody knows", async () => {
    const before = processorTimes();
    expect(before).toBeDefined();
    await until("a tick of the clock", () => processorTimes()?.total !== before?.total);
    const share = idleShareSince(before);
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
    expect(idleShareSince(undefined)).toBe(1);
  });
});
