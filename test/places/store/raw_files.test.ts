/** The store's mailboxes as raw files, against what its own place reads. */
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readingOfRaw } from "../../../src/places/raw_mailbox.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { newStore } from "../../support/new_store.ts";
import { granted, recordsIn } from "../../support/places.ts";
import { fill } from "../../support/store_fixture.ts";
import { storeWithJournal } from "../../support/unsettled_store.ts";

describe("rawMailbox()", () => {
  for (const access of ["read", "upgrade"] as const) {
    test(`gives files with what the journal has yet to do to them (${access})`, async () => {
      const place = openStorePlace(storeWithJournal(), { access });
      const { name, uniqueid, files, facts } = granted(await place.rawMailbox("user.fred"));
      const found = granted(readingOfRaw(name, files, { uniqueid }));
      const wanted = granted(await place.readMailbox(name));
      expect(await recordsIn(found.records)).toEqual(await recordsIn(wanted.records));
      expect([found.state.lastUid, found.state.syncCrc]).toEqual([4, wanted.state.syncCrc]);
      expect(facts.index?.size).toBe(files.index?.length);
      const uids = [2, 4, 9];
      const some = granted(await place.rawRecords({ name, uids })).records;
      expect(some.map(({ uid }) => uid)).toEqual([2, 4]);
      await place.close();
    });
  }
});

describe("rawMailboxes()", () => {
  const { root, store } = newStore();
  fill(store, "user.fred", 2);
  fill(store, "user.fred.A", 1);
  const folder = store.make({ kind: "user", userid: "fred" }).folder;
  store.close();
  const place = openStorePlace(root, { access: "read" });
  afterAll(() => place.close());

  test("leaves out no mailbox that is damaged: that would look as if it were deleted", async () => {
    const database = new Database(join(folder, ".catalogue.sqlite"));
    database.run("UPDATE mailbox SET state = 'x' WHERE name = 'user.fred.A'");
    database.close();
    const listed = granted(await place.rawMailboxes("fred"));
    expect(listed.map(({ name, facts }) => [name, Object.keys(facts)])).toEqual([
      ["user.fred", ["header", "index"]],
      ["user.fred.A", []],
    ]);
    expect(await place.rawMailbox("user.fred.A")).toMatchObject({ reason: "damaged" });
  });
});
