import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseName } from "../../../src/model/names.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { openStorePlace, StorePlace } from "../../../src/places/store/store_place.ts";
import { initStore } from "../../../src/places/store/store_settings.ts";
import { newStore } from "../../support/new_store.ts";
import { granted } from "../../support/places.ts";
import {
  apply,
  fill,
  guidOf,
  message,
  peerCrcs,
  record,
  stateOf,
} from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { conforms } from "../conformance.ts";

for (const indexVersion of [17, 20] as const) {
  let root = "";
  conforms(`a store of index version ${indexVersion}`, {
    open: () => {
      root = `${tempDir("place")}/store`;
      initStore(root, { indexVersion });
      return Promise.resolve(openStorePlace(root));
    },
    reopen: () => Promise.resolve(openStorePlace(root)),
    refusesNames: true,
  });
}

describe("initStore()", () => {
  test("refuses a folder that holds something, and readSettings() one that is no store", () => {
    const root = tempDir("init");
    initStore(`${root}/a`);
    expect(() => initStore(`${root}/a`)).toThrow(/it holds/);
    expect(() => openStorePlace(root)).toThrow(/there is no bobbin.json/);
  });
});

describe("StorePlace.findSound()", () => {
  test("lets others be served between the messages of one request", async () => {
    const { store } = newStore();
    const messages = Array.from({ length: 12 }, (_, at) => message(at + 1, 700_000));
    const records = messages.map((bytes, at) =>
      record(at + 1, { guid: guidOf(bytes), size: bytes.length }),
    );
    apply(store, { state: stateOf("user.fred", records), records }, messages);
    const place = new StorePlace(store);
    const ended: string[] = [];
    const guids = [...records.map(({ guid }) => guid), "0".repeat(39).concat("1")];
    const reserving = place.findSound({ mailboxes: ["user.fred"], guids, partition: "default" });
    void reserving.then(() => ended.push("reserve"));
    void new Promise((resolve) => setImmediate(resolve)).then(() => ended.push("another"));
    expect(granted(await reserving).map(({ facts }) => facts.guid)).toEqual(guids.slice(0, -1));
    expect(ended).toEqual(["another", "reserve"]);
    await place.close();
  });
});

describe("a store on disk", () => {
  test("mail is for its owner alone, whatever the umask", () => {
    const before = process.umask(0);
    try {
      const { root, store } = newStore();
      fill(store, "user.fred", 2);
      store.registry.setAnnotation("/comment", "", Buffer.from("x"));
      store.stage();
      const open = Bun.spawnSync(["find", root, "-perm", "/077"]).stdout.toString();
      expect(open.split("\n").filter((path) => path !== "")).toEqual([]);
      store.close();
    } finally {
      process.umask(before);
    }
  });
});

describe("openStorePlace()", () => {
  test.each([
    ["user", "user.fred", (place: StorePlace) => place.user("fred")],
    ["sharedMailboxes", "lists", (place: StorePlace) => place.sharedMailboxes("lists")],
  ])(
    "%s() reports a damaged mailbox beside the sound ones and never serves it",
    async (_, top, read) => {
      const { root, store } = newStore();
      fill(store, top, 2);
      fill(store, `${top}.A`, 2);
      const { folder } = store.make(parseName(top).owner);
      store.close();
      const index = join(folder, stateOf(`${top}.A`, []).uniqueid, "cyrus.index");
      const whole = readFileSync(index);
      const place = openStorePlace(root);
      for (const at of [30, 100, 159]) {
        const bytes = Buffer.from(whole);
        bytes[at] = 1 ^ (bytes[at] ?? 0);
        writeFileSync(index, bytes);
        const owned = granted(await read(place));
        expect(owned.mailboxes.map(({ name }) => name)).toEqual([top]);
        expect(owned.unreadable?.map(({ name, refusal }) => [name, refusal.reason])).toEqual([
          [`${top}.A`, "damaged"],
        ]);
      }
      const bytes = Buffer.from(whole);
      bytes[170] = 1 ^ (bytes[170] ?? 0); // in the first record
      writeFileSync(index, bytes);
      const { records } = granted(await place.readMailbox(`${top}.A`));
      const readAll = async () => {
        for await (const _ of records.batches());
      };
      expect(readAll()).rejects.toThrow(/CRC mismatch in the record/);
      await place.close();
    },
  );

  test("a reader in another process sees the old state or the new one", async () => {
    const { root, store } = newStore();
    const records = fill(store, "user.fred", 50);
    const reader = openStorePlace(root);
    for (let round = 0; round < 30; round++) {
      const modseq = BigInt(100 + round);
      const changed = records.map((one) => ({
        ...one,
        modseq,
        flags: round % 2 === 0 ? ["\\Seen"] : [],
      }));
      apply(store, { state: stateOf("user.fred", changed), records: changed });
      const { state, records: found } = granted(await reader.readMailbox("user.fred"));
      const all: MailRecord[] = [];
      for await (const batch of found.batches()) all.push(...batch);
      expect(new Set(all.map((one) => one.modseq))).toEqual(new Set([state.highestmodseq]));
      expect(state.syncCrc).toBe(peerCrcs(all).syncCrc);
    }
    await reader.close();
    store.close();
  });
});
