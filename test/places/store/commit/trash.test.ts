import type { Database } from "bun:sqlite";
import { describe, expect, spyOn, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  allMailboxes,
  mailboxByName,
  tombstones,
} from "../../../../src/places/store/catalogue/mailbox_rows.ts";
import {
  deleteMailboxes,
  strayGraves,
  undeleteMailboxes,
} from "../../../../src/places/store/commit/trash.ts";
import type { Store } from "../../../../src/places/store/store.ts";
import { collectOwner } from "../../../../src/places/store/upkeep/gc.ts";
import { reconstructStore } from "../../../../src/places/store/upkeep/reconstruct.ts";
import { newStore, storeAt } from "../../../support/new_store.ts";
import { fill, NOW, stateOf } from "../../../support/store_fixture.ts";
import { type Contents, verifyStore } from "../../../support/store_verify.ts";

const SUB = "user.fred.Sub";
const ID = stateOf(SUB, []).uniqueid;
const owner = { kind: "user", userid: "fred" } as const;

function removeMailbox(store: Store): void {
  store.make(owner).write((transaction) => {
    const row = mailboxByName(transaction.database, SUB);
    if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
  });
}

function undelete(store: Store): void {
  const claim = (uniqueid: string): string | undefined => store.claim(uniqueid, owner)?.kind;
  undeleteMailboxes(store.make(owner), { which: SUB }, claim);
}

describe("undeleteMailboxes()", () => {
  test("brings a mailbox back over what a creation that did not commit left", () => {
    const { root, store } = newStore();
    for (const name of ["user.fred", SUB]) fill(store, name, 2);
    const before = verifyStore(root);
    removeMailbox(store);
    const create = (): void =>
      store.make(owner).write(({ makeMailboxFolder }) => {
        makeMailboxFolder(ID);
        for (const file of ["1.", "7."]) writeFileSync(join(root, "user/f/fred", ID, file), "x");
        throw new Error("killed");
      });
    expect(create).toThrow("killed");
    undelete(store);
    expect(store.make(owner).pending()).toEqual([]);
    expect(verifyStore(root)).toEqual(before);
    fill(store, "user.fred", 3);
  });

  test("refuses where a lost mailbox is in the way, or its folder is gone", () => {
    const { root, store } = newStore();
    fill(store, SUB, 1);
    removeMailbox(store);
    const folder = join(root, "user/f/fred");
    mkdirSync(join(folder, ID));
    writeFileSync(join(folder, ID, "cyrus.index"), "x");
    expect(() => undelete(store)).toThrow(`there is a folder ${ID}`);
    rmSync(join(folder, ID), { recursive: true });
    rmSync(join(folder, ".trash"), { recursive: true });
    expect(() => undelete(store)).toThrow("is gone");
    expect(store.make(owner).pending()).toEqual([]);
    expect(store.make(owner).read(tombstones).length).toBe(1);
  });
});

describe("undeleteMailboxes() with tree", () => {
  const TREE = [SUB, `${SUB}.x`, `${SUB}.x.y`];
  const ids = (name: string) => stateOf(name, []).uniqueid;

  function deleted(names: readonly string[]): { root: string; store: Store; before: Contents } {
    const { root, store } = newStore();
    for (const name of ["user.fred", "user.fred.Sub2", ...TREE]) fill(store, name, 2);
    const before = verifyStore(root);
    store.make(owner).write((transaction) => {
      const rows = allMailboxes(transaction.database);
      deleteMailboxes(
        transaction,
        rows.filter(({ name }) => names.includes(name)),
        NOW,
      );
    });
    return { root, store, before };
  }

  const back = (store: Store, request: Omit<Parameters<typeof undeleteMailboxes>[1], "tree">) =>
    undeleteMailboxes(store.make(owner), { ...request, tree: true }, (uniqueid) => {
      return store.claim(uniqueid, owner)?.kind;
    }).map(({ name }) => name);

  test("brings back a mailbox and all that was deleted below it, and nothing else", () => {
    for (const which of [SUB, ids(SUB)]) {
      const { root, store, before } = deleted([...TREE, "user.fred.Sub2"]);
      expect(back(store, { which })).toEqual(TREE);
      expect(
        store
          .make(owner)
          .read(tombstones)
          .map(({ name }) => name),
      ).toEqual(["user.fred.Sub2"]);
      expect(back(store, { which: "user.fred.Sub2" })).toEqual(["user.fred.Sub2"]);
      expect(verifyStore(root)).toEqual(before);
    }
  });

  test("does so where the mailbox itself is there, or under another name", () => {
    const { root, store, before } = deleted(TREE.slice(1));
    expect(back(store, { which: SUB })).toEqual(TREE.slice(1));
    expect(verifyStore(root)).toEqual(before);
    const { store: other } = deleted(TREE);
    const as = { name: "user.fred.New", now: NOW };
    expect(back(other, { which: SUB, as })).toEqual(TREE.map((name) => name.replace("Sub", "New")));
  });

  test("brings back none where one cannot be, and of each name what was deleted last", () => {
    const { root, store } = deleted(TREE);
    fill(store, `${SUB}.x.y`, 1);
    expect(() => back(store, { which: SUB })).toThrow("user/fred/Sub/x/y has its uniqueid");
    expect(store.make(owner).read(tombstones).length).toBe(3);
    store.make(owner).write((transaction) => {
      const row = mailboxByName(transaction.database, `${SUB}.x.y`);
      if (row !== undefined) deleteMailboxes(transaction, [row], NOW + 1);
    });
    expect(back(store, { which: SUB })).toEqual(TREE);
    expect(Object.keys(verifyStore(root)).length).toBe(5);
  });
});

describe("a trash whose catalogue was lost", () => {
  /** Fred's INBOX, and Sub deleted; then nothing is left but the folders. */
  function lost(): { root: string; store: Store; before: Contents } {
    const { root, store } = newStore();
    for (const name of ["user.fred", SUB]) fill(store, name, 2);
    const before = verifyStore(root);
    removeMailbox(store);
    store.close();
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(join(root, `user/f/fred/.catalogue.sqlite${suffix}`), { force: true });
    return { root, store: storeAt(root), before };
  }

  test("reconstructStore() makes its tombstones anew, so that it can be undeleted", async () => {
    const { root, store, before } = lost();
    expect((await reconstructStore(store)).map(({ what, name }) => [what, basename(name)])).toEqual(
      [
        ["catalogue made", ".catalogue.sqlite"],
        ["mailbox added", "user.fred"],
        ["deleted mailbox added", SUB],
      ],
    );
    expect(await reconstructStore(store)).toEqual([]);
    verifyStore(root);
    const graves = store.make(owner).read(tombstones);
    expect(graves.map(({ name, deleted }) => [name, deleted])).toEqual([[SUB, NOW]]);
    undelete(store);
    store.close();
    expect(verifyStore(root)).toEqual(before);
  });

  test("collectOwner() removes what no tombstone names once its time is over", async () => {
    const { root, store } = lost();
    expect(() => store.make(owner)).toThrow("the catalogue of its mailboxes is gone");
    await reconstructStore(store);
    const folder = store.make(owner);
    folder.database.run("DELETE FROM tombstone");
    mkdirSync(join(root, "user/f/fred/.trash/mine/x"), { recursive: true });
    const gc = (now: number): number => collectOwner(folder, { now, retentionSeconds: 10 }).trash;
    expect([gc(NOW + 9), strayGraves(folder).length]).toEqual([0, 2]);
    expect([gc(NOW + 11), strayGraves(folder).length]).toEqual([1, 1]);
    expect(strayGraves(folder)).toEqual([
      { trash: ".trash/mine/x", uniqueid: "x", deleted: undefined },
    ]);
    store.close();
  });
});

/** Counts from now on how often statements of `database` are run. */
function countStatements(database: Database): () => number {
  let count = 0;
  const query = database.query.bind(database);
  const counted = new WeakSet<object>();
  spyOn(database, "query").mockImplementation(((sql: string) => {
    const statement = query(sql);
    if (!counted.has(statement)) {
      for (const how of ["get", "all", "run"] as const) {
        const run = statement[how].bind(statement);
        Object.assign(statement, {
          [how]: (...values: never[]) => {
            count++;
            return run(...values);
          },
        });
      }
    }
    counted.add(statement);
    return statement;
  }) as Database["query"]);
  return () => count;
}

/**
 * How often SQL is run to delete `count` folders and to let gc take them, and the registry told.
 */
function costsOf(count: number): { readonly statements: number; readonly releases: number } {
  const { root, store } = newStore();
  for (let at = 0; at < count; at++) fill(store, `user.fred.f${at}`, 0);
  const folder = store.make(owner);
  const releases = spyOn(store.registry, "release");
  const statements = countStatements(folder.database);
  folder.write((transaction) => {
    deleteMailboxes(transaction, allMailboxes(transaction.database), NOW);
  });
  expect(new Set(tombstones(folder.database).map(({ trash }) => trash)).size).toBe(count);
  expect(collectOwner(folder, { now: NOW + 1, retentionSeconds: 0 }).trash).toBe(count);
  const costs = { statements: statements(), releases: releases.mock.calls.length };
  store.close();
  verifyStore(root);
  return costs;
}

describe("deleteMailboxes() of many", () => {
  test("runs a fixed number of statements a folder, and tells the registry once", () => {
    const [few, some, many] = [costsOf(10), costsOf(20), costsOf(40)];
    expect(many.statements - some.statements).toBe(2 * (some.statements - few.statements));
    expect([few.releases, some.releases, many.releases]).toEqual([1, 1, 1]);
  });

  test("gives each folder of one second its own place in the trash", () => {
    const { root, store } = newStore();
    const names = ["A", "B", "C", "D"].map((name) => `user.fred.${name}`);
    for (const name of names) fill(store, name, 1);
    const remove = (name: string): void =>
      store.make(owner).write((transaction) => {
        const row = mailboxByName(transaction.database, name);
        if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
      });
    for (const name of names.slice(0, 3)) remove(name);
    const claim = (uniqueid: string): string | undefined => store.claim(uniqueid, owner)?.kind;
    undeleteMailboxes(store.make(owner), { which: "user.fred.B" }, claim);
    for (const name of ["user.fred.D", "user.fred.B"]) remove(name);
    const trash = tombstones(store.make(owner).database).map((grave) => grave.trash.split("/")[1]);
    expect(new Set(trash).size).toBe(4);
    store.close();
    verifyStore(root);
  });
});
