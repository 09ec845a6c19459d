/** Real mailboxes that nobody damaged: fsck finds nothing that counts. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { unpackFixture } from "../support/fixtures.ts";
import { codesOf, fsckSpool } from "../support/fsck.ts";
import { CLEAN_SPOOLS } from "../support/golden_mailboxes.ts";

describe("fsck of sound spools", () => {
  for (const name of CLEAN_SPOOLS) {
    test(`finds nothing of severity warning in ${name}`, async () => {
      const found = await fsckSpool(join(unpackFixture(`cyrus-spools/${name}`), "spool"));
      expect(codesOf(found, "warning")).toEqual([]);
    });

    test(`agrees on ${name} with the wasm engine, and without messages`, async () => {
      const spool = join(unpackFixture(`cyrus-spools/${name}`), "spool");
      expect(codesOf(await fsckSpool(spool, { engine: "wasm" }), "warning")).toEqual([]);
      expect(codesOf(await fsckSpool(spool, { quick: true }), "warning")).toEqual([]);
    });
  }
});
