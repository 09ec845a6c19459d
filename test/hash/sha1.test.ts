import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { hexOf } from "../../src/core/bytes.ts";
import { beginSha1, SHA1_BYTES, sha1Into, sha1Of } from "../../src/hash/sha1.ts";
import { property } from "../support/property.ts";

const opensslSha1 = (bytes: Uint8Array): string => createHash("sha1").update(bytes).digest("hex");

describe("sha1Of(), sha1Into()", () => {
  test("give what openssl gives, for any bytes", () => {
    property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const out = new Uint8Array(SHA1_BYTES);
      sha1Into(bytes, out);
      expect([sha1Of(bytes), hexOf(out)]).toEqual([opensslSha1(bytes), opensslSha1(bytes)]);
    });
  });
});

describe("beginSha1()", () => {
  test("hashes two messages whose parts come by turns", () => {
    property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 20 }), (parts) => {
      const [first, second] = [beginSha1(), beginSha1()];
      const out = new Uint8Array(SHA1_BYTES);
      for (const part of parts) {
        first.update(part);
        second.update(part.toReversed());
      }
      expect(first.digest()).toBe(opensslSha1(Buffer.concat(parts)));
      second.digestInto(out);
      const reversed = parts.map((part) => part.toReversed());
      expect(hexOf(out)).toBe(opensslSha1(Buffer.concat(reversed)));
    });
  });
});
