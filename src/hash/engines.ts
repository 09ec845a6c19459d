/**
 * The two hash engines. They share no code: `native` is the runtime's own (BoringSSL, zlib), four
 * to twenty times as fast; `wasm` is hash-wasm. The sweep over a spool runs on one of them, and
 * what it finds is claimed only after `confirmingEngine` has seen both agree on the same bytes.
 *
 * An engine is handed out, once per thread, after it has passed known vectors.
 */
import { createCRC32, createSHA1 } from "hash-wasm";
import { assert } from "../core/assert.ts";
import { equalBytes, hex32, hexOf, utf8 } from "../core/bytes.ts";
import { crc32 } from "./crc32.ts";
import { beginSha1, SHA1_BYTES, sha1Into } from "./sha1.ts";

export type EngineName = "native" | "wasm";

/** What a person may ask for; `auto` is the faster one. */
export type EngineChoice = EngineName | "auto";

/** SHA-1 over bytes that come in parts, by any engine. */
export interface Sha1Stream {
  update(bytes: Uint8Array): void;
  /** Writes the digest to `out` (20 bytes) and ends the stream. */
  digest(out: Uint8Array): void;
}

export interface Engine {
  readonly name: EngineName | "both";
  /** Writes the SHA-1 of `bytes` to `out`, which has exactly 20 bytes. */
  sha1(bytes: Uint8Array, out: Uint8Array): void;
  /** Starts a SHA-1 in parts. Only the stream that was started last may be used. */
  sha1Stream(): Sha1Stream;
  /** The CRC-32 of `bytes`, unsigned. */
  crc32(bytes: Uint8Array): number;
}

/** The engine for `choice`, checked against known vectors; throws `BugError` when it fails them. */
export async function engineOf(choice: EngineChoice): Promise<Engine> {
  return choice === "wasm" ? wasmEngine() : nativeEngine();
}

/**
 * The engine that damage is claimed with: it runs both on the same bytes and throws `BugError` if
 * they differ, because then neither can be trusted (bad memory, or a bug).
 */
export async function confirmingEngine(): Promise<Engine> {
  return bothOf(nativeEngine(), await wasmEngine());
}

/**
 * Checks both engines against known vectors and against each other; throws `BugError` on failure.
 */
export async function selfTest(): Promise<void> {
  const both = await confirmingEngine();
  checkVectors(both);
  const pattern = new Uint8Array(70_001);
  for (let at = 0; at < pattern.length; at++) pattern[at] = (at * 31 + (at >>> 8)) & 0xff;
  both.sha1(pattern, new Uint8Array(SHA1_BYTES));
  both.crc32(pattern);
}

let native: Engine | undefined;
let wasm: Promise<Engine> | undefined;

function nativeEngine(): Engine {
  native ??= checkVectors({
    name: "native",
    sha1: sha1Into,
    sha1Stream: () => {
      const { update, digestInto } = beginSha1();
      return { update, digest: digestInto };
    },
    crc32: (bytes) => crc32(bytes),
  });
  return native;
}

function wasmEngine(): Promise<Engine> {
  wasm ??= openWasm().then(checkVectors);
  return wasm;
}

/** Its two instances are made once and reused: making one costs 2 ms, resetting it nothing. */
async function openWasm(): Promise<Engine> {
  const [sha1, crc] = await Promise.all([createSHA1(), createCRC32()]);
  let streams = 0;
  return {
    name: "wasm",
    sha1: (bytes, out) => {
      streams++;
      out.set(sha1.init().update(bytes).digest("binary"));
    },
    sha1Stream: () => {
      const own = ++streams;
      sha1.init();
      return {
        update: (bytes) => {
          assert(own === streams, "a SHA-1 stream was used after a later one had begun");
          sha1.update(bytes);
        },
        digest: (out) => {
          assert(own === streams, "a SHA-1 stream was used after a later one had begun");
          out.set(sha1.digest("binary"));
        },
      };
    },
    crc32: (bytes) => {
      const digest = crc.init().update(bytes).digest("binary");
      return new DataView(digest.buffer, digest.byteOffset, 4).getUint32(0);
    },
  };
}

/** An engine that runs two and throws `BugError` where they differ. */
export function bothOf(first: Engine, second: Engine): Engine {
  const other = new Uint8Array(SHA1_BYTES);
  const disagree = (what: string, one: string, two: string): string =>
    `the hash engines disagree: ${first.name} ${what} ${one}, ${second.name} ${two}`;
  const compare = (out: Uint8Array): void =>
    assert(equalBytes(out, other), disagree("SHA-1", hexOf(out), hexOf(other)));
  return {
    name: "both",
    sha1: (bytes, out) => {
      first.sha1(bytes, out);
      second.sha1(bytes, other);
      compare(out);
    },
    sha1Stream: () => {
      const streams = [first.sha1Stream(), second.sha1Stream()] as const;
      return {
        update: (bytes) => {
          for (const stream of streams) stream.update(bytes);
        },
        digest: (out) => {
          streams[0].digest(out);
          streams[1].digest(other);
          compare(out);
        },
      };
    },
    crc32: (bytes) => {
      const [one, two] = [first.crc32(bytes), second.crc32(bytes)];
      assert(one === two, disagree("CRC-32", hex32(one), hex32(two)));
      return one;
    },
  };
}

/** Text, its SHA-1 (FIPS 180) and its CRC-32 (the check value of the catalogue of CRCs). */
const VECTORS = [
  ["", "da39a3ee5e6b4b0d3255bfef95601890afd80709", 0],
  ["abc", "a9993e364706816aba3e25717850c26c9cd0d89d", 0x352441c2],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    0x171a3f5f,
  ],
  ["123456789", "f7c3bc1d808e04732adf679965ccc34ca7ae3441", 0xcbf43926],
] as const;

/** Gives back `engine` if it knows the vectors, else throws `BugError`. */
export function checkVectors(engine: Engine): Engine {
  const out = new Uint8Array(SHA1_BYTES);
  for (const [text, sha1, crc] of VECTORS) {
    const bytes = utf8(text);
    engine.sha1(bytes, out);
    assert(hexOf(out) === sha1, `engine ${engine.name}: SHA-1 of "${text}" is ${hexOf(out)}`);
    const stream = engine.sha1Stream();
    stream.update(bytes.subarray(0, 2));
    stream.update(bytes.subarray(2));
    out.fill(0);
    stream.digest(out);
    assert(hexOf(out) === sha1, `engine ${engine.name}: SHA-1 in parts is ${hexOf(out)}`);
    const found = engine.crc32(bytes);
    assert(found === crc, `engine ${engine.name}: CRC-32 of "${text}" is ${hex32(found)}`);
  }
  return engine;
}
