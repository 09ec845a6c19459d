import { describe, expect, test } from "bun:test";
import { MemoryWatch } from "../../src/net/memory_watch.ts";

describe("MemoryWatch", () => {
  const MIB = 1024 * 1024;
  /** A process that grows by what it takes, and frees all but `keptBytes`. */
  function growing(keptBytes: number) {
    const state = { resident: keptBytes, collections: 0, peak: 0 };
    const watch = new MemoryWatch({
      resident: () => state.resident,
      collect: () => {
        state.collections++;
        state.resident = keptBytes;
      },
    });
    const take = (bytes: number) => {
      for (let at = 0; at < bytes; at += MIB / 16) {
        state.resident += MIB / 16;
        state.peak = Math.max(state.peak, state.resident);
        watch.took(MIB / 16);
      }
    };
    return { state, take };
  }

  test("leaves a small server alone and keeps a busy one small", () => {
    const { state, take } = growing(80 * MIB);
    take(60 * MIB);
    expect(state.collections).toBe(0);
    take(1000 * MIB);
    expect(state.collections).toBeGreaterThan(10);
    expect(state.peak).toBeLessThan(150 * MIB);
  });

  test("collects seldom where nearly all is in use", () => {
    const { state, take } = growing(300 * MIB);
    take(1000 * MIB);
    expect(state.collections).toBeGreaterThan(10);
    expect(state.collections).toBeLessThan(70);
  });
});
