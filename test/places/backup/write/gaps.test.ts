import { beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Gap } from "../../../../src/formats/backup/run_mark.ts";
import { refused } from "../../../../src/model/outcome.ts";
import { runsOfArchive } from "../../../../src/places/backup/read/archive_runs.ts";
import type { Place, WritablePlace } from "../../../../src/places/place.ts";
import { wrapPlace } from "../../../../src/places/wrap_place.ts";
import { backUp, openBackup } from "../../../support/backup.ts";
import { granted, recordsIn } from "../../../support/places.ts";
import { applyTo, newStorePlace, put } from "../../../support/replication.ts";
import { guidOf, message, record } from "../../../support/store_fixture.ts";
import { tempDir } from "../../../support/temp_dir.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = "user.fred";
const SUB = "user.fred.Sub";
/** What the INBOX has in the first run. */
const FIRST = [record(1), record(2)];
const DELETED = "DELETED.user.fred.Sub.5F3A2B1C";

describe("a run finds the gap since the one before:", () => {
  let source: WritablePlace;
  let folder: string;
  const run = async (from: Place = source) => {
    const gaps: Gap[] = [];
    const open = { now: Date.now, place: from, gap: (_: unknown, gap: Gap) => gaps.push(gap) };
    const { failures } = await backUp(FRED, from, folder, { open });
    return { gaps, failures };
  };
  const move = (oldName: string, newName: string) =>
    applyTo(source, { kind: "rename", oldName, newName, partition: "default" });

  beforeEach(async () => {
    source = newStorePlace();
    folder = join(tempDir("backup"), "fred");
    await put(source, INBOX, FIRST);
    await put(source, SUB, [record(1)]);
    expect(await run()).toEqual({ gaps: [], failures: [] });
  });

  test("none where expunged messages and deleted mailboxes are kept for a while", async () => {
    await put(source, INBOX, [...FIRST, record(3, { expunged: true })]);
    await put(source, SUB, [record(1), record(2, {}, 4)], { numbers: [1, 4] });
    await move(SUB, DELETED);
    expect(await run()).toEqual({ gaps: [], failures: [] });
    const backup = await openBackup(folder, FRED);
    const { state, records } = granted(await backup.readMailbox(DELETED));
    expect([state.lastUid, (await recordsIn(records)).length]).toEqual([2, 2]);
    for (const uid of [3, 4]) {
      const guid = guidOf(message(uid));
      const address = { mailbox: INBOX, uniqueid: "", partition: null, uid, guid };
      expect(granted(await backup.message(address)).size).toBe(message(uid).length);
    }
    await backup.close();
    await applyTo(source, { kind: "unmailbox", name: DELETED });
    expect((await run()).gaps).toEqual([]);
  });

  test("messages that came and went", async () => {
    const state = await put(source, INBOX, [...FIRST, record(3), record(6)]);
    const { gaps } = await run();
    expect(gaps).toEqual([
      { name: INBOX, uniqueid: state.uniqueid, lastUid: 2, highestmodseq: "3", messages: 2 },
    ]);
    expect((await runsOfArchive(folder)).runs.map((one) => one.gaps)).toEqual([undefined, gaps]);
    expect((await run()).gaps).toEqual([]);
  });

  test("no message that could not be read", async () => {
    await put(source, INBOX, [...FIRST, record(3)]);
    const damaged = wrapPlace(source, ({ message: read }) => ({
      message: async (address) =>
        address.uid === 3 ? refused("damaged", "rotten") : read.call(source, address),
    }));
    expect(await run(damaged)).toEqual({ gaps: [], failures: [`${INBOX}: rotten`] });
    expect(await run()).toEqual({ gaps: [], failures: [] });
  });

  test("mailboxes that were deleted at once, seen or not, but for those that moved", async () => {
    const moved = await put(source, "user.fred.Moved", [record(5)]);
    await run();
    await move("user.fred.Moved", "user.bob");
    await put(source, "user.fred.New", [record(7)]);
    for (const name of [SUB, "user.fred.New"]) await applyTo(source, { kind: "unmailbox", name });
    const deleted = Math.floor(Date.now() / 1000) * 1000;
    const { gaps } = await run();
    const [sub, fresh] = gaps;
    expect(gaps.map(({ uniqueid }) => uniqueid)).not.toContain(moved.uniqueid);
    expect(gaps).toHaveLength(2);
    expect(sub).toMatchObject({ name: SUB, lastUid: 1, highestmodseq: "2" });
    expect(fresh).toMatchObject({ name: "user.fred.New", lastUid: 0 });
    for (const one of [sub, fresh]) {
      expect(Math.abs((one?.deleted ?? 0) - deleted)).toBeLessThanOrEqual(60_000);
    }
  });
});
