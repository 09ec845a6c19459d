import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { allMailboxes } from "../../../../src/places/store/catalogue/mailbox_rows.ts";
import { poolPath } from "../../../../src/places/store/layout.ts";
import { collectOwner, collectStaging } from "../../../../src/places/store/upkeep/gc.ts";
import { reconstructStore } from "../../../../src/places/store/upkeep/reconstruct.ts";
import { fsckStore } from "../../../support/fsck.ts";
import { newStore } from "../../../support/new_store.ts";
import { fill, NOW } from "../../../support/store_fixture.ts";

type Make = (path: string) => void;

const file: Make = (path) => writeFileSync(path, "x");
const folder: Make = (path) => mkdirSync(join(path, "inside"), { recursive: true });
const link: Make = (path) => symlinkSync("/nowhere", path);
const linkToFolder: Make = (path) => symlinkSync("/tmp", path);

const STRAYS: readonly (readonly [string, Make])[] = [
  ["notes.txt", file],
  ["elsewhere", folder],
  ["user/x", file],
  ["user/b", link],
  ["user/é", folder],
  ["user/fred", folder],
  ["user/a/y", file],
  ["user/f/link", linkToFolder],
  ["user/f/Odd\\name", folder],
  ["user/f/wrong-letter", folder],
  ["shared/z", file],
  [".staging/x", file],
  [".staging/link", linkToFolder],
  ["user/f/fred/x", file],
  ["user/f/fred/.hidden", file],
  ["user/f/fred/.arriving/x", file],
  ["user/f/fred/.trash/1", file],
  ["user/f/fred/.trash/2/x", file],
  ["user/f/fred/.trash/link", linkToFolder],
  ["user/f/fred/.pool/x", file],
  ["user/f/fred/.pool/ff", file],
  [`user/f/fred/${poolPath("ee".padEnd(40, "0"))}`, folder],
  [`user/f/fred/${poolPath("dd".padEnd(40, "0"))}`, link],
];

/** A year on, so that gc takes whatever it takes by age. */
const LATER = { now: NOW * 2, retentionSeconds: 0 };

describe("strays in a store", () => {
  test("a sound store has none", async () => {
    const { store } = newStore();
    for (const name of ["user.fred", "user.fred.A", "lists.dev"]) fill(store, name, 2);
    expect(await fsckStore(store)).toEqual([]);
    store.close();
  });

  for (const hash of [true, false]) {
    test(`the folders of owners are none in a store with hash ${hash}`, async () => {
      const { store } = newStore({}, { hash });
      for (const name of ["user.fred", "user.Zoë", "lists.dev"]) fill(store, name, 1);
      expect(await fsckStore(store)).toEqual([]);
      expect(store.owners()).toHaveLength(3);
      store.close();
    });
  }

  for (const [path, make] of STRAYS) {
    test(`${path} is found as ST15, stops nothing, and stays`, async () => {
      const { root, store } = newStore();
      for (const name of ["user.fred", "user.fred.A", "lists.dev"]) fill(store, name, 2);
      mkdirSync(dirname(join(root, path)), { recursive: true });
      make(join(root, path));
      expect((await fsckStore(store)).filter(({ code }) => code === "ST15")).toMatchObject([
        { at: { path: join(root, path) } },
      ]);
      const names = store.owners().flatMap((owner) => {
        const opened = store.find(owner);
        if (opened === undefined) return [];
        expect(collectOwner(opened, LATER).skipped).toEqual([]);
        return opened.read(allMailboxes).map(({ name }) => name);
      });
      expect(names).toEqual(["user.fred", "user.fred.A", "lists.dev"]);
      collectStaging(root);
      expect(await reconstructStore(store)).toEqual([]);
      expect(lstatSync(join(root, path))).toBeDefined();
      store.close();
    });
  }

  test("a file in the place of a folder of the store is found, and the others go on", async () => {
    for (const taken of ["shared", "user/f/fred/.trash", "user/f/fred/.pool", ".staging"]) {
      const { root, store } = newStore();
      fill(store, "user.fred", 1);
      const path = join(root, taken);
      if (existsSync(path)) Bun.spawnSync(["rm", "-r", path]);
      file(path);
      expect((await fsckStore(store)).map(({ at }) => at.path)).toContain(path);
      expect(store.owners()).toEqual([{ kind: "user", userid: "fred" }]);
      expect(await reconstructStore(store)).toEqual([]);
      expect(readdirSync(root)).toContain("bobbin.json");
      store.close();
    }
  });
});
