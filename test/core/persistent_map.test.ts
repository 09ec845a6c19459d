import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PersistentMap } from "../../src/core/persistent_map.ts";
import { countedWork } from "../support/counted_work.ts";
import { property } from "../support/property.ts";

/**
 * A change of some version made so far: which one (counted round), the key, the value (undefined:
 * take it out).
 */
const change = fc.record({
  version: fc.nat(40),
  key: fc.constantFrom("a", "b", "c", "d"),
  value: fc.option(fc.nat(9), { nil: undefined }),
});

function entriesOf(map: PersistentMap<string, number>): unknown {
  return map.entries().toSorted();
}

describe("PersistentMap", () => {
  test("every version stays what it was, whichever are changed and asked afterwards", () => {
    property(fc.array(change, { maxLength: 40 }), fc.array(fc.nat(40)), (changes, asked) => {
      const versions = [PersistentMap.of<string, number>([["a", 1]])];
      const models = [new Map([["a", 1]])];
      for (const { version, key, value } of changes) {
        const at = version % versions.length;
        const [map, model] = [versions[at] ?? expect.unreachable(), new Map(models[at])];
        versions.push(value === undefined ? map.without(key) : map.with(key, value));
        if (value === undefined) model.delete(key);
        else model.set(key, value);
        models.push(model);
      }
      for (const number of [...asked, ...versions.keys()]) {
        const at = number % versions.length;
        const [map, model] = [versions[at], models[at]];
        if (map === undefined || model === undefined) continue;
        expect(entriesOf(map)).toEqual([...model].toSorted());
        expect(map.size).toBe(model.size);
        expect(map.get("a")).toBe(model.get("a"));
      }
    });
  });

  test("going forward and taking all of it back cost one step a change", async () => {
    const first = PersistentMap.of<number, number>();
    const work = await countedWork(() => {
      let map = first;
      for (let number = 0; number < 10_000; number++) map = map.with(number, number);
      expect(map.get(9_999)).toBe(9_999);
      expect(first.get(1)).toBeUndefined();
    });
    expect(work).toBeLessThan(50_000);
    expect(first.size).toBe(0);
  });
});
