/** Real mailboxes that nobody damaged: fsck finds nothing that counts. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { sharedFixture, unpackArchive, unpackFixture } from "../support/fixtures.ts";
import { codesOf, fsckSpool } from "../support/fsck.ts";

const SPOOLS = [
  "legacy-paths",
  "uuid-paths",
  "uuid-paths-3.12",
  "uuid-paths-master",
  "conversations-3.6",
  "index-versions",
  "index-versions-master",
];

/** These two hold the damaged mailboxes as they were before. */
describe("fsck of sound spools", () => {
  for (const name of SPOOLS) {
    test(`fsckSpool() finds nothing of severity warning in ${name}`, async () => {
      const found = await fsckSpool(join(unpackFixture(`cyrus-spools/${name}`), "spool"));
      expect(codesOf(found, "warning")).toEqual([]);
    });

    test(`fsckSpool() agrees on ${name} with the wasm engine, and without reading messages`, async () => {
      const spool = join(unpackFixture(`cyrus-spools/${name}`), "spool");
      expect(codesOf(await fsckSpool(spool, { engine: "wasm" }), "warning")).toEqual([]);
      expect(codesOf(await fsckSpool(spool, { quick: true }), "warning")).toEqual([]);
    });
  }
});

/** Kept in the shared folder only. The modseqs of the version 9 sample are a genuine fault. */
const OLD: Readonly<Record<string, readonly string[]>> = {
  version9: ["IX08 uid 1"],
  version10: [],
  version12: [],
  version19: [],
};

describe("fsck of old mailboxes", () => {
  for (const [name, expected] of Object.entries(OLD)) {
    const archive = sharedFixture(`fixtures/cyrus-old-mailboxes/${name}.tar.gz`);
    test.skipIf(archive === undefined)(`${name}: ${expected.join() || "nothing"}`, async () => {
      const root = unpackArchive(archive ?? "");
      const inside = readdirSync(root).includes("data") ? "data" : name;
      const found = await fsckSpool(join(root, inside));
      expect(codesOf(found, "warning")).toEqual([...expected]);
    });
  }
});
