/**
 * Mirrors of sources that are partly damaged: what cannot be read there is never taken for deleted.
 */
import { describe, expect, test } from "bun:test";
import { cpSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../src/core/bytes.ts";
import { refused } from "../../src/model/outcome.ts";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { spoolSource } from "../../src/places/cyrus/spool_source.ts";
import { createDumpPlace, openDumpPlace } from "../../src/places/dump/dump_place.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { asUser } from "../../src/replicate/owner/renamed_place.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { granted } from "../support/places.ts";
import { applyTo, livingUids, newStorePlace, put, replicate } from "../support/replication.ts";
import { standIn } from "../support/stand_in.ts";
import { record } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";

const ANN = { kind: "user", userid: "ann" } as const;

/** A partition's folder of a fixture, its place, and a store that has all that ann has. */
async function mirrored(
  fixture: string,
): Promise<{ readonly data: string; readonly source: Place; readonly target: WritablePlace }> {
  const data = join(unpackFixture(`cyrus-spools/${fixture}`), "spool");
  const target = newStorePlace();
  const source = cyrusPlace(spoolSource({ data }));
  const told = await replicate(ANN, { source, target });
  expect(told.failures).toEqual([]);
  await source.close();
  return { data, source: cyrusPlace(spoolSource({ data })), target };
}

/** Overwrites the first byte of the cyrus.header in which `name` stands. */
function damageHeader(data: string, name: string): void {
  for (const path of globSync(`${data}/**/cyrus.header`)) {
    const bytes = readFileSync(path);
    const text = bytes.toString("latin1");
    if (!text.includes(`${name})`) && !text.includes(`${name} `)) continue;
    bytes[0] = 0;
    writeFileSync(path, bytes);
  }
}

describe("replicateOwner()", () => {
  test("keeps a mailbox whose damaged cyrus.header alone tells its name", async () => {
    const { data, source, target } = await mirrored("uuid-paths");
    damageHeader(data, "user.ann.Archive.2026.Q1");
    const told = await replicate(ANN, { source, target }, { mode: "mirror" });
    const differences: string[] = [];
    const failed: string[] = [];
    await diffOwner(
      ANN,
      { source, target },
      {
        deep: false,
        difference: ({ name, text }) => void differences.push(`${name} ${text}`),
        failed: (name) => void failed.push(name),
      },
    );
    expect(told.steps).toEqual([]);
    expect(told.failures).toHaveLength(1);
    expect([differences, failed]).toEqual([[], ["user.ann.Archive.2026.Q1"]]);
    expect(await livingUids(target, "user.ann.Archive.2026.Q1")).toHaveLength(4);
    for (const place of [source, target]) await place.close();
  });

  test("keeps it under another user's name too", async () => {
    const data = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
    const target = newStorePlace();
    const rename = { from: "ann", to: "eve" };
    const eve = { kind: "user", userid: "eve" } as const;
    const [before, after] = [1, 2].map(() => asUser(cyrusPlace(spoolSource({ data })), rename));
    if (before === undefined || after === undefined) return expect.unreachable();
    expect((await replicate(eve, { source: before, target })).failures).toEqual([]);
    damageHeader(data, "user.ann.Archive.2026.Q1");
    const told = await replicate(eve, { source: after, target }, { mode: "mirror" });
    expect([told.steps, told.failures.length]).toEqual([[], 1]);
    expect(await livingUids(target, "user.eve.Archive.2026.Q1")).toHaveLength(4);
    for (const place of [before, after, target]) await place.close();
  });

  test("deletes nobody whose mailboxes have all lost their names", async () => {
    const { data, source, target } = await mirrored("uuid-paths");
    for (const path of globSync(`${data}/**/cyrus.header`)) writeFileSync(path, "");
    const told = await replicate(ANN, { source, target }, { mode: "mirror", allowDelete: 100 });
    expect(told.steps).toEqual([]);
    expect(told.failures).toHaveLength(granted(await target.user("ann")).mailboxes.length);
    for (const place of [source, target]) await place.close();
  });

  test("deletes nothing beside a mailbox that has neither a header nor a uniqueid", async () => {
    const { data, source, target } = await mirrored("legacy-paths");
    const [oldName, newName] = ["user.ann.Archive.2026.Q1", "user.ann.Elsewhere"];
    await applyTo(target, { kind: "rename", oldName, newName, partition: "default" });
    damageHeader(data, oldName);
    const told = await replicate(ANN, { source, target }, { mode: "mirror" });
    expect(told.steps.filter((step) => step.startsWith("delete"))).toEqual([]);
    expect(told.leftovers).toEqual([`mailbox ${newName}`]);
    expect(told.failures).toHaveLength(1);
    expect(await livingUids(target, newName)).toHaveLength(4);
    for (const place of [source, target]) await place.close();
  });

  test("deletes neither of two mailboxes that have one name at the source", async () => {
    const { data, source, target } = await mirrored("legacy-paths");
    const [oldName, newName] = ["user.ann.Archive.2026.Q1", "user.ann.aside"];
    const [{ uniqueid } = { uniqueid: "" }] = granted(await target.mailboxes([oldName]));
    await applyTo(target, { kind: "rename", oldName, newName, partition: "default" });
    const [folder = ""] = globSync(`${data}/**/user/ann/Archive/2026/Q1`);
    const twin = join(data, "uuid", "a", "b", "ab-twin");
    cpSync(folder, twin, { recursive: true });
    const header = readFileSync(join(twin, "cyrus.header"), "latin1");
    const renamed = header.replace(uniqueid, "z".repeat(uniqueid.length));
    writeFileSync(join(twin, "cyrus.header"), renamed, "latin1");
    const told = await replicate(ANN, { source, target }, { mode: "mirror" });
    expect(told.steps.filter((step) => step.startsWith("delete"))).toEqual([]);
    expect(told.leftovers).toEqual([`mailbox ${newName}`]);
    expect(await livingUids(target, newName)).toHaveLength(4);
    for (const place of [source, target]) await place.close();
  });

  test("takes nothing for deleted that a dump could not be given", async () => {
    const { data, source, target } = await mirrored("legacy-paths");
    const name = "user.ann.Archive.2026.Q1";
    const [path = ""] = globSync(`${data}/**/Archive/2026/Q1/1.`);
    writeFileSync(path, "rotten");
    const dumped = `${tempDir("dump")}/ann.dlist`;
    const dump = createDumpPlace(dumped);
    const first = await replicate(ANN, { source, target: dump });
    await dump.close();
    expect(first.failures).toHaveLength(1);
    const read = openDumpPlace(dumped);
    const again = await replicate(ANN, { source: read, target }, { mode: "mirror" });
    expect([again.steps, again.failures.length]).toEqual([[], 1]);
    expect(await livingUids(target, name)).toHaveLength(4);
    for (const place of [source, target, read]) await place.close();
  });

  test("deletes nothing where a script could not be read for a dump", async () => {
    const source = newStorePlace();
    const target = newStorePlace();
    const [userid, filename] = ["ann", "a.script"];
    const content = utf8("keep;");
    for (const place of [source, target]) {
      await put(place, "user.ann", [record(1)]);
      await applyTo(place, { kind: "sieve", userid, filename, lastUpdate: 5, content });
    }
    const path = `${tempDir("dump")}/ann.dlist`;
    const dump = createDumpPlace(path);
    const rotten = standIn(source, { sieveScript: async () => refused("failed", "rotten") });
    expect((await replicate(ANN, { source: rotten, target: dump })).failures).toHaveLength(1);
    await dump.close();
    const read = openDumpPlace(path);
    const told = await replicate(ANN, { source: read, target }, { mode: "mirror" });
    expect([told.steps, told.failures.length]).toEqual([[], 1]);
    expect(granted(await target.sieveScript(userid, filename))).toEqual(content);
    for (const place of [source, target, read]) await place.close();
  });
});
