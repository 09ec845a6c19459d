import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { hexOf, utf8 } from "../../src/core/bytes.ts";
import {
  bothOf,
  checkVectors,
  confirmingEngine,
  type Engine,
  engineOf,
  selfTest,
} from "../../src/hash/engines.ts";
import { md5 } from "../../src/hash/md5.ts";
import { property } from "../support/property.ts";

const engines: readonly Engine[] = [
  await engineOf("native"),
  await engineOf("wasm"),
  await confirmingEngine(),
];

function sha1Of(engine: Engine, bytes: Uint8Array): string {
  const out = new Uint8Array(20);
  engine.sha1(bytes, out);
  return hexOf(out);
}

describe("selfTest()", () => {
  test("passes with both engines as they are", async () => {
    await selfTest();
  });
});

describe("engineOf()", () => {
  test("takes native for auto, and gives the same engine every time", async () => {
    expect((await engineOf("auto")).name).toBe("native");
    expect(await engineOf("auto")).toBe(await engineOf("native"));
    expect(await engineOf("wasm")).toBe(await engineOf("wasm"));
    expect((await engineOf("wasm")).name).toBe("wasm");
  });
});

describe.each(engines.map((engine) => [engine.name, engine] as const))("engine %s", (_, engine) => {
  test("sha1() and crc32() give what openssl and zlib give, for any bytes", () => {
    property(fc.uint8Array({ maxLength: 5000, size: "max" }), (bytes) => {
      expect(sha1Of(engine, bytes)).toBe(createHash("sha1").update(bytes).digest("hex"));
      expect(engine.crc32(bytes)).toBe(zlibCrc32(bytes));
    });
  });

  test("sha1() is right around the borders of blocks and of the wasm heap", () => {
    const bytes = new Uint8Array(40_000).map((__, at) => at & 0xff);
    for (const size of [55, 56, 63, 64, 65, 119, 120, 16383, 16384, 16385, 32768, 40_000]) {
      const part = bytes.subarray(0, size);
      expect(sha1Of(engine, part)).toBe(createHash("sha1").update(part).digest("hex"));
    }
  });

  test("sha1Stream() gives the digest of the whole, however it is cut", () => {
    property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (parts) => {
      const stream = engine.sha1Stream();
      for (const part of parts) stream.update(part);
      const out = new Uint8Array(20);
      stream.digest(out);
      expect(hexOf(out)).toBe(sha1Of(engine, Buffer.concat(parts)));
    });
  });
});

describe("sha1Stream()", () => {
  test("of wasm refuses a stream after a later one has begun", async () => {
    const wasm = await engineOf("wasm");
    const first = wasm.sha1Stream();
    wasm.sha1Stream();
    expect(() => first.update(utf8("x"))).toThrow("after a later one had begun");
    const second = wasm.sha1Stream();
    wasm.sha1(utf8("x"), new Uint8Array(20));
    expect(() => second.digest(new Uint8Array(20))).toThrow("after a later one had begun");
  });
});

/** Native, but for messages of 1000 bytes. */
function brokenEngine(sound: Engine): Engine {
  return {
    ...sound,
    sha1: (bytes, out) => {
      sound.sha1(bytes, out);
      if (bytes.length === 1000) out[3] = (out[3] ?? 0) ^ 1;
    },
    crc32: (bytes) => sound.crc32(bytes) ^ (bytes.length === 1000 ? 1 : 0),
  };
}

describe("bothOf()", () => {
  test("throws where the two engines disagree, and only there", async () => {
    const sound = await engineOf("native");
    const out = new Uint8Array(20);
    const both = bothOf(sound, brokenEngine(sound));
    both.sha1(new Uint8Array(999), out);
    expect(() => both.sha1(new Uint8Array(1000), out)).toThrow("the hash engines disagree");
    expect(() => both.crc32(new Uint8Array(1000))).toThrow("the hash engines disagree");
  });
});

describe("checkVectors()", () => {
  test("throws for an engine that does not know them", async () => {
    const sound = await engineOf("wasm");
    expect(checkVectors(sound)).toBe(sound);
    expect(() => checkVectors({ ...sound, crc32: () => 0 })).toThrow("CRC-32");
    expect(() => checkVectors({ ...sound, sha1: () => undefined })).toThrow("SHA-1");
    const stuck = { update: () => undefined, digest: () => undefined };
    expect(() => checkVectors({ ...sound, sha1Stream: () => stuck })).toThrow("in parts");
  });
});

describe("md5()", () => {
  test("gives the digest of RFC 1321", () => {
    expect(hexOf(md5(utf8("abc")))).toBe("900150983cd24fb0d6963f7d28e17f72");
  });
});
