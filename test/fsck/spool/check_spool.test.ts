import { expect, test } from "bun:test";
import { join } from "node:path";
import { unpackFixture } from "../../support/fixtures.ts";
import { fsckSpool } from "../../support/fsck.ts";

const FIXTURES = ["uuid-paths", "legacy-paths", "index-versions"];

test.each(FIXTURES)("checkSpool() comes to the end of what %s has", async (name) => {
  const told: { done: number; total: number }[] = [];
  // Unlinked records, and index versions whose records are smaller, make the first guess wrong.
  await fsckSpool(join(unpackFixture(`cyrus-spools/${name}`), "spool"), {
    progress: (done, total) => told.push({ done, total }),
  });
  const { done, total } = told.at(-1) ?? { done: 0, total: 0 };
  expect([total > 0, done]).toEqual([true, total]);
  const all = told.map((one) => one.done);
  expect(all).toEqual(all.toSorted((left, right) => left - right));
});
