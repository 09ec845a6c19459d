import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { concat } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import {
  paddingOf,
  parseTarHeader,
  printTarHeader,
  type TarEntry,
} from "../../../src/formats/tar/tar_header.ts";
import { type PlacedEntry, TarSplitter } from "../../../src/formats/tar/tar_splitter.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { property } from "../../support/property.ts";

interface Found {
  readonly entry: PlacedEntry;
  readonly content: Uint8Array;
}

/** The entries of `tar` that are whole, fed in pieces of `piece` bytes. */
function split(tar: Uint8Array, { piece = tar.length, limits = DEFAULT_LIMITS } = {}) {
  const splitter = new TarSplitter(limits);
  const found: Found[] = [];
  let parts: Uint8Array[] = [];
  for (let at = 0; at < tar.length; at += piece) {
    for (const event of splitter.feed(tar.subarray(at, at + piece))) {
      if (event.kind === "entry") parts = [];
      if (event.kind === "content") parts.push(event.bytes.slice());
      if (event.kind === "end") found.push({ entry: event.entry, content: concat(parts) });
    }
  }
  return { found, wholeBytes: splitter.wholeBytes };
}

function printed(
  entry: TarEntry,
  content: Uint8Array = new Uint8Array(entry.size),
): Uint8Array<ArrayBuffer> {
  return concat([printTarHeader(entry), content, new Uint8Array(paddingOf(content.length))]);
}

const LINK: TarEntry = {
  ...{ name: "imap/INBOX/", type: "link", size: 0, mtime: 1_795_345_419 },
  ...{ linkname: "l8n8kp183s14w7v4d0nocc9b", inode: 0 },
};

describe("TarSplitter", () => {
  test.each([
    ["alice/backupdata-1795345419.tar.gz", 107],
    ["alice-compacted/backupdata-1795345452.tar.gz", 97],
  ])("reads %s of upstream, which is printed again byte for byte", (path, count) => {
    const tar = new Uint8Array(gunzipSync(readFileSync(fixturePath(`backup/${path}`))));
    const { found, wholeBytes } = split(tar, { piece: 1000 });
    expect(found.length).toBe(count);
    expect(wholeBytes).toBe(tar.length);
    for (const { entry, content } of found) {
      if (entry.linkname === "" || entry.type !== "file") continue;
      expect(createHash("sha1").update(content).digest("hex")).toBe(entry.linkname);
    }
    const again = concat(found.map(({ entry, content }) => printed(entry, content)));
    expect(Buffer.compare(again, tar)).toBe(0);
  });

  test("gives back any entries that were printed, in pieces of any size", () => {
    const text = (maxLength: number) =>
      fc.string({
        unit: fc.integer({ min: 1, max: 255 }).map((n) => String.fromCharCode(n)),
        maxLength,
      });
    const entries = fc.record({
      name: text(300).filter((name) => name !== ""),
      type: fc.constantFrom("file" as const, "link" as const),
      content: fc.uint8Array({ maxLength: 1100 }),
      mtime: fc.nat(2 ** 31),
      linkname: text(100),
      inode: fc.nat(2 ** 24 - 1),
    });
    property(
      fc.array(entries, { maxLength: 6 }),
      fc.integer({ min: 1, max: 1600 }),
      (made, piece) => {
        const all = made.map(({ content, ...entry }) => {
          const bytes = entry.type === "link" ? new Uint8Array() : content;
          return { entry: { ...entry, size: bytes.length }, content: bytes };
        });
        const tar = concat(all.map(({ entry, content }) => printed(entry, content)));
        const { found, wholeBytes } = split(tar, { piece });
        expect(wholeBytes).toBe(tar.length);
        const entriesFound = found.map(({ entry: { offset, ...entry }, content }) => {
          return { entry, content };
        });
        expect(entriesFound).toEqual(all);
      },
    );
  });

  test("counts whole entries of a stream that is cut off, long names with them", () => {
    const long = { ...LINK, name: `imap/INBOX.${"x".repeat(200)}/` };
    const tar = concat([
      printed(LINK),
      printed(long),
      printed({ ...LINK, type: "file", size: 700 }),
    ]);
    const { found } = split(tar);
    expect(found.map(({ entry }) => entry.offset)).toEqual([0, 512, 2048]);
    for (let cut = 0; cut <= tar.length; cut += 100) {
      const wanted = [0, 512, 2048, 3584].filter((end) => end <= cut).at(-1);
      expect(split(tar.subarray(0, cut)).wholeBytes).toBe(wanted ?? 0);
    }
  });

  test.each([
    ["a block of zeros", new Uint8Array(512)],
    ["noise", new Uint8Array(512).fill(0x41)],
    ["a flipped bit", printed(LINK).map((byte, at) => (at === 3 ? byte ^ 1 : byte))],
  ])("refuses %s by its place in the stream", (_, block) => {
    const attempt = () => split(concat([printed(LINK), block]));
    expect(attempt).toThrow(FormatError);
    expect(attempt).toThrow(/at byte (512|[5-9]\d\d)$/);
  });

  test("holds names and contents to their limits", () => {
    const limits = { ...DEFAULT_LIMITS, tarNameBytes: 200, tarEntryBytes: 1000 };
    const named = (length: number) => printed({ ...LINK, name: "n".repeat(length) });
    expect(split(named(199), { limits }).found.length).toBe(1);
    expect(() => split(named(200), { limits })).toThrow("an entry of at most 200 bytes");
    const sized = (size: number) => printed({ ...LINK, type: "file", size });
    expect(split(sized(1000), { limits }).found.length).toBe(1);
    expect(() => split(sized(1001), { limits })).toThrow("an entry of at most 1000 bytes");
  });
});

describe("printTarHeader()", () => {
  test("keeps inode numbers up to 24 bits, and the low 24 bits of larger ones", () => {
    const kept = (inode: number) => parseTarHeader(printTarHeader({ ...LINK, inode })).inode;
    expect([2 ** 21 - 1, 2 ** 21, 2 ** 24 - 1].map(kept)).toEqual([
      2 ** 21 - 1,
      2 ** 21,
      2 ** 24 - 1,
    ]);
    expect([2 ** 24, 2 ** 40 + 5].map(kept)).toEqual([0, 5]);
  });
});
