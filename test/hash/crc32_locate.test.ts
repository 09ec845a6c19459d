import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { locateByteError } from "../../src/hash/crc32_locate.ts";

const crc32 = (bytes: Uint8Array) => Bun.hash.crc32(bytes);

describe("locateByteError()", () => {
  test("names the byte and the bits that were changed", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 255 }), (data, where, mask) => {
        const offset = where % data.length;
        const stored = crc32(data);
        const changed = data.slice();
        changed[offset] = (changed[offset] ?? 0) ^ mask;
        const found = locateByteError(stored, crc32(changed), data.length);
        // Four bytes or fewer can be mistaken for the checksum's own; nothing longer here is.
        if (found?.place.in === "checksum") return data.length <= 4;
        expect(found).toEqual({ place: { in: "data", offset }, mask });
        return true;
      }),
      { seed: 7, numRuns: 2000 },
    );
  });

  test("names the checksum when that is what was changed", () => {
    const computed = crc32(new TextEncoder().encode("a header of some length"));
    for (const shift of [0, 8, 16, 24]) {
      const stored = (computed ^ (0x81 << shift)) >>> 0;
      expect(locateByteError(stored, computed, 23)).toEqual({
        place: { in: "checksum" },
        mask: 0x81,
      });
    }
  });

  test("finds nothing when the checksums agree, and nothing when two bytes were changed", () => {
    expect(locateByteError(5, 5, 100)).toBeUndefined();
    const data = new Uint8Array(64).map((_, at) => at * 7);
    const changed = data.slice();
    changed[3] = 0xff;
    changed[40] = 0xee;
    expect(locateByteError(crc32(data), crc32(changed), data.length)).toBeUndefined();
  });
});
