/** What owners share in their pools: nothing, for gc could free it in neither. */
import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { messageFile, poolPath } from "../../../../src/places/store/layout.ts";
import { admit, soundInPool } from "../../../../src/places/store/messages/pool.ts";
import type { Store } from "../../../../src/places/store/store.ts";
import { collectOwner } from "../../../../src/places/store/upkeep/gc.ts";
import { DurableBatch, SyncDescriptors } from "../../../../src/storage/durable.ts";
import { newStore } from "../../../support/new_store.ts";
import {
  apply,
  applyStaged,
  message,
  record,
  stageWhole,
  stateOf,
} from "../../../support/store_fixture.ts";
import { verifyStore } from "../../../support/store_verify.ts";
import { tempDir } from "../../../support/temp_dir.ts";

const { guid } = record(1);
const folderOf = (root: string, owner: string): string => join(root, `user/${owner[0]}/${owner}`);
const pooled = (root: string, owner: string): string => join(folderOf(root, owner), poolPath(guid));

/** Sends message 1 once and applies it to each mailbox. */
function sendTo(store: Store, names: readonly string[]): void {
  const staging = store.stage();
  stageWhole(staging, message(1), guid);
  const records = [record(1)];
  for (const name of names) applyStaged(store, { state: stateOf(name, records), records }, staging);
  staging.close();
}

function expunge(store: Store, name: string): void {
  const records = [record(1, { expunged: true, modseq: 50n })];
  apply(store, { state: stateOf(name, records), records });
}

/** Far enough in the future that nothing is young, twice: what is unlinked first is freed next. */
function collect(store: Store, owner: string): void {
  const now = Math.floor(Date.now() / 1000) + 20 * 365 * 86_400;
  for (const later of [0, 86_400])
    collectOwner(store.make({ kind: "user", userid: owner }), {
      now: now + later,
      retentionSeconds: 0,
    });
}

describe("a message of several owners", () => {
  test("that a session sent once is a file of its own for each, and gc of each removes it", () => {
    const { root, store } = newStore();
    sendTo(store, ["user.ann", "user.bob", "user.carl"]);
    const inodes = ["ann", "bob", "carl"].map((owner) => lstatSync(pooled(root, owner)).ino);
    expect(new Set(inodes).size).toBe(3);
    for (const owner of ["ann", "bob"]) {
      expunge(store, `user.${owner}`);
      collect(store, owner);
      expect(existsSync(pooled(root, owner))).toBe(false);
    }
    expect(lstatSync(pooled(root, "carl")).nlink).toBe(2);
    expect(Object.keys(verifyStore(root)).sort()).toEqual(["user.ann", "user.bob", "user.carl"]);
    store.close();
  });

  test("that was reserved from another owner's mailbox is copied too", () => {
    const { root, store } = newStore();
    sendTo(store, ["user.ann"]);
    const staging = store.stage();
    const known = soundInPool(folderOf(root, "ann"), guid);
    if (known === undefined) throw new Error("ann has the message");
    staging.reserve(known);
    const records = [record(1)];
    applyStaged(store, { state: stateOf("user.bob", records), records }, staging);
    staging.close();
    expect(lstatSync(pooled(root, "ann")).nlink).toBe(2);
    expect(lstatSync(pooled(root, "bob")).nlink).toBe(2);
    verifyStore(root);
    store.close();
  });

  test("is one file for all mailboxes of one owner", () => {
    const { root, store } = newStore();
    sendTo(store, ["user.ann", "user.ann.A", "user.bob", "user.ann.B"]);
    const { ino, nlink } = lstatSync(pooled(root, "ann"));
    expect(nlink).toBe(4);
    for (const name of ["user.ann", "user.ann.A", "user.ann.B"]) {
      const file = join(folderOf(root, "ann"), stateOf(name, []).uniqueid, messageFile(1));
      expect(lstatSync(file).ino).toBe(ino);
    }
    store.close();
  });
});

describe("a message that cannot be made durable", () => {
  test("is not trusted a second time: it has to be sent anew", () => {
    const { root, store } = newStore();
    const staging = store.stage();
    stageWhole(staging, message(1), guid);
    const staged = staging.find(guid)?.path ?? expect.unreachable();
    const records = [record(1)];
    const update = { state: stateOf("user.ann", records), records };
    // A link is not followed, so what stands here cannot be synced, though it is as long as the
    // message.
    renameSync(staged, `${staged}.away`);
    symlinkSync("x".repeat(message(1).length), staged);
    expect(() => applyStaged(store, update, staging)).toThrow(/ELOOP/);
    renameSync(`${staged}.away`, `${staged}.back`);
    expect(existsSync(staged)).toBe(false);
    expect(() => applyStaged(store, update, staging)).toThrow(/gone or changed/);
    staging.clear();
    stageWhole(staging, message(1), guid);
    applyStaged(store, update, staging);
    staging.close();
    expect(Object.keys(verifyStore(root))).toEqual(["user.ann"]);
    store.close();
  });
});

describe("admit()", () => {
  test("leaves what it cannot make durable where it is, unless its sender can send it anew", () => {
    const folder = tempDir("admit");
    const staged = join(folder, guid);
    symlinkSync("nowhere", staged); // no link is followed, so this cannot be synced
    const context = {
      folder,
      mode: "link",
      batch: new DurableBatch(new SyncDescriptors([])),
    } as const;
    const arrivals = [{ guid, staged, isShared: false }];
    expect(() => admit(arrivals, context)).toThrow(/ELOOP/);
    expect(lstatSync(staged).isSymbolicLink()).toBe(true);
    const distrusted: string[] = [];
    const distrust = (path: string) => void distrusted.push(path);
    expect(() => admit(arrivals, { ...context, distrust })).toThrow(/ELOOP/);
    expect(distrusted).toEqual([staged]);
  });
});
