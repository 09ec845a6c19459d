/** What comes back of an archive, and that nothing which the target has is touched. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import type { WritablePlace } from "../../../src/places/place.ts";
import { type RestoreChoice, restoring } from "../../../src/replicate/restore/restored_place.ts";
import { granted, recordsIn, withSessions } from "../../support/places.ts";
import { applyTo, livingUids, newStorePlace, put, replicate } from "../../support/replication.ts";
import { NOW, record, stateOf } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const [INBOX, SUB, OLD] = ["user.fred", "user.fred.Sub", "user.fred.Old"];
const TRASHED = "DELETED.user.fred.Sub.6B0DE715";
const EVERYTHING: RestoreChoice = {
  ...{ isWanted: undefined, messages: undefined, as: undefined, onlyCopies: false },
  now: () => NOW,
};

describe("restoring()", () => {
  let archive: WritablePlace;
  let target: WritablePlace;
  beforeEach(() => {
    archive = newStorePlace();
    target = newStorePlace();
  });
  afterEach(async () => {
    await archive.close();
    await target.close();
  });

  const restore = async (choice: Partial<RestoreChoice> = {}, to = target, dryRun = false) => {
    const back = restoring(archive, to, { ...EVERYTHING, ...choice });
    const told = await replicate(
      FRED,
      { source: back.place, target: to },
      { isPart: true, dryRun },
    );
    const uids = back
      .all()
      .flatMap(({ restored, state }) =>
        restored.map(({ uid, newUid }) => `${state.name} ${uid} ${newUid}`),
      );
    return { ...told, uids, present: back.all().flatMap(({ present }) => present) };
  };
  const only = (name: string) => ({ isWanted: (mailbox: string) => mailbox === name });
  const recordsAt = async (name: string): Promise<MailRecord[]> =>
    recordsIn(granted(await target.readMailbox(name)).records);
  const stateAt = async (name: string) => granted(await target.readMailbox(name)).state;
  const rename = (place: WritablePlace, oldName: string, newName: string) =>
    applyTo(place, { kind: "rename", oldName, newName, partition: "default" });
  const comparable = ({ syncCrc: _, ...state }: ReturnType<typeof stateOf>) => state;

  test("brings a mailbox that is gone back as it was", async () => {
    const records = [record(1), record(4, { expunged: true }), record(7, { flags: ["work"] })];
    const state = await put(archive, SUB, records);
    await applyTo(archive, { kind: "sub", userid: "fred", name: SUB });
    await put(target, INBOX, [record(2)]);
    const before = await stateAt(INBOX);
    expect((await restore(only(SUB), target, true)).steps).toEqual([
      `mailbox ${SUB}`,
      `apply ${SUB}`,
    ]);
    const told = await restore(only(SUB));
    expect([told.failures, told.leftovers, told.uids]).toEqual([[], [], []]);
    expect(await recordsAt(SUB)).toEqual(
      await recordsIn(granted(await archive.readMailbox(SUB)).records),
    );
    expect(await stateAt(SUB)).toMatchObject({ uniqueid: state.uniqueid, lastUid: state.lastUid });
    expect(await stateAt(INBOX)).toEqual(before);
    expect(granted(await target.user("fred")).subscriptions).toEqual([SUB]);
    expect((await restore(only(SUB))).steps).toEqual([]);
  });

  test("gives messages that a living mailbox lacks new UIDs, and keeps the rest", async () => {
    const note = { entry: "/comment", userid: "", modseq: 2n, value: utf8("a note") };
    const lost = record(3, { flags: ["\\Seen", "work"], annotations: [note], savedate: 9 });
    await put(archive, INBOX, [record(1), lost, record(4), record(5, { expunged: true })]);
    const now = [record(1, { flags: ["\\Flagged"] }), record(3, { expunged: true, modseq: 50n })];
    await put(target, INBOX, [...now, record(9, { modseq: 60n })]);
    const [before, records] = [await stateAt(INBOX), await recordsAt(INBOX)];
    const dry = await restore({}, target, true);
    expect(await recordsAt(INBOX)).toEqual(records);
    const told = await restore();
    expect([dry.uids, dry.steps]).toEqual([told.uids, told.steps]);
    expect(told).toMatchObject({ failures: [], leftovers: [], steps: [`mailbox ${INBOX}`] });
    expect(told.uids).toEqual([`${INBOX} 3 10`, `${INBOX} 4 11`]);
    const after = await recordsAt(INBOX);
    expect(after.slice(0, 3)).toEqual(records);
    const modseq = before.highestmodseq + 1n;
    expect(after[3]).toEqual({
      ...{ ...lost, uid: 10, modseq, createdmodseq: lost.createdmodseq && modseq, savedate: NOW },
      ...{ lastUpdated: NOW, annotations: [{ ...note, modseq }] },
    });
    expect(comparable(await stateAt(INBOX))).toMatchObject({
      ...{ uniqueid: before.uniqueid, uidvalidity: before.uidvalidity },
      ...{ lastUid: 11, highestmodseq: modseq },
    });
    expect((await restore()).steps).toEqual([]);
  });

  test("renames a deleted mailbox back, and brings what was expunged in it", async () => {
    await put(archive, SUB, [record(1), record(2)]);
    await put(target, SUB, [record(1), record(2, { expunged: true, modseq: 50n })]);
    await rename(target, SUB, TRASHED);
    const told = await restore(only(SUB));
    expect(told.failures).toEqual([]);
    expect(told.steps).toEqual([`rename ${SUB}`, `mailbox ${SUB}`]);
    expect([await livingUids(target, SUB), told.uids]).toEqual([[1, 3], [`${SUB} 2 3`]]);
    expect(granted(await target.mailboxes([TRASHED]))).toEqual([]);
  });

  test("finds a mailbox under its new name; one that took its old name gets nothing", async () => {
    await put(archive, SUB, [record(1), record(2)]);
    await put(target, SUB, [record(1)]);
    await rename(target, SUB, OLD);
    await put(target, SUB, [record(8)], { change: { uniqueid: "somebody-else" } });
    const told = await restore(only(SUB));
    expect([told.failures, told.uids]).toEqual([[], [`${OLD} 2 2`]]);
    expect(await livingUids(target, SUB)).toEqual([8]);
  });

  test("brings into a mailbox made anew, and in place of one without mail", async () => {
    await put(archive, SUB, [record(1)]);
    await put(archive, OLD, [record(5)]);
    await put(target, SUB, [record(8)], { change: { uniqueid: "made-anew" } });
    await put(target, OLD, [], { change: { uniqueid: "never-used" } });
    const told = await restore();
    expect([told.failures, told.leftovers, told.uids]).toEqual([[], [], [`${SUB} 1 9`]]);
    expect(await livingUids(target, SUB)).toEqual([8, 9]);
    expect((await stateAt(OLD)).uniqueid).toBe(stateOf(OLD, []).uniqueid);
    expect(await livingUids(target, OLD)).toEqual([5]);
  });

  test("brings one message by UID or GUID, expunged ones too, without \\Deleted", async () => {
    const flags = ["\\Deleted", "\\Seen"];
    await put(archive, INBOX, [record(1), record(2, { expunged: true, flags }), record(3)]);
    await put(target, INBOX, [record(3)]);
    const messages = { uids: new Set([2]), guids: new Set([record(3).guid]) };
    const told = await restore({ messages });
    expect([told.failures, told.uids]).toEqual([[], [`${INBOX} 2 4`]]);
    expect(told.present).toEqual([{ guid: record(3).guid, uid: 3, newUid: 3 }]);
    expect((await recordsAt(INBOX)).at(-1)?.flags).toEqual(["\\Seen"]);
    const none = await restore({ messages: { uids: new Set([1, 77]), guids: new Set() } });
    expect(none.outcome).toMatchObject({
      reason: "nonexistent",
      text: expect.stringContaining("77"),
    });
    expect(await livingUids(target, INBOX)).toEqual([3, 4]);
  });

  test("brings messages into a mailbox that is gone, expunged ones under new UIDs", async () => {
    await put(archive, SUB, [record(1), record(2), record(3, { expunged: true })]);
    const messages = { uids: new Set([2, 3]), guids: new Set<string>() };
    const told = await restore({ ...only(SUB), messages });
    expect([told.failures, told.uids]).toEqual([[], [`${SUB} 2 2`, `${SUB} 3 4`]]);
    expect(await livingUids(target, SUB)).toEqual([2, 4]);
  });

  test("brings a mailbox beside itself under another name, twice as once", async () => {
    await put(archive, SUB, [record(1), record(2)]);
    await put(target, SUB, [record(1)]);
    const as = { owner: FRED, name: "user.fred.Beside" };
    const told = await restore({ ...only(SUB), as });
    expect([told.failures, told.uids]).toEqual([[], []]);
    expect(await livingUids(target, as.name)).toEqual([1, 2]);
    expect((await stateAt(as.name)).uniqueid).not.toBe((await stateAt(SUB)).uniqueid);
    expect(await livingUids(target, SUB)).toEqual([1]);
    expect((await restore({ ...only(SUB), as })).steps).toEqual([]);
  });

  test("leaves deleted mailboxes of the archive, but for one that is named", async () => {
    await put(archive, SUB, [record(1)]);
    await rename(archive, SUB, TRASHED);
    const named = "DELETED/user/fred/Sub/6B0DE715, or read it as of before with @TIME";
    for (const choice of [{}, only(SUB)]) {
      expect((await restore(choice)).outcome).toMatchObject({
        reason: "nonexistent",
        text: expect.stringContaining(`but deleted ones: name ${named}`),
      });
    }
    await put(archive, INBOX, [record(2)]);
    expect((await restore()).steps).toEqual([`mailbox ${INBOX}`]);
    expect((await restore(only(TRASHED))).steps).toEqual([`mailbox ${SUB}`]);
    expect(await livingUids(target, SUB)).toEqual([1]);
  });

  test("brings all settings of a user who is gone, and none of one who is there", async () => {
    await put(archive, INBOX, [record(1)]);
    const quota = { root: INBOX, limits: { STORAGE: 1000 } };
    const script = { filename: "a.script", lastUpdate: 99, content: utf8("keep;\n") };
    await applyTo(archive, { kind: "quota", quota });
    await applyTo(archive, { kind: "sieve", userid: "fred", ...script });
    expect((await restore()).steps).toEqual([
      `mailbox ${INBOX}`,
      `apply ${INBOX}`,
      "sieve a.script",
    ]);
    await applyTo(target, { kind: "quota", quota: { ...quota, limits: { STORAGE: 5000 } } });
    await applyTo(target, { kind: "unsieve", userid: "fred", filename: "a.script" });
    expect(await restore()).toMatchObject({ steps: [], leftovers: [], failures: [] });
  });

  test("gives other UIDs where a message arrives meanwhile", async () => {
    await put(archive, INBOX, [record(1), record(2)]);
    await put(target, INBOX, [record(1)]);
    let isLate = false;
    const busy = withSessions(target, (session) => ({
      apply: async (command, options) => {
        if (command.kind === "mailbox" && !isLate) {
          isLate = true;
          await put(target, INBOX, [record(1), record(6, { modseq: 70n })]);
        }
        return session.apply(command, options);
      },
    }));
    const told = await restore({}, busy);
    expect([told.failures, told.uids]).toEqual([[], [`${INBOX} 2 7`]]);
    expect(await livingUids(target, INBOX)).toEqual([1, 6, 7]);
  });
});
