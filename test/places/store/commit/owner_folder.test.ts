import { describe, expect, spyOn, test } from "bun:test";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tell } from "../../../../src/fsck/finding.ts";
import { checkWholeStore } from "../../../../src/fsck/store/check_store.ts";
import {
  allMailboxes,
  mailboxByName,
} from "../../../../src/places/store/catalogue/mailbox_rows.ts";
import { openImage } from "../../../../src/places/store/commit/open_mailbox.ts";
import { deleteMailboxes, undeleteMailboxes } from "../../../../src/places/store/commit/trash.ts";
import type { Store } from "../../../../src/places/store/store.ts";
import { collectOwner } from "../../../../src/places/store/upkeep/gc.ts";
import { reconstructStore } from "../../../../src/places/store/upkeep/reconstruct.ts";
import { plantInHeader } from "../../../support/index_bytes.ts";
import { newStore, storeAt } from "../../../support/new_store.ts";
import { apply, fill, message, NOW, record, stateOf } from "../../../support/store_fixture.ts";
import { verifyStore } from "../../../support/store_verify.ts";

const SUB = "user.fred.Sub";
const ID = stateOf(SUB, []).uniqueid;
const LOST = "../../../../../lost"; // beside the store
const owner = { kind: "user", userid: "fred" } as const;

function append(store: Store, name: string): void {
  const records = [record(1), record(2), record(3)];
  apply(store, { state: stateOf(name, records), records: [record(3)] }, [message(3)]);
}

function removeMailbox(store: Store): void {
  store.make(owner).write((transaction) => {
    const row = mailboxByName(transaction.database, SUB);
    if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
  });
}

/** A store killed right after a message of Sub was committed, and before its files had it. */
function killed(): { root: string; folder: string } {
  const { root, store } = newStore();
  for (const name of ["user.fred", SUB, "user.anne"]) fill(store, name, 2);
  const settle = spyOn(store.make(owner), "settleIfFree").mockReturnValue(false);
  append(store, SUB);
  settle.mockRestore();
  store.close();
  return { root, folder: join(root, "user/f/fred", ID) };
}

async function codes(store: Store): Promise<string[]> {
  return (await checkWholeStore(store)).findings
    .map(tell)
    .filter(({ severity }) => severity !== "info")
    .map(({ code, other }) => `${code} ${other}`);
}

/** What happens to the mailbox's folder before the store is opened again, and what undoes it. */
const LOSSES = [
  [
    "is lost",
    (folder: string) => renameSync(folder, join(folder, LOST)),
    (folder: string) => renameSync(join(folder, LOST), folder),
    "mailbox without a folder",
  ],
  [
    "has another index",
    (folder: string) => setGeneration(folder, 9),
    (folder: string) => setGeneration(folder, 1),
    undefined,
  ],
] as const;

function setGeneration(folder: string, generation: number): void {
  const bytes = readFileSync(join(folder, "cyrus.index"));
  plantInHeader(bytes, "generationNo", BigInt(generation));
  writeFileSync(join(folder, "cyrus.index"), bytes);
}

describe("committed changes that the files of their mailbox do not take", () => {
  for (const [what, lose, putBack, rest] of LOSSES) {
    test(`where its folder ${what}, that mailbox is refused, and the others go on`, async () => {
      const { root, folder } = killed();
      lose(folder);
      const store = storeAt(root);
      append(store, "user.fred");
      expect(openImage(store.make(owner), rowOf(store, "user.fred")).index.header.exists).toBe(3);
      expect(() => append(store, SUB)).toThrow(/Cannot .*: generation|Cannot change mailbox/);
      expect(() => removeMailbox(store)).toThrow(`Cannot change mailbox ${SUB}: Cannot `);
      const gc = collectOwner(store.make(owner), { now: NOW, retentionSeconds: 0 });
      expect(gc.skipped.length).toBe(1);
      expect(await codes(store)).toEqual([`ST14 ${SUB}`, `ST01 ${SUB}`]);
      store.close();
      putBack(folder);
      const again = storeAt(root);
      expect(openImage(again.make(owner), rowOf(again, SUB)).index.header.exists).toBe(3);
      again.close();
      verifyStore(root);
    });

    test(`where its folder ${what}, reconstructStore() drops them and says so`, async () => {
      const { root, folder } = killed();
      lose(folder);
      rmSync(join(folder, LOST), { recursive: true, force: true });
      const store = storeAt(root);
      const notes = await reconstructStore(store);
      expect(notes.map(({ what, name }) => [what, name])).toEqual([
        ["changes dropped", SUB],
        ...(rest === undefined ? [] : [[rest, SUB]]),
      ]);
      expect(notes[0]?.reason).toMatch(/^\d+ that were promised: Cannot /);
      expect(store.make(owner).pending()).toEqual([]);
      if (rest === undefined) append(store, SUB);
      removeMailbox(store);
      expect(await codes(store)).toEqual([]);
      append(store, "user.fred");
      if (rest !== undefined)
        expect(() => undeleteMailboxes(store.make(owner), { which: SUB }, () => undefined)).toThrow(
          "its folder is gone",
        );
      store.close();
      verifyStore(root);
    });
  }

  test("what stops reconstructStore() at one owner stops it at no other", async () => {
    const { root, store } = newStore();
    for (const name of ["user.anne", "user.fred"]) fill(store, name, 1);
    store
      .make({ kind: "user", userid: "anne" })
      .database.run("UPDATE about SET value = 'user:carl'");
    store.make(owner).database.run("DELETE FROM mailbox");
    store.close();
    const again = storeAt(root);
    expect((await reconstructStore(again)).map(({ what, owner: whose }) => [what, whose])).toEqual([
      ["folder left out", "anne"],
      ["mailbox added", "user:fred"],
    ]);
    expect(again.registry.claims().length).toBe(2);
    again.close();
  });
});

function rowOf(store: Store, name: string) {
  const row = store
    .make(owner)
    .read(allMailboxes)
    .find((one) => one.name === name);
  if (row === undefined) throw new Error(`no ${name}`);
  return row;
}
