import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseHeaderFile } from "../../../../src/formats/cyrus/header_file.ts";
import { historyIn } from "../../../../src/places/store/catalogue/history.ts";
import {
  allMailboxes,
  formerNames,
  mailboxByName,
  tombstones,
} from "../../../../src/places/store/catalogue/mailbox_rows.ts";
import {
  type RenameRequest,
  renameMailboxesIn,
} from "../../../../src/places/store/commit/rename.ts";
import { deleteMailboxes, undeleteMailboxes } from "../../../../src/places/store/commit/trash.ts";
import { Store } from "../../../../src/places/store/store.ts";
import { readState } from "../../../../src/places/store/stored_mailbox.ts";
import { collectOwner } from "../../../../src/places/store/upkeep/gc.ts";
import { reconstructStore } from "../../../../src/places/store/upkeep/reconstruct.ts";
import { newStore } from "../../../support/new_store.ts";
import { apply, fill, message, NOW, record, stateOf } from "../../../support/store_fixture.ts";
import { verifyStore } from "../../../support/store_verify.ts";

const owner = { kind: "user", userid: "fred" } as const;
const DAY = 24 * 60 * 60;

function rename(store: Store, ...requests: RenameRequest[]): void {
  const isOwn = (name: string): boolean => name.startsWith("user.fred.") || name === "user.fred";
  renameMailboxesIn(store.make(owner), { requests, isOwn, now: NOW });
}

function tree(from: string, to: string): RenameRequest {
  return { from: `user.fred.${from}`, to: `user.fred.${to}`, tree: true };
}

function names(store: Store): string[] {
  return store
    .make(owner)
    .read(allMailboxes)
    .map(({ name }) => name.replace(/^user\.fred\.?/, ""));
}

function removeMailbox(store: Store, name: string): void {
  store.make(owner).write((transaction) => {
    const row = mailboxByName(transaction.database, name);
    if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
  });
}

describe("renameMailboxesIn()", () => {
  test("renames a tree, swaps two and turns a ring of three", () => {
    const { root, store } = newStore();
    for (const name of ["", ".A", ".A.X", ".B", ".C"]) fill(store, `user.fred${name}`, 1);
    rename(store, tree("A", "D"));
    expect(names(store)).toEqual(["", "B", "C", "D", "D.X"]);
    rename(store, tree("B", "D"), tree("D", "B"));
    expect(names(store)).toEqual(["", "B", "B.X", "C", "D"]);
    rename(store, { ...tree("B", "C"), tree: false }, tree("C", "D"), tree("D", "B"));
    expect(names(store)).toEqual(["", "B", "B.X", "C", "D"]);
    verifyStore(root);
    const folder = store.make(owner);
    const { uniqueid } = stateOf("user.fred.A", []);
    const history = folder.read((database) => formerNames(database, uniqueid));
    expect(history.map(({ name }) => name)).toEqual(["user.fred.A", "user.fred.D", "user.fred.B"]);
    const header = parseHeaderFile(readFileSync(join(folder.folder, uniqueid, "cyrus.header")));
    expect([header.name, historyIn(header.others)]).toEqual(["user.fred.C", history]);
  });

  test("raises FOLDERMODSEQ above all that is known, unless a peer asked for it", () => {
    const { root, store } = newStore();
    const folder = store.make(owner);
    const read = (name: string): readonly unknown[] => {
      const row = folder.read((database) => mailboxByName(database, `user.fred.${name}`));
      const state = row === undefined ? undefined : readState(folder, row);
      return [state?.highestmodseq, state?.foldermodseq];
    };
    fill(store, "user.fred.A", 5);
    const placeholder = stateOf("user.fred.P", [], { type: "ei", foldermodseq: 9n });
    apply(store, { state: placeholder, records: [] });
    rename(store, tree("A", "B"), tree("P", "Q"));
    expect([read("B"), read("Q")]).toEqual([
      [6n, 1n],
      [9n, 9n],
    ]);
    const requests = [tree("B", "C"), tree("Q", "R")];
    const rules = { isOwn: () => true, now: NOW, isLocal: true };
    renameMailboxesIn(folder, { requests, ...rules });
    expect([read("C"), read("R")]).toEqual([
      [7n, 7n],
      [10n, 10n],
    ]);
    store.close();
    verifyStore(root);
  });

  test("says why it refuses, and changes nothing", () => {
    const { store } = newStore();
    for (const name of ["", ".A", ".A.X", ".B"]) fill(store, `user.fred${name}`, 1);
    const before = names(store);
    const table: [RegExp, RenameRequest[]][] = [
      [/there is no such mailbox/, [tree("None", "New")]],
      [/would both be called user\/fred\/B/, [tree("A", "B")]],
      [/two requests name it/, [tree("A", "New"), tree("A.X", "Other")]],
      [/INBOX/, [{ from: "user.fred", to: "user.fred.New", tree: false }]],
      [/another user/, [{ from: "user.fred.A", to: "user.anne.A", tree: false }]],
      [/no mailbox name/, [tree("A", "a..b")]],
      [/no mailbox name/, [tree("A", "x".repeat(490))]],
    ];
    for (const [reason, requests] of table)
      expect(() => rename(store, ...requests)).toThrow(reason);
    expect(names(store)).toEqual(before);
  });

  test("leaves a reader who began before with what he read", () => {
    const { root, store } = newStore();
    fill(store, "user.fred.A", 2);
    const other = new Store(root, { now: () => NOW });
    rename(store, tree("A", "B"));
    expect(
      other
        .make(owner)
        .read(allMailboxes)
        .map(({ name }) => name),
    ).toEqual(["user.fred.B"]);
    other.close();
  });
});

describe("the trash", () => {
  test("a deleted mailbox comes back with its mail, until gc takes it", () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 1);
    fill(store, "user.fred.A", 2);
    const before = verifyStore(root);
    removeMailbox(store, "user.fred.A");
    expect(Object.keys(verifyStore(root))).toEqual(["user.fred"]);
    const folder = store.make(owner);
    undeleteMailboxes(folder, { which: "user.fred.A" }, () => undefined);
    store.claim(stateOf("user.fred.A", []).uniqueid, owner);
    expect(verifyStore(root)).toEqual(before);
    removeMailbox(store, "user.fred.A");
    const soon = { now: NOW + 6 * DAY, retentionSeconds: 7 * DAY };
    expect(collectOwner(folder, soon).trash).toBe(0);
    expect(folder.read(tombstones).length).toBe(1);
    expect(collectOwner(folder, { ...soon, now: NOW + 8 * DAY }).trash).toBe(1);
    expect(() => undeleteMailboxes(folder, { which: "user.fred.A" }, () => undefined)).toThrow(
      /no such mailbox/,
    );
    verifyStore(root);
  });

  test("undeleteMailboxes() refuses where the name or the uniqueid is taken again", () => {
    const { store } = newStore();
    fill(store, "user.fred.A", 1);
    removeMailbox(store, "user.fred.A");
    const folder = store.make(owner);
    apply(store, { state: stateOf("user.fred.A", [], { uniqueid: "other" }), records: [] });
    expect(() => undeleteMailboxes(folder, { which: "user.fred.A" }, () => undefined)).toThrow(
      /there is a mailbox/,
    );
    expect(() => undeleteMailboxes(folder, { which: "user.fred.A" }, () => "user:anne")).toThrow(
      /uniqueid/,
    );
  });
});

describe("undeleteMailboxes() under another name", () => {
  test("brings it back beside what has its name now, in its header and history too", async () => {
    const { root, store } = newStore();
    fill(store, "user.fred.A", 2);
    const { [`user.fred.A`]: mail = "" } = verifyStore(root);
    removeMailbox(store, "user.fred.A");
    apply(store, { state: stateOf("user.fred.A", [], { uniqueid: "other" }), records: [] });
    const folder = store.make(owner);
    const { uniqueid } = stateOf("user.fred.A", []);
    const as = { name: "user.fred.B", now: NOW + 5 };
    const [back] = undeleteMailboxes(folder, { which: uniqueid, as }, () => undefined);
    expect(back?.name).toBe(as.name);
    store.claim(uniqueid, owner);
    const header = parseHeaderFile(readFileSync(join(folder.folder, uniqueid, "cyrus.header")));
    const history = [{ name: "user.fred.A", until: NOW + 5 }];
    expect([header.name, historyIn(header.others)]).toEqual([as.name, history]);
    expect(folder.read((database) => formerNames(database, uniqueid))).toEqual(history);
    expect(verifyStore(root)).toMatchObject({ "user.fred.B": mail });
    expect(await reconstructStore(store)).toEqual([]);
  });

  test.each([
    ["user.anne.B", /Cannot rename user\/fred\/A to user\/anne\/B: it belongs to another user/],
    ["user.fred.a..b", /no mailbox name/],
    ["user.fred.C", /Cannot undelete user\/fred\/A: there is a mailbox user\/fred\/C/],
  ])("refuses %s", (name, reason) => {
    const { store } = newStore();
    for (const one of ["user.fred.A", "user.fred.C"]) fill(store, one, 1);
    removeMailbox(store, "user.fred.A");
    const as = { name, now: NOW };
    const request = { which: "user.fred.A", as };
    expect(() => undeleteMailboxes(store.make(owner), request, () => undefined)).toThrow(reason);
    expect(names(store)).toEqual(["C"]);
  });
});

describe("collectOwner()", () => {
  test("removes expunged messages past their time, and only what nothing names", () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 3);
    const gone = [record(2, { modseq: 50n, expunged: true, lastUpdated: 1000 })];
    const state = stateOf("user.fred", [record(1), record(3)], { highestmodseq: 50n });
    apply(store, { state, records: gone });
    fill(store, "user.fred.A", 1); // message 1 once more
    const before = verifyStore(root);
    const folder = store.make(owner);
    const later = Math.floor(Date.now() / 1000) + 3 * DAY; // the files were made just now
    const done = collectOwner(folder, { now: later, retentionSeconds: 7 * DAY });
    expect([done.unlinked, done.poolFiles, done.skipped]).toEqual([1, 1, []]);
    expect(verifyStore(root)).toEqual(before);
    const again = collectOwner(folder, { now: later, retentionSeconds: 7 * DAY });
    expect([again.unlinked, again.poolFiles]).toEqual([0, 0]);
  });

  test("leaves the pool alone when one index cannot be read", () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 1);
    const { uniqueid } = stateOf("user.fred", []);
    const index = join(root, "user/f/fred", uniqueid, "cyrus.index");
    const bytes = readFileSync(index);
    bytes[165] = 1 ^ (bytes[165] ?? 0);
    writeFileSync(index, bytes);
    const now = Math.floor(Date.now() / 1000) + 90 * DAY;
    const done = collectOwner(store.make(owner), { now, retentionSeconds: 0 });
    expect([done.poolFiles, done.skipped.length]).toEqual([0, 1]);
    expect(done.skipped[0]).toMatch(/CRC mismatch in the record/);
  });
});

describe("reconstructStore()", () => {
  test("rebuilds a lost catalogue and registry from the headers", async () => {
    const { root, store } = newStore();
    for (const name of ["user.fred", "user.fred.A", "user.anne", "lists.dev"]) fill(store, name, 2);
    rename(store, tree("A", "B"));
    store.close();
    const before = verifyStore(root);
    for (const folder of ["user/f/fred", "user/a/anne"])
      rmSync(join(root, folder, ".catalogue.sqlite"));
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(join(root, `uniqueids.sqlite${suffix}`), { force: true });
    const opened = new Store(root, { now: () => NOW });
    const notes = await reconstructStore(opened);
    expect(notes.map(({ what, name }) => `${what} ${basename(name)}`).sort()).toEqual([
      "catalogue made .catalogue.sqlite",
      "catalogue made .catalogue.sqlite",
      "mailbox added user.anne",
      "mailbox added user.fred",
      "mailbox added user.fred.B",
      `registry set aside uniqueids.damaged-${NOW}`,
    ]);
    const history = opened
      .make(owner)
      .read((database) => formerNames(database, stateOf("user.fred.A", []).uniqueid));
    expect(history).toEqual([{ name: "user.fred.A", until: NOW }]);
    expect(await reconstructStore(opened)).toEqual([]);
    opened.close();
    expect(verifyStore(root)).toEqual(before);
  });

  test("sets a damaged catalogue aside and says what it leaves out", async () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 1);
    fill(store, "user.fred.A", 1);
    store.close();
    writeFileSync(join(root, "user/f/fred/.catalogue.sqlite"), "x".repeat(8192));
    const header = join(root, "user/f/fred", stateOf("user.fred.A", []).uniqueid, "cyrus.header");
    writeFileSync(header, "no header");
    const opened = new Store(root, { now: () => NOW });
    const notes = (await reconstructStore(opened)).map(({ what }) => what);
    expect(notes.sort()).toEqual(["catalogue set aside", "folder left out", "mailbox added"]);
    opened.close();
  });
});

describe("a message of many mailboxes", () => {
  test("message() is kept once for all of a user's mailboxes", () => {
    const { store } = newStore();
    fill(store, "user.fred", 1);
    const records = Array.from({ length: 5 }, (_, at) => record(at + 1, {}, 1));
    apply(store, { state: stateOf("user.fred.A", records), records }, [message(1)]);
    const pool = join(
      store.make(owner).folder,
      ".pool",
      record(1).guid.slice(0, 2),
      record(1).guid,
    );
    expect(readFileSync(pool).length).toBe(message(1).length);
  });
});
