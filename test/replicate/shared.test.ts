/** Shared mailboxes go to a place that cannot list what it has, renames and quotas with them. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { refused } from "../../src/model/outcome.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { granted } from "../support/places.ts";
import { applyTo, NOTHING_DONE, newStorePlace, put, replicate } from "../support/replication.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { record } from "../support/store_fixture.ts";

const NEWS = { kind: "shared", toplevel: "news" } as const;

describe("replicateOwner() of shared mailboxes", () => {
  let source: WritablePlace;
  let server: TestServer;
  let target: WritablePlace;

  beforeEach(async () => {
    source = newStorePlace();
    server = await testServer();
    const synced = await openSyncPlace({
      address: {
        ...{ flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1" },
        port: server.port,
      },
      password: () => Promise.resolve("labpass"),
    });
    // As a Cyrus, which cannot list what it has.
    target = Object.assign(synced, {
      holds: { ...synced.holds, userList: false },
      sharedMailboxes: async () => refused("notSupported", "no list"),
    });
    await put(source, "news", [record(1)], { change: { quotaroot: "news" } });
    await put(source, "news.old", [record(2)], { change: { quotaroot: "news" } });
    await applyTo(source, { kind: "quota", quota: { root: "news", limits: { STORAGE: 50 } } });
  });
  afterEach(async () => {
    for (const place of [source, target]) await place.close();
    await server.stop();
  });

  const told = async () => {
    const { outcome, ...rest } = await replicate(NEWS, { source, target });
    granted(outcome);
    return rest;
  };
  const differences = async (from: WritablePlace, to: WritablePlace) => {
    const found: string[] = [];
    const tell = (name: string, text: string) => void found.push(`${name}: ${text}`);
    const options = {
      deep: true,
      difference: (one: { name: string; text: string }) => tell(one.name, one.text),
      failed: (name: string, { text }: { text: string }) => tell(name, text),
    };
    granted(await diffOwner(NEWS, { source: from, target: to }, options));
    return found;
  };

  test("brings mailboxes and their quota, then finds nothing to do", async () => {
    expect((await told()).steps).toEqual(["mailbox news", "mailbox news.old", "apply news"]);
    expect(granted(await target.quota("news"))?.limits).toEqual({ STORAGE: 50 });
    expect(await told()).toEqual(NOTHING_DONE);
    expect(await differences(source, target)).toEqual([]);
    expect(await differences(target, source)).toEqual([]);
  });

  test("knows a mailbox that was renamed by its uniqueid", async () => {
    await told();
    const [partition, oldName, newName] = ["default", "news.old", "news.archive"];
    await applyTo(source, { kind: "rename", oldName, newName, partition });
    expect((await told()).steps).toEqual(["rename news.archive"]);
    expect(granted(await target.mailboxes(["news.old", newName]))).toHaveLength(1);
  });

  test("mirrors what the source has, and leaves what it cannot see", async () => {
    await put(server.place, "news.unseen", [record(3)]);
    await told();
    await put(source, "news.old", [record(2, { modseq: 9n, expunged: true })]);
    const { outcome, ...rest } = await replicate(NEWS, { source, target }, { mode: "mirror" });
    granted(outcome);
    expect(rest).toEqual({ ...NOTHING_DONE, steps: ["mailbox news.old"] });
    expect(granted(await target.mailboxes(["news.unseen"]))).toHaveLength(1);
  });

  test("cannot come from a place that does not list them", async () => {
    const backwards = await replicate(NEWS, { source: target, target: source });
    expect(backwards.outcome).toMatchObject({ kind: "refused", reason: "notSupported" });
  });
});
