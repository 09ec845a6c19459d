/** What a session holds in its staging, and what of it counts. */
import { describe, expect, test } from "bun:test";
import { existsSync, linkSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Staging } from "../../../../src/places/store/messages/staging.ts";
import { newStore } from "../../../support/new_store.ts";
import { guidOf, message, stageWhole } from "../../../support/store_fixture.ts";
import { tempDir } from "../../../support/temp_dir.ts";

const MEMORY = "/dev/shm";
const bytes = message(1);
const facts = { guid: guidOf(bytes), size: bytes.length, headerSize: 10 };

/** A message of a pool in a folder below `parent`. */
function pooledIn(parent?: string): string {
  const path = join(tempDir("pool", parent), facts.guid);
  writeFileSync(path, bytes);
  return path;
}

describe("Staging.reserve()", () => {
  test("takes no room where a link can be made, whatever the limit", () => {
    const { root, store } = newStore();
    const staging = new Staging(root, { stagingBytes: 1, messageBytes: 10_000 });
    const { path } = staging.reserve({ path: pooledIn(), facts });
    expect([statSync(path).nlink, staging.bytes]).toEqual([2, 0]);
    staging.close();
    store.close();
  });

  const isElsewhere = existsSync(MEMORY) && statSync(MEMORY).dev !== statSync(tempDir("dev")).dev;
  test.if(isElsewhere)("counts a copy, and makes none beyond the limit", () => {
    const { root, store } = newStore();
    const pooled = { path: pooledIn(MEMORY), facts };
    const small = new Staging(root, { stagingBytes: facts.size - 1, messageBytes: 10_000 });
    expect(() => small.reserve(pooled)).toThrow(/the session holds 0 bytes/);
    expect([small.has(facts.guid), small.bytes]).toEqual([false, 0]);
    small.close();
    const large = new Staging(root, { stagingBytes: facts.size, messageBytes: 10_000 });
    const { path } = large.reserve(pooled);
    expect([statSync(path).nlink, large.bytes]).toEqual([1, facts.size]);
    large.applied([facts.guid]);
    expect([large.has(facts.guid), large.bytes]).toEqual([true, 0]);
    large.close();
    store.close();
  });
});

describe("Staging.begin()", () => {
  test("refuses a message over its limit; what is sent the server counts", () => {
    const { root, store } = newStore();
    const small = new Staging(root, { stagingBytes: 1, messageBytes: facts.size - 1 });
    expect(() => stageWhole(small, bytes, facts.guid)).toThrow(`over ${facts.size - 1} bytes`);
    expect([small.has(facts.guid), existsSync(join(small.folder, facts.guid))]).toEqual([
      false,
      false,
    ]);
    small.close();
    const fits = new Staging(root, { stagingBytes: 1, messageBytes: facts.size });
    stageWhole(fits, bytes, facts.guid);
    expect([fits.has(facts.guid), fits.bytes]).toEqual([true, 0]);
    fits.close();
    store.close();
  });
});

describe("Staging.begin()", () => {
  test("writes into no file that lies under the name already: it may be mail of a pool", () => {
    const { root, store } = newStore();
    const staging = new Staging(root, { stagingBytes: 10_000, messageBytes: 10_000 });
    const pooled = pooledIn();
    linkSync(pooled, join(staging.folder, facts.guid)); // what a broken reservation leaves
    const writer = staging.begin(facts.guid);
    writer.write(bytes.subarray(0, 5));
    expect(readFileSync(pooled).equals(bytes)).toBe(true);
    writer.write(bytes.subarray(5));
    writer.end();
    expect(statSync(join(staging.folder, facts.guid)).nlink).toBe(1);
    staging.close();
    store.close();
  });
});
