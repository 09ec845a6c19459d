/**
 * What `access` promises of an opened store: who reads changes nothing, who writes raises no
 * schema.
 */
import { Database } from "bun:sqlite";
import { describe, expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import { CATALOGUE_SCHEMA } from "../../../src/places/store/catalogue/catalogue.ts";
import { OwnerFolder } from "../../../src/places/store/commit/owner_folder.ts";
import { Store } from "../../../src/places/store/store.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { prepare, SCENARIOS } from "../../crash/driver.ts";
import { newStore, storeAt } from "../../support/new_store.ts";
import { granted } from "../../support/places.ts";
import { fill } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { treeState } from "../../support/tree_state.ts";
import { lowerSchema } from "../../support/unsettled_store.ts";

const CATALOGUE = "user/f/fred/.catalogue.sqlite";

function copyOf(root: string): string {
  const copy = join(tempDir("read"), "store");
  expect(Bun.spawnSync(["cp", "-a", root, copy]).exitCode).toBe(0);
  return copy;
}

/** All that the store shows of its users: states, records, and the size of each message. */
async function shown(root: string, access: "read" | "write"): Promise<unknown> {
  const place = openStorePlace(root, { access });
  const users: unknown[] = [];
  const uniqueids: string[] = [];
  for (const userid of ["fred", "anne"]) {
    const user = granted(await place.user(userid));
    const mailboxes: unknown[] = [];
    for (const { name, uniqueid, partition } of user.mailboxes) {
      uniqueids.push(uniqueid);
      const { state, records } = granted(await place.readMailbox(name));
      const all = (await Array.fromAsync(records.batches())).flat();
      const messages: string[] = [];
      for (const { uid, guid } of all.filter((record) => !record.expunged)) {
        const address = { mailbox: name, uniqueid, partition: partition ?? "", uid, guid };
        messages.push(`${uid} ${granted(await place.message(address)).size}`);
      }
      mailboxes.push({ state, all, messages });
    }
    users.push({ ...user, mailboxes });
  }
  const byUniqueid = granted(await place.mailboxesByUniqueid(uniqueids));
  await place.close();
  return { users, byUniqueid };
}

describe("a store opened to be read", () => {
  for (const [scenario, change] of Object.entries(SCENARIOS)) {
    test(`${scenario}: shows what its commit has promised, and changes nothing`, async () => {
      const { root, store } = newStore();
      prepare(store);
      const settle = spyOn(OwnerFolder.prototype, "settleIfFree").mockReturnValue(false);
      change(store);
      settle.mockRestore();
      const killed = copyOf(root);
      store.close();
      const before = treeState(killed);
      const found = await shown(killed, "read");
      expect(treeState(killed)).toEqual(before);
      expect(found).toEqual(await shown(killed, "write"));
    });
  }

  test("refuses to write, and to make an owner or a session", () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 1);
    store.close();
    const reader = storeAt(root, { access: "read" });
    const folder = reader.find({ kind: "user", userid: "fred" });
    expect(() => folder?.write(() => undefined)).toThrow(/may only read it/);
    expect(() => reader.make({ kind: "user", userid: "new" })).toThrow(/may only read it/);
    expect(() => reader.stage()).toThrow(/may only read it/);
    reader.close();
  });

  test("of a newer release keeps no older one from writing", async () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 2);
    store.close();
    const churn = join(import.meta.dir, "../../crash/churn.ts");
    const older = Bun.spawn([process.execPath, "run", churn, root, "user.fred"], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const said = older.stdout.getReader();
    await said.read();
    const versions = CATALOGUE_SCHEMA as string[]; // as a later release will have them
    versions.push("ALTER TABLE mailbox ADD COLUMN of_a_later_release TEXT");
    try {
      for (let round = 0; round < 3; round++) {
        const newer = openStorePlace(root, { access: "read" });
        const [inbox] = granted(await newer.user("fred")).mailboxes;
        expect(inbox?.lastUid).toBeGreaterThan(2);
        await newer.close();
        expect((await said.read()).done).toBe(false);
      }
    } finally {
      versions.pop();
      older.kill(9);
      await older.exited;
    }
    expect(versionOf(root)).toBe(CATALOGUE_SCHEMA.length);
    const again = storeAt(root);
    fill(again, "user.fred.B", 1);
    again.close();
  });

  test("cannot be opened where the same process writes to it, nor the other way round", () => {
    const { root, store } = newStore();
    expect(() => storeAt(root, { access: "read" })).toThrow(/is open to write/);
    store.close();
    const reader = storeAt(root, { access: "read" });
    expect(() => storeAt(root)).toThrow(/is open to read/);
    reader.close();
    storeAt(root).close();
  });
});

function versionOf(root: string): number {
  const database = new Database(join(root, CATALOGUE), { readonly: true });
  const { user_version: version } = database
    .query<{ user_version: number }, []>("PRAGMA user_version")
    .get() ?? { user_version: 0 };
  database.close();
  return version;
}

describe("a store of an older schema", () => {
  function older(): string {
    const { root, store } = newStore();
    fill(store, "user.fred", 2);
    fill(store, "user.anne", 1);
    store.close();
    for (const path of [CATALOGUE, "user/a/anne/.catalogue.sqlite"]) lowerSchema(join(root, path));
    return root;
  }

  test("opened to be written is refused as it is", () => {
    const root = older();
    const store = storeAt(root, { access: "write" });
    expect(() => fill(store, "user.fred.A", 1)).toThrow(/its schema is 1, ours 3/);
    store.close();
    expect(versionOf(root)).toBe(1);
  });

  test("opened to be upgraded is raised owner by owner, and one line says so", () => {
    const root = older();
    const told: string[] = [];
    const store = new Store(root, { access: "upgrade", tell: (text) => told.push(text) });
    expect(told).toEqual([]);
    fill(store, "user.fred.A", 1);
    fill(store, "user.anne.A", 1);
    store.close();
    expect(told).toEqual([
      `Raising the schema of .catalogue.sqlite in ${root} from 1 to 3: older releases of ` +
        "Bobbin refuse it from now on",
    ]);
    expect(versionOf(root)).toBe(3);
  });
});
