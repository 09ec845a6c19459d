import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mailboxByName, tombstones } from "../../../src/places/store/mailbox_rows.ts";
import type { Store } from "../../../src/places/store/store.ts";
import { deleteMailboxes, undeleteMailbox } from "../../../src/places/store/trash.ts";
import { newStore } from "../../support/new_store.ts";
import { fill, NOW, stateOf } from "../../support/store_fixture.ts";
import { verifyStore } from "../../support/store_verify.ts";

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
  undeleteMailbox(store.make(owner), { which: SUB }, claim);
}

describe("undeleteMailbox()", () => {
  test("undeleteMailbox() brings a mailbox back over what a creation that did not commit left", () => {
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

  test("undeleteMailbox() refuses where a lost mailbox is in the way, or its folder is gone", () => {
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
