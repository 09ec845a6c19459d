/** Rules of APPLY MAILBOX that only a replica needs (sync-protocol.md 5.5). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { PlaceSession, WritablePlace } from "../../../src/places/place.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { initStore } from "../../../src/places/store/store_settings.ts";
import { guidOf, message, record, stateOf } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

let place: WritablePlace;
let session: PlaceSession;

beforeEach(async () => {
  const root = `${tempDir("rules")}/store`;
  initStore(root);
  place = openStorePlace(root);
  session = await place.openSession();
});

afterEach(async () => {
  await session.close();
  await place.close();
});

async function apply(change: Parameters<typeof stateOf>[2], uids: number[] = [], force = false) {
  for (const uid of uids) {
    const bytes = message(uid);
    const writer = session.stage({ partition: "p", guid: guidOf(bytes), size: bytes.length });
    writer.write(bytes);
    writer.end();
  }
  await session.flush();
  const records = uids.map((uid) => record(uid));
  const state = stateOf("user.fred", records, change);
  const outcome = await session.apply(
    { kind: "mailbox", state, records: recordsOf(records) },
    { force },
  );
  return outcome.kind === "ok" ? "ok" : outcome.reason;
}

async function current() {
  const found = await place.mailboxes(["user.fred"]);
  return found.kind === "ok" ? found.value[0] : undefined;
}

describe("APPLY MAILBOX", () => {
  test("gives the name of a mailbox that never had mail to another uniqueid", async () => {
    expect(await apply({ uniqueid: "first" })).toBe("ok");
    expect(await apply({ uniqueid: "second" }, [1])).toBe("ok");
    expect((await current())?.uniqueid).toBe("second");
    expect(await place.mailboxesByUniqueid(["first"])).toEqual({ kind: "ok", value: [] });
    expect(await apply({ uniqueid: "third" })).toBe("moved");
    expect((await current())?.uniqueid).toBe("second");
    expect(await apply({ uniqueid: "third" }, [], true)).toBe("ok");
    expect((await current())?.uniqueid).toBe("third");
    // What gave way is in the trash: its uniqueid may come again.
    expect(await apply({ uniqueid: "first" })).toBe("ok");
  });

  test("counts the annotations of a mailbox that comes again from nothing", async () => {
    expect(await apply({})).toBe("ok");
    const annotation = { name: "user.fred", entry: "/comment", userid: "", value: utf8("hello") };
    await session.apply({ kind: "annotation", ...annotation });
    await session.apply({ kind: "unmailbox", name: "user.fred" });
    expect(await apply({})).toBe("ok");
    expect((await current())?.annotations).toEqual([]);
  });

  test.each([
    { recentTime: -1 },
    { lastAppenddate: 2 ** 32 },
    { pop3LastLogin: -5 },
    { pop3ShowAfter: 2 ** 40 },
  ])("refuses a time that the index cannot hold: %j", async (change) => {
    expect(await apply(change)).toBe("badParameters");
    expect(await current()).toBeUndefined();
  });

  test.each([{ internaldate: -1 }, { lastUpdated: 2 ** 32 }, { savedate: 2 ** 33 }])(
    "refuses a record with such a time: %j",
    async (change) => {
      const records = [record(1, { expunged: true, ...change })];
      const state = stateOf("user.fred", records, { syncCrc: 0, syncCrcAnnot: 0 });
      const command = { kind: "mailbox", state, records: recordsOf(records) } as const;
      expect(await session.apply(command)).toMatchObject({
        kind: "refused",
        reason: "badParameters",
      });
    },
  );

  test("makes up no modseq of the folder where none is said", async () => {
    const { foldermodseq: _, ...state } = stateOf("user.fred", [], { highestmodseq: 7n });
    await session.apply({ kind: "mailbox", state, records: recordsOf([]) });
    expect((await current())?.foldermodseq).toBeUndefined();
  });
});

describe("annotations of the server", () => {
  test("are kept, replaced and removed", async () => {
    const named = { name: "", entry: "/motd", userid: "" };
    await session.apply({ kind: "annotation", ...named, value: utf8("hello") });
    await session.apply({ kind: "annotation", ...named, value: utf8("bye") });
    expect(await place.annotations("")).toEqual({
      kind: "ok",
      value: [{ entry: "/motd", userid: "", modseq: 0n, value: utf8("bye") }],
    });
    await session.apply({ kind: "unannotation", ...named });
    expect(await place.annotations("")).toEqual({ kind: "ok", value: [] });
  });
});
