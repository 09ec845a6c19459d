/** Message ids of before SHA-1: one kind of UUID can be checked, the others say nothing. */
import { describe, expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { md5 } from "../../src/hash/md5.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { codesOf, lookOnce } from "../support/fsck.ts";
import { tempDir } from "../support/temp_dir.ts";

/** user.ver.v9 of a real 3.6.1: version 9, null UUIDs. */
const spool = join(unpackFixture("cyrus-spools/index-versions"), "spool");

function version9Folder(): string {
  const found = Bun.spawnSync(["grep", "-rl", "user.ver.v9 ", spool, "--include=cyrus.header"]);
  const folder = join(tempDir("uuid"), "mailbox");
  cpSync(join(found.stdout.toString().trim(), ".."), folder, { recursive: true });
  return folder;
}

/** Writes 12 bytes as the UUID of the first record. */
function putUuid(folder: string, uuid: Uint8Array): void {
  const path = join(folder, "cyrus.index");
  const bytes = readFileSync(path);
  const index = IndexImage.open(bytes, "cyrus.index");
  bytes.set(uuid, index.offsetOf(0) + index.table.recordAt.guid);
  writeFileSync(path, bytes);
}

describe("a 12-byte UUID", () => {
  test("that begins with 02 is the start of the message's MD5: right and wrong", async () => {
    const folder = version9Folder();
    const digest = md5(readFileSync(join(folder, "1.")));
    putUuid(folder, Uint8Array.of(2, ...digest.subarray(0, 11)));
    expect(codesOf(await lookOnce(folder), "warning")).toEqual([]);
    putUuid(folder, Uint8Array.of(2, ...digest.subarray(1, 12)));
    expect(codesOf(await lookOnce(folder), "warning")).toEqual(["MS04 uid 1"]);
  });

  test("of another kind proves nothing and is no damage", async () => {
    const folder = version9Folder();
    for (const schema of [0, 1, 3, 255]) {
      putUuid(folder, Uint8Array.of(schema, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
      expect(codesOf(await lookOnce(folder), "warning")).toEqual([]);
    }
  });
});
