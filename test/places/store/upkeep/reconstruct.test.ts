import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, renameSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { allMailboxes } from "../../../../src/places/store/catalogue/mailbox_rows.ts";
import type { Store } from "../../../../src/places/store/store.ts";
import { reconstructStore } from "../../../../src/places/store/upkeep/reconstruct.ts";
import { newStore, storeAt } from "../../../support/new_store.ts";
import { fill, stateOf } from "../../../support/store_fixture.ts";
import { until } from "../../../support/until.ts";

const anne = { kind: "user", userid: "anne" } as const;
const fred = { kind: "user", userid: "fred" } as const;

/** A writer of `owner` that has not committed yet; what it returns lets go. */
function writerOf(root: string, folder: string): () => void {
  const database = new Database(join(root, folder, ".catalogue.sqlite"));
  database.run("BEGIN IMMEDIATE");
  return () => database.close();
}

function names(store: Store, owner: typeof anne | typeof fred): readonly string[] {
  return store.make(owner).read((database) => allMailboxes(database).map(({ name }) => name));
}

describe("reconstructStore() beside others", () => {
  test("tells once what it did of one owner, however long it waits for the next", async () => {
    const { root, store } = newStore();
    for (const name of ["user.anne", "user.fred"]) fill(store, name, 1);
    store.close();
    renameSync(join(root, "user/a/anne/.catalogue.sqlite"), join(root, "../gone"));
    const again = storeAt(root);
    const letGo = writerOf(root, "user/f/fred");
    const done = reconstructStore(again);
    const isBack = () => again.has(anne) && names(again, anne).includes("user.anne");
    await until("anne has her mailbox again", isBack);
    letGo();
    expect((await done).map(({ what, name }) => `${what} ${basename(name)}`)).toEqual([
      "catalogue made .catalogue.sqlite",
      "mailbox added user.anne",
    ]);
    again.close();
  });

  test("keeps the claims that a server makes meanwhile, and drops those of nobody", async () => {
    const { root, store } = newStore();
    for (const name of ["user.anne", "user.fred"]) fill(store, name, 1);
    const live = storeAt(root);
    live.claim("of-nobody", { kind: "user", userid: "nobody" });
    live.claim("of-anne-no-more", anne);
    const letGo = writerOf(root, "user/f/fred");
    const done = reconstructStore(store);
    await until("anne is done", () => store.registry.holder("of-anne-no-more") === undefined);
    fill(live, "user.anne.Later", 1);
    letGo();
    expect((await done).map(({ owner, what, name }) => [owner, what, name].join(" "))).toEqual([
      "user:nobody claims dropped 1 of its mailboxes",
    ]);
    expect(await reconstructStore(store)).toEqual([]);
    expect(store.registry.holder(stateOf("user.anne.Later", []).uniqueid)).toEqual(anne);
    expect(store.registry.holder("of-nobody")).toBeUndefined();
    for (const one of [store, live]) one.close();
  });

  test("tells of a uniqueid that two owners hold, and leaves it to the first", async () => {
    const { store } = newStore();
    for (const name of ["user.anne", "user.fred.A"]) fill(store, name, 1);
    const { uniqueid } = stateOf("user.fred.A", []);
    const sql = "INSERT INTO mailbox (uniqueid, name, state) VALUES (?, 'user.anne.A', '{}')";
    store.make(anne).database.run(sql, [uniqueid]);
    expect((await reconstructStore(store)).map(({ what, name }) => `${what} ${name}`)).toContain(
      `folder left out ${uniqueid}`,
    );
    expect(store.registry.holder(uniqueid)).toEqual(fred);
    store.close();
  });

  test("a server writes into the new catalogue, not into the one that was set aside", async () => {
    const { root, store: live } = newStore();
    for (const name of ["user.fred", "user.fred.A"]) fill(live, name, 1);
    live.make(fred).database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    const fd = openSync(join(root, "user/f/fred/.catalogue.sqlite"), "r+");
    writeSync(fd, Buffer.alloc(8192, "x"), 0, 8192, 4096);
    closeSync(fd);
    const store = storeAt(root);
    const notes = await reconstructStore(store);
    expect(notes.map(({ what }) => what)).toContain("catalogue set aside");
    fill(live, "user.fred.B", 1);
    expect(names(store, fred)).toEqual(["user.fred", "user.fred.A", "user.fred.B"]);
    for (const one of [store, live]) one.close();
    const after = storeAt(root);
    expect(names(after, fred)).toEqual(["user.fred", "user.fred.A", "user.fred.B"]);
    after.close();
  });
});
