import { describe, expect, spyOn, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDamage, tell } from "../../../src/fsck/finding.ts";
import { checkOwner, checkWholeStore } from "../../../src/fsck/store/check_store.ts";
import { mailboxByName } from "../../../src/places/store/catalogue/mailbox_rows.ts";
import type { OwnerFolder } from "../../../src/places/store/commit/owner_folder.ts";
import { renameMailboxesIn } from "../../../src/places/store/commit/rename.ts";
import { deleteMailboxes } from "../../../src/places/store/commit/trash.ts";
import { poolPath } from "../../../src/places/store/layout.ts";
import type { Store } from "../../../src/places/store/store.ts";
import { fsckStore } from "../../support/fsck.ts";
import { newStore, storeAt } from "../../support/new_store.ts";
import { fill, NOW, record, stateOf } from "../../support/store_fixture.ts";

const owner = { kind: "user", userid: "fred" } as const;
const ID = stateOf("user.fred.A", []).uniqueid;
const GUID = record(1).guid;

/** Codes above info, and of info those asked for. */
async function codesOf(store: Store): Promise<string[]> {
  const found = await fsckStore(store);
  return [...new Set(found.map(({ code }) => code))].sort();
}

/**
 * What is done to a sound store (its folder, the user's, the store open), and what must be found.
 */
const DAMAGE: readonly (readonly [
  string,
  readonly string[],
  (folder: string, store: Store) => void,
])[] = [
  ["an index that is gone", ["ST01"], (folder) => rmSync(join(folder, ID, "cyrus.index"))],
  [
    "a record with a flipped bit",
    ["ST01"],
    (folder) => {
      const path = join(folder, ID, "cyrus.index");
      const bytes = readFileSync(path);
      bytes[200] = 1 ^ (bytes[200] ?? 0);
      writeFileSync(path, bytes);
    },
  ],
  [
    "a mailbox no one knows",
    ["ST02"],
    (folder) => Bun.spawnSync(["cp", "-a", join(folder, ID), join(folder, "stray1")]),
  ],
  [
    "another name in the catalogue",
    ["ST03"],
    (_, store) =>
      store
        .make(owner)
        .database.run("UPDATE mailbox SET name = 'user.fred.Z' WHERE name = 'user.fred.A'"),
  ],
  [
    "a message that was not committed",
    ["ST04"],
    (folder) => writeFileSync(join(folder, ID, "9."), "x"),
  ],
  [
    "a pool file with other bytes",
    ["ST05"],
    (folder) => writeFileSync(join(folder, poolPath(GUID)), "x"),
  ],
  ["a pool file that is gone", ["ST06"], (folder) => rmSync(join(folder, poolPath(GUID)))],
  [
    "a pool file too many",
    ["ST05", "ST07"],
    (folder) => {
      const path = join(folder, poolPath("ab".padEnd(40, "0")));
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, "x");
    },
  ],
  ["a mailbox that is not registered", ["ST08"], (_, store) => store.registry.release([ID], owner)],
  ["a claim of no one", ["ST09"], (_, store) => store.claim("nobody", owner)],
  [
    "a user whose folder is gone",
    ["ST01"],
    (folder, store) => {
      store.close();
      rmSync(folder, { recursive: true });
    },
  ],
  [
    "a change that does not fit its index",
    ["ST01", "ST14"],
    (_, store) =>
      store.make(owner).database.run(
        `INSERT INTO redo
           (uniqueid, kind, path, offset, bytes, generation, records_before, records_after)
         VALUES ('${ID}', 'write', '${ID}/cyrus.index', 0, x'00', 77, 1, 1)`,
      ),
  ],
  ["staged messages", ["ST11"], (folder) => mkdirSync(join(folder, "../../../.staging/1-x"))],
  [
    "trash that no one buried",
    ["ST12"],
    (folder) => mkdirSync(join(folder, ".trash/1/x"), { recursive: true }),
  ],
  [
    "a grave that is empty",
    ["ST12"],
    (folder, store) => {
      store.make(owner).write((transaction) => {
        const row = mailboxByName(transaction.database, "user.fred.A");
        if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
      });
      rmSync(join(folder, ".trash"), { recursive: true });
    },
  ],
  [
    "a catalogue that is no database",
    ["ST09", "ST16"],
    (folder, store) => {
      store.close(); // or its log would mend the file
      writeFileSync(join(folder, ".catalogue.sqlite"), "x".repeat(5000));
    },
  ],
];

describe("checkWholeStore()", () => {
  test("finds nothing in a sound store", async () => {
    const { store } = newStore();
    for (const name of ["user.fred", "user.fred.A", "lists.dev"]) fill(store, name, 2);
    expect(await codesOf(store)).toEqual([]);
  });

  test("finds a change that is not yet in its files as ST10", async () => {
    const { store } = newStore();
    spyOn(store.make(owner), "settleIfFree").mockReturnValue(false);
    fill(store, "user.fred.A", 2);
    expect(await codesOf(store)).toEqual(["ST10"]);
  });

  for (const [what, codes, damage] of DAMAGE) {
    test(`finds ${what} as ${codes}`, async () => {
      const { root, store } = newStore();
      for (const name of ["user.fred", "user.fred.A"]) fill(store, name, 2);
      damage(join(root, "user/f/fred"), store);
      store.close();
      const again = storeAt(root);
      expect(await codesOf(again)).toEqual([...codes]);
      again.close();
    });
  }
});

describe("a store that is written to while it is checked", () => {
  const rename = (folder: OwnerFolder, from: string, to: string) =>
    renameMailboxesIn(folder, {
      ...{ requests: [{ from, to, tree: false }], isOwn: () => true, now: NOW },
    });
  const changes: Readonly<Record<string, (store: Store, folder: OwnerFolder) => void>> = {
    "is renamed": (_, folder) => rename(folder, "user.fred.B", "user.fred.C"),
    "is made": (store) => fill(store, "user.fred.New", 1),
    "is deleted": (_, folder) =>
      folder.write((transaction) => {
        const row = mailboxByName(transaction.database, "user.fred.B");
        if (row !== undefined) deleteMailboxes(transaction, [row], NOW);
      }),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`has no damage where a mailbox ${what} meanwhile`, () => {
      const { store } = newStore();
      for (const name of ["user.fred.A", "user.fred.B"]) fill(store, name, 1);
      const folder = store.make(owner);
      const steps = checkOwner(folder);
      expect(steps.next().done).toBe(false); // A is checked, B is not
      change(store, folder);
      let step = steps.next();
      while (step.done !== true) step = steps.next();
      expect(step.value.filter(isDamage).map(tell)).toEqual([]);
      store.close();
    });
  }

  test("has no damage that is gone at the second look", async () => {
    const { root, store } = newStore();
    fill(store, "user.fred.A", 1);
    const folder = join(root, "user/f/fred");
    const stray = join(folder, "stray1");
    Bun.spawnSync(["cp", "-a", join(folder, ID), stray]);
    expect(await codesOf(store)).toEqual(["ST02"]);
    const check = checkWholeStore(store); // its first look is over
    rmSync(stray, { recursive: true });
    expect(await check).toEqual({ findings: [], unstable: 0 });
    store.close();
  });
});
