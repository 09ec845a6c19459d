import { describe, expect, spyOn, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkWholeStore } from "../../../../src/fsck/store/check_store.ts";
import type { Annotation } from "../../../../src/model/annotation.ts";
import { parseName } from "../../../../src/model/names.ts";
import { formerNames, mailboxByName } from "../../../../src/places/store/catalogue/mailbox_rows.ts";
import { openImage } from "../../../../src/places/store/commit/open_mailbox.ts";
import { applyCommand } from "../../../../src/places/store/commit/store_commands.ts";
import { deleteMailboxes, undeleteMailboxes } from "../../../../src/places/store/commit/trash.ts";
import { poolPath } from "../../../../src/places/store/layout.ts";
import type { Store } from "../../../../src/places/store/store.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { collectOwner } from "../../../../src/places/store/upkeep/gc.ts";
import * as durable from "../../../../src/storage/durable.ts";
import * as libc from "../../../../src/storage/libc.ts";
import { newStore, storeAt } from "../../../support/new_store.ts";
import { granted } from "../../../support/places.ts";
import { apply, fill, message, NOW, record, stateOf } from "../../../support/store_fixture.ts";
import { verifyStore } from "../../../support/store_verify.ts";

const SUB = "user.fred.Sub";
const HERS = "user.anne.Sub";
const fred = { kind: "user", userid: "fred" } as const;
const anne = { kind: "user", userid: "anne" } as const;

function rename(store: Store, oldName: string, newName: string): void {
  const staging = store.stage();
  try {
    const command = { kind: "rename", oldName, newName, partition: "p" } as const;
    applyCommand(command, [], { store, staging, force: false });
  } finally {
    staging.close();
  }
}

function note(userid: string, text: string): Annotation {
  return { entry: "/comment", userid, modseq: 5n, value: Buffer.from(text) };
}

/** Fred's INBOX has message 1; Sub has it too, message 2 alone, and an expunged message 3. */
function filled(): { root: string; store: Store } {
  const { root, store } = newStore();
  fill(store, "user.fred", 1);
  fill(store, "user.anne", 1);
  const records = [
    record(1, { annotations: [note("fred", "his")] }),
    ...[record(2), record(3, { expunged: true })],
  ];
  const state = stateOf(SUB, records, {
    annotations: [note("", "of the folder")],
    quotaroot: "user.fred",
  });
  apply(store, { state, records }, [message(1), message(2), message(3)]);
  return { root, store };
}

describe("APPLY RENAME to another owner", () => {
  test("applyCommand() hands a mailbox over with mail, history and annotations", async () => {
    const { root, store } = filled();
    const before = verifyStore(root);
    const { uniqueid } = stateOf(SUB, []);
    rename(store, SUB, HERS);
    const { [SUB]: moved = "", ...others } = before;
    expect(verifyStore(root)).toEqual({ ...others, [HERS]: moved });
    const place = openStorePlace(root);
    const [state] = granted(await place.mailboxesByUniqueid([uniqueid]));
    expect(state).toMatchObject({ name: HERS, partition: "p", lastUid: 3 });
    expect([state?.quotaroot, state?.annotations.map(({ entry }) => entry)]).toEqual([
      undefined,
      ["/comment"],
    ]);
    expect(granted(await place.user("fred")).mailboxes.map(({ name }) => name)).toEqual([
      "user.fred",
    ]);
    await place.close();
    const history = store.make(anne).read((database) => formerNames(database, uniqueid));
    expect(history).toEqual([{ name: SUB, until: NOW }]);
    store.close();
  });

  test("the owners share no file afterwards, so that gc of each removes what only it had", () => {
    const { root, store } = filled();
    rename(store, SUB, HERS);
    const pool = (owner: string, number: number): string =>
      join(root, `user/${owner[0]}/${owner}`, poolPath(record(1, {}, number).guid));
    expect(existsSync(pool("fred", 2))).toBe(false);
    expect(lstatSync(pool("fred", 1)).ino).not.toBe(lstatSync(pool("anne", 1)).ino);
    expect(readdirSync(join(root, "user/f/fred")).filter((name) => !name.startsWith("."))).toEqual([
      stateOf("user.fred", []).uniqueid,
    ]);
    store.make(anne).write((transaction) => {
      const row = mailboxByName(transaction.database, HERS);
      if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
    });
    const now = Math.floor(Date.now() / 1000) + 90 * 86_400;
    collectOwner(store.make(anne), { now: Math.max(now, NOW + 90 * 86_400), retentionSeconds: 0 });
    expect([existsSync(pool("anne", 2)), existsSync(pool("fred", 1))]).toEqual([false, true]);
    expect(Object.keys(verifyStore(root)).sort()).toEqual(["user.anne", "user.fred"]);
    store.close();
  });

  test("makes many messages durable together, not one by one", () => {
    const { root, store } = newStore();
    fill(store, "user.anne", 1);
    fill(store, SUB, 40);
    const single = spyOn(durable, "syncPath");
    const together = spyOn(libc, "syncFileSystem");
    rename(store, SUB, HERS);
    const files = single.mock.calls.filter(([path]) => path.endsWith("."));
    const syncs = together.mock.calls.length;
    for (const spy of [single, together]) spy.mockRestore();
    expect(files).toEqual([]);
    expect(syncs).toBeGreaterThan(0);
    expect(syncs).toBeLessThan(10);
    store.close();
    expect(Object.keys(verifyStore(root))).toContain(HERS);
  });

  test("applyCommand() renames a user, mailbox by mailbox, there and back", () => {
    const { root, store } = filled();
    const before = verifyStore(root);
    for (const [from, to] of [
      ["fred", "george"],
      ["george", "fred"],
    ]) {
      for (const name of [`user.${from}`, `user.${from}.Sub`])
        rename(store, name, name.replace(`user.${from}`, `user.${to}`));
      verifyStore(root);
    }
    expect(verifyStore(root)).toEqual(before);
    store.close();
  });

  test("applyCommand() refuses where the name is taken or none, and nothing has changed", () => {
    const { root, store } = filled();
    fill(store, HERS, 1);
    const before = verifyStore(root);
    expect(() => rename(store, SUB, HERS)).toThrow(/there is a mailbox of that name/);
    expect(() => rename(store, "user.fred.None", HERS)).toThrow(/no mailbox user\.fred\.None/);
    expect(() => rename(store, SUB, "user.anne..x")).toThrow(/no mailbox name.*empty/);
    expect(verifyStore(root)).toEqual(before);
    store.close();
  });

  test("what a creation that did not commit left does not stop it, and a lost mailbox does", () => {
    const { root, store } = filled();
    const before = verifyStore(root);
    const folder = join(root, "user/a/anne", stateOf(SUB, []).uniqueid);
    mkdirSync(folder);
    writeFileSync(join(folder, "cyrus.index"), "x");
    expect(() => rename(store, SUB, HERS)).toThrow(/that no mailbox names is there/);
    rmSync(join(folder, "cyrus.index"));
    expect(verifyStore(root)).toEqual(before);
    writeFileSync(join(folder, "7."), "x");
    rename(store, SUB, HERS);
    const { [SUB]: moved = "", ...others } = before;
    expect(verifyStore(root)).toEqual({ ...others, [HERS]: moved });
    store.close();
  });

  test("a mailbox that cannot move in stays where it arrived, whatever gc does", () => {
    const { root, store } = filled();
    const before = verifyStore(root);
    const { uniqueid } = stateOf(SUB, []);
    const folder = join(root, "user/a/anne", uniqueid);
    const settle = spyOn(store.make(anne), "settleIfFree").mockReturnValue(false);
    rename(store, SUB, HERS);
    settle.mockRestore();
    store.close();
    mkdirSync(folder);
    writeFileSync(join(folder, "cyrus.index"), "in the way");
    const again = storeAt(root);
    const far = { now: Math.floor(Date.now() / 1000) + 90 * 86_400, retentionSeconds: 0 };
    collectOwner(again.make(anne), far);
    expect(
      again
        .make(anne)
        .unfit()
        .map((left) => left.uniqueid),
    ).toEqual([uniqueid]);
    const row = again.make(anne).read((database) => mailboxByName(database, HERS));
    expect(row === undefined ? 0 : openImage(again.make(anne), row).index.header.exists).toBe(2);
    again.close();
    rmSync(folder, { recursive: true });
    const { [SUB]: moved = "", ...others } = before;
    storeAt(root).make(anne);
    expect(verifyStore(root)).toEqual({ ...others, [HERS]: moved });
  });

  test("undeleteMailboxes() brings nothing back whose uniqueid went to another owner", () => {
    const { store } = filled();
    const { uniqueid } = stateOf(SUB, []);
    store.make(fred).write((transaction) => {
      const row = mailboxByName(transaction.database, SUB);
      if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
    });
    apply(store, { state: stateOf(HERS, [], { uniqueid }), records: [] });
    const claim = (id: string): string | undefined => store.claim(id, fred)?.kind;
    expect(() => undeleteMailboxes(store.make(fred), { which: SUB }, claim)).toThrow(
      /has its uniqueid/,
    );
    store.close();
  });
});

describe("a handover that was left half done", () => {
  /** As a kill right before the target's commit leaves it, and right before the source's. */
  const table = [
    ["not committed", (store: Store) => store.make(anne)],
    [
      "committed at the target",
      (store: Store) => {
        const { database } = store.make(anne);
        const details = JSON.stringify({ partition: "p", acl: null });
        const { uniqueid } = stateOf(SUB, []);
        Bun.spawnSync([
          ...["cp", "-a", join(store.make(fred).folder, uniqueid)],
          join(store.make(anne).folder, uniqueid),
        ]);
        database.run("INSERT INTO mailbox (uniqueid, name, state) VALUES (?, ?, ?)", [
          ...[uniqueid, HERS, details],
        ]);
      },
    ],
  ] as const;

  for (const [what, make] of table) {
    test(`${what}: whoever opens either owner, or writes to one, ends it`, () => {
      for (const first of ["find fred", "find anne", "write fred", "write anne", "claim"]) {
        const { root, store } = filled();
        const { uniqueid } = stateOf(SUB, []);
        const others = storeAt(root);
        const [hisFolder, herFolder] = [others.make(fred), others.make(anne)];
        make(store);
        store.registry.beginHandover({ uniqueid, source: fred, target: anne });
        store.close();
        if (first === "find fred") others.find(fred);
        if (first === "find anne") others.find(anne);
        if (first === "write fred") hisFolder.write(() => undefined);
        if (first === "write anne") herFolder.write(() => undefined);
        const carl = { kind: "user", userid: "carl" } as const;
        if (first === "claim") expect(others.claim(uniqueid, carl)).toBeDefined();
        const isHers = what !== "not committed";
        expect([first, others.registry.handovers()]).toEqual([first, []]);
        expect(others.registry.holder(uniqueid)).toEqual(isHers ? anne : fred);
        const find = (name: string) =>
          others.find(parseName(name).owner)?.read((database) => mailboxByName(database, name));
        expect([find(SUB) === undefined, find(HERS) === undefined]).toEqual([isHers, !isHers]);
        expect(existsSync(join(hisFolder.folder, uniqueid))).toBe(!isHers);
        others.close();
      }
    });
  }

  test("checkWholeStore() tells of one that cannot be ended and what did not arrive", async () => {
    const { root, store } = filled();
    const { uniqueid } = stateOf(SUB, []);
    store.registry.beginHandover({ uniqueid, source: fred, target: anne });
    const folder = join(root, "user/a/anne/.arriving", uniqueid);
    Bun.spawnSync(["mkdir", "-p", folder]);
    store.close();
    const again = storeAt(root);
    rmSync(join(root, "user/a/anne/.catalogue.sqlite"));
    Bun.write(join(root, "user/a/anne/.catalogue.sqlite"), "x".repeat(5000));
    const codes = (await checkWholeStore(again)).findings.map(({ code }) => code);
    expect(codes).toContain("ST13");
    again.close();
  });
});
