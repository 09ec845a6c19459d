/**
 * Mailboxes that were made to harm their reader: a finding or a result, never a crash or a hang.
 */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { indexTableOf } from "../../src/formats/cyrus/index/index_header.ts";
import {
  HEADER_FIELDS,
  type IndexTable,
  RECORD_FIELDS,
} from "../../src/formats/cyrus/index/index_table.ts";
import { crc32 } from "../../src/hash/crc32.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { codesOf, fsckSpool, lookOnce } from "../support/fsck.ts";
import { tempDir } from "../support/temp_dir.ts";

const LONG = process.env["BOBBIN_TEST_SIZE"] === "long";
const damaged = unpackFixture("cyrus-spools/damaged");
const CLEAN = join(damaged, "spool/uuid/k/f/kf22otzf5j234px0uw69jzzw");

function freshMailbox(source = CLEAN): string {
  const folder = join(tempDir("hostile"), "mailbox");
  cpSync(source, folder, { recursive: true });
  return folder;
}

const EXTREMES = [0n, 1n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 1n << 48n, (1n << 64n) - 1n];

/** Puts every checksum of an index right again, so that a bad field is met and not its CRC. */
function mendCrcs(bytes: Buffer, table: IndexTable): void {
  const headerAt = table.header.headerCrc?.offset;
  if (headerAt !== undefined) bytes.writeUInt32BE(crc32(bytes.subarray(0, headerAt)), headerAt);
  const recordAt = table.recordAt.recordCrc;
  if (recordAt < 0) return;
  for (let at = table.headerSize; at + table.recordSize <= bytes.length; at += table.recordSize) {
    bytes.writeUInt32BE(crc32(bytes.subarray(at, at + recordAt)), at + recordAt);
  }
}

function putField(bytes: Buffer, place: { offset: number; size: number }, value: bigint): void {
  for (let at = 0; at < place.size; at++) {
    const shift = BigInt(8 * (place.size - 1 - at));
    bytes[place.offset + at] = Number((value >> shift) & 0xffn);
  }
}

describe("extreme values in an index whose checksums are right", () => {
  const versions = {
    17: CLEAN,
    20: join(
      unpackFixture("cyrus-spools/index-versions-master"),
      "spool/uuid/2/9/29fd08b8-b506-4a61-a5e8-7a977d2a9ba8",
    ),
  };
  for (const [version, source] of Object.entries(versions)) {
    test(`lookOnce() copes with every field of a version ${version} mailbox`, async () => {
      const folder = freshMailbox(source);
      const path = join(folder, "cyrus.index");
      const original = readFileSync(path);
      const table = indexTableOf(original);
      const places = [
        ...HEADER_FIELDS.flatMap((name) => table.header[name] ?? []),
        ...RECORD_FIELDS.flatMap((name) => table.record[name] ?? []).map((slot) => ({
          ...slot,
          offset: table.headerSize + table.recordSize + slot.offset,
        })),
      ];
      for (const place of places) {
        for (const value of EXTREMES) {
          const bytes = Buffer.from(original);
          putField(bytes, place, value);
          if (place.offset !== table.header.headerCrc?.offset) mendCrcs(bytes, table);
          writeFileSync(path, bytes);
          const findings = await lookOnce(folder);
          expect(findings.length).toBeLessThanOrEqual(20 + 4 * DEFAULT_LIMITS.findingsPerCode);
        }
      }
    });
  }

  test("lookOnce() copes with random bytes in every file", async () => {
    const folder = freshMailbox();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("cyrus.index", "cyrus.header", "cyrus.cache", "cyrus.annotations", "1."),
        fc.uint8Array({ maxLength: 2000 }),
        fc.boolean(),
        async (file, noise, keepsStart) => {
          const path = join(folder, file);
          const original = readFileSync(path);
          const start = keepsStart ? original.subarray(0, original.length >> 1) : Buffer.alloc(0);
          writeFileSync(path, Buffer.concat([start, noise]));
          await lookOnce(folder);
          writeFileSync(path, original);
        },
      ),
      { seed: 11, numRuns: LONG ? 20_000 : 500 },
    );
  });
});

describe("what stands where a file should be", () => {
  const FILES = ["cyrus.index", "cyrus.header", "cyrus.cache", "cyrus.annotations", "2."];

  for (const file of FILES) {
    test(`lookOnce() reports a link, a fifo and a folder in place of ${file}`, async () => {
      for (const kind of ["link", "fifo", "folder"]) {
        const folder = freshMailbox();
        const path = join(folder, file);
        rmSync(path);
        if (kind === "link") symlinkSync("/etc/passwd", path);
        else if (kind === "fifo") Bun.spawnSync(["mkfifo", path]);
        else mkdirSync(path);
        const findings = await lookOnce(folder);
        expect(findings.length).toBeGreaterThan(0);
        expect(JSON.stringify(findings.map(({ text }) => text))).not.toContain("root:");
      }
    });
  }

  test("a link to a folder is followed, and what cannot be read is told", async () => {
    const spool = tempDir("links");
    mkdirSync(join(spool, "user"));
    symlinkSync(CLEAN, join(spool, "user", "link"));
    symlinkSync("loop", join(spool, "user", "loop"));
    mkdirSync(Buffer.from(`${spool}/user/\xff\xfe`, "latin1"));
    const found = await fsckSpool(spool);
    expect(found.filter(({ code }) => code !== "MS12").map(({ text }) => text)).toEqual([
      "folder cannot be read: ELOOP, a link to loop",
      "folder cannot be read: the name is not UTF-8",
    ]);
  });

  test("fsckSpool() stops at a depth that no mailbox tree has", async () => {
    const spool = tempDir("deep");
    mkdirSync(join(spool, ...Array.from({ length: 100 }, () => "d")), { recursive: true });
    const found = await fsckSpool(spool);
    expect(found.map(({ text }) => text)).toEqual([
      "folder cannot be read: too many folders inside each other",
    ]);
  });

  test("lookOnce() counts 10,000 flag names and does not keep them all", async () => {
    const folder = freshMailbox();
    const path = join(folder, "cyrus.header");
    const names = Array.from({ length: 10_000 }, (_, at) => `flag${at}`).join(" ");
    const header = readFileSync(path, "latin1");
    writeFileSync(path, header.replace(/U \(.*\)\)/, `U (${names}))`), "latin1");
    const findings = await lookOnce(folder);
    expect(codesOf(findings)).toContain("HD04");
    expect(findings.length).toBeLessThan(10);
  });

  test("lookOnce() does not read files of a size that none has", async () => {
    const folder = freshMailbox();
    Bun.spawnSync(["truncate", "-s", "1T", join(folder, "cyrus.index")]);
    Bun.spawnSync(["truncate", "-s", "1T", join(folder, "cyrus.cache")]);
    Bun.spawnSync(["truncate", "-s", "1T", join(folder, "2.")]);
    const findings = await lookOnce(folder);
    expect(codesOf(findings)).toEqual(["CA05", "IX05", "MS03 uid 2"]);
  });
});

describe("files that may not be read", () => {
  test("lookOnce() reports them with the reason", async () => {
    for (const file of ["cyrus.index", "cyrus.header", "cyrus.cache", "2."]) {
      const folder = freshMailbox();
      chmodSync(join(folder, file), 0);
      const findings = await asOwnerOf(folder, () => lookOnce(folder));
      expect(JSON.stringify(findings.map(({ text }) => text))).toContain("EACCES");
    }
  });
});

/** Does `work` without root's right to read everything: root becomes nobody, who owns `folder`. */
async function asOwnerOf<T>(folder: string, work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return await work();
  for (let path = folder; path !== tmpdir(); path = dirname(path)) chownSync(path, 65534, 65534);
  for (const name of readdirSync(folder)) chownSync(join(folder, name), 65534, 65534);
  process.seteuid?.(65534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
