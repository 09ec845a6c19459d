/**
 * Every byte of a small real mailbox, changed one at a time, and every file of it cut at every
 * length: fsck finds each, and does not crash on any. `npm test` flips one bit a byte, the long run
 * all eight.
 */
import { describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unpackFixture } from "../support/fixtures.ts";
import { codesOf, fsckSpool, lookOnce } from "../support/fsck.ts";
import { tempDir } from "../support/temp_dir.ts";

const LONG = process.env["BOBBIN_TEST_SIZE"] === "long";
const BITS = LONG ? [0, 1, 2, 3, 4, 5, 6, 7] : [4];

/** user.dan.00-clean: five messages, user flags, annotations, version 17. */
const CLEAN = "spool/uuid/k/f/kf22otzf5j234px0uw69jzzw";

/** What no check can see, by file: [first byte, byte behind the last, why]. */
const UNSEEN: Readonly<Record<string, readonly (readonly [number, number, string])[]>> = {
  "cyrus.annotations": [
    [440, 464, "the record that ends the last transaction: only a recovery looks at it"],
  ],
};

function freshMailbox(): string {
  const folder = join(tempDir("flips"), "mailbox");
  cpSync(join(unpackFixture("cyrus-spools/damaged"), CLEAN), folder, { recursive: true });
  return folder;
}

const FILES = ["cyrus.index", "cyrus.header", "cyrus.cache", "cyrus.annotations", "1.", "2.", "5."];

describe("one changed byte", () => {
  for (const file of FILES) {
    test(`lookOnce() finds every changed byte of ${file}`, async () => {
      const folder = freshMailbox();
      const path = join(folder, file);
      const bytes = readFileSync(path);
      const missed: string[] = [];
      for (let offset = 0; offset < bytes.length; offset++) {
        if (UNSEEN[file]?.some(([from, to]) => from <= offset && offset < to)) continue;
        for (const bit of BITS) {
          const changed = Buffer.from(bytes);
          changed[offset] = (changed[offset] ?? 0) ^ (1 << bit);
          writeFileSync(path, changed);
          if ((await lookOnce(folder)).length === 0) missed.push(`${offset} bit ${bit}`);
        }
      }
      expect(missed).toEqual([]);
    });
  }

  test("the mailbox without a change has no finding", async () => {
    expect(await lookOnce(freshMailbox())).toEqual([]);
  });

  test("fsckSpool() blames no other mailbox for it", async () => {
    const root = tempDir("neighbours");
    const names = ["damaged", "neighbour"];
    for (const name of names) cpSync(freshMailbox(), join(root, "user", name), { recursive: true });
    // The two are copies of each other: give the neighbour an identity of its own.
    const header = join(root, "user", "neighbour", "cyrus.header");
    const text = readFileSync(header, "latin1").replace("kf22otzf5j234px0uw69jzzw", "x".repeat(24));
    writeFileSync(header, text.replace("user.dan.00-clean", "user.neighbour"), "latin1");
    const before = codesOf(await fsckSpool(root));
    for (const file of FILES) {
      const path = join(root, "user", "damaged", file);
      const bytes = readFileSync(path);
      for (let offset = 1; offset < bytes.length; offset += LONG ? 7 : 211) {
        const changed = Buffer.from(bytes);
        changed[offset] = (changed[offset] ?? 0) ^ 0x10;
        writeFileSync(path, changed);
        const found = await fsckSpool(root);
        const others = found.filter(({ mailbox }) => mailbox === "user.neighbour");
        expect(codesOf(others)).toEqual(before);
      }
      writeFileSync(path, bytes);
    }
  });
});

describe("a file cut short", () => {
  for (const file of FILES) {
    test(`lookOnce() finds every cut of ${file}`, async () => {
      const folder = freshMailbox();
      const path = join(folder, file);
      const bytes = readFileSync(path);
      const missed: number[] = [];
      for (let length = 0; length < bytes.length; length++) {
        writeFileSync(path, bytes.subarray(0, length));
        if ((await lookOnce(folder)).length === 0) missed.push(length);
      }
      expect(missed).toEqual([]);
    });
  }

  test("lookOnce() finds each file when it is missing", async () => {
    for (const file of FILES.filter((name) => name !== "cyrus.annotations")) {
      const folder = freshMailbox();
      const kept = readdirSync(folder).filter((name) => name !== file);
      const bare = join(tempDir("missing"), "mailbox");
      for (const name of kept) cpSync(join(folder, name), join(bare, name));
      expect(await lookOnce(bare)).not.toEqual([]);
    }
  });
});
