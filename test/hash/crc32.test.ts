import { describe, expect, test } from "bun:test";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { utf8 } from "../../src/core/bytes.ts";
import { crc32, crc32Range, crc32Words } from "../../src/hash/crc32.ts";
import { property } from "../support/property.ts";

const CHECK = utf8("123456789");

describe("crc32()", () => {
  test("gives the check value of the CRC catalogue and 0 for nothing", () => {
    expect(crc32(CHECK)).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  test("goes on from a seed", () => {
    expect(crc32(CHECK.subarray(4), crc32(CHECK.subarray(0, 4)))).toBe(0xcbf43926);
  });
});

describe("crc32Range()", () => {
  test("gives what zlib gives for every range of every length up to 40", () => {
    const bytes = Uint8Array.from({ length: 48 }, (_, at) => (at * 197 + 13) & 0xff);
    for (let start = 0; start < 8; start++) {
      for (let end = start; end <= start + 40; end++) {
        expect(crc32Range(bytes, start, end)).toBe(zlibCrc32(bytes.subarray(start, end)));
      }
    }
  });

  test("gives what zlib gives on both sides of the switch to native code", () => {
    property(
      fc.uint8Array({ minLength: 200, maxLength: 600 }),
      fc.nat(100),
      fc.nat(100),
      (bytes, start, short) => {
        const end = bytes.length - short;
        expect(crc32Range(bytes, start, end)).toBe(zlibCrc32(bytes.subarray(start, end)));
      },
    );
  });
});

describe("crc32Words()", () => {
  test("gives what zlib gives for the same bytes", () => {
    property(fc.uint8Array({ minLength: 64, maxLength: 400 }), fc.nat(7), (bytes, start) => {
      const length = bytes.length >>> 2;
      const words = new Int32Array(bytes.slice(0, length * 4).buffer);
      for (const end of [start, start + 1, start + 2, length - 1, length]) {
        expect(crc32Words(words, start, end)).toBe(zlibCrc32(bytes.subarray(start * 4, end * 4)));
      }
    });
  });
});
