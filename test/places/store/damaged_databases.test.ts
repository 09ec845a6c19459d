/**
 * What a store can make anew, damaged in every way: each column of each row of catalogue and
 * registry, every page, and the files themselves. It concerns one owner; nothing calls it a bug;
 * fsck names it, and reconstruct mends it.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../src/core/errors.ts";
import { tell } from "../../../src/fsck/finding.ts";
import { checkWholeStore } from "../../../src/fsck/store/check_store.ts";
import { allMailboxes } from "../../../src/places/store/catalogue/mailbox_rows.ts";
import {
  CATALOGUE_TABLES,
  REGISTRY_TABLES,
} from "../../../src/places/store/catalogue/sound_rows.ts";
import { deleteMailboxes } from "../../../src/places/store/commit/trash.ts";
import { StorePlace } from "../../../src/places/store/store_place.ts";
import { collectOwner } from "../../../src/places/store/upkeep/gc.ts";
import { reconstructStore } from "../../../src/places/store/upkeep/reconstruct.ts";
import { newStore, storeAt } from "../../support/new_store.ts";
import { granted } from "../../support/places.ts";
import { fill, NOW } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const LONG = process.env["BOBBIN_TEST_SIZE"] === "long";
const ANNE = "user/a/anne/.catalogue.sqlite";
const REGISTRY = "uniqueids.sqlite";
const anne = { kind: "user", userid: "anne" } as const;
const NAMES = ["user.anne", "user.anne.A", "user.anne.B"];

/** A store in which every table of anne's catalogue and of the registry has a row. */
const golden = (() => {
  const { root, store } = newStore();
  for (const name of [...NAMES, "user.anne.Gone", "user.fred"]) fill(store, name, 2);
  const folder = store.make(anne);
  folder.write((transaction) => {
    const gone = allMailboxes(transaction.database).filter(({ name }) => name.endsWith("Gone"));
    deleteMailboxes(transaction, gone, NOW);
    const rows = [
      "history VALUES ('id-x', 1, 'user.anne.Old', 1)",
      "subscription VALUES ('user.anne.A')",
      "seen VALUES ('id-x', 1, 2, 3, '1:2')",
      "sieve VALUES ('a.script', 1, 1, x'61')",
      "quota VALUES ('user.anne', '', ''), ('user.anne', 'STORAGE', '10')",
      "annotation SELECT uniqueid, '/comment', '', '5', x'61' FROM mailbox WHERE name LIKE '%.A'",
    ];
    for (const row of rows) transaction.database.run(`INSERT INTO ${row}`);
  });
  store.registry.setAnnotation("/motd", "", new Uint8Array([1]));
  store.close();
  for (const path of [ANNE, REGISTRY]) {
    const database = new Database(join(root, path));
    if (path === ANNE) {
      // A step that is done already: what a kill leaves.
      database.run(`INSERT INTO redo (uniqueid, kind, path)
        SELECT uniqueid, 'unlink', uniqueid || '/9.' FROM mailbox WHERE name = 'user.anne.B'`);
    } else {
      database.run(
        "INSERT INTO handover (uniqueid, source, target) VALUES ('x', 'user:k', 'user:l')",
      );
    }
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
  }
  return root;
})();

function copied(): string {
  const root = join(tempDir("damaged"), "store");
  cpSync(golden, root, { recursive: true });
  return root;
}

/** What `work` does, or the error that it has for its user; any other is thrown. */
async function orError<T>(work: () => T | Promise<T>): Promise<T | AppError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

async function codesOf(root: string): Promise<string[]> {
  const store = storeAt(root, { access: "read" });
  try {
    return (await checkWholeStore(store)).findings.map((one) => tell(one).code);
  } finally {
    store.close();
  }
}

async function namesOf(root: string, userid: string): Promise<string[]> {
  const place = new StorePlace(storeAt(root, { access: "read" }));
  try {
    const { mailboxes } = granted(await place.user(userid));
    return mailboxes.map(({ name }) => name).sort();
  } finally {
    await place.close();
  }
}

/** Everything that is done with a store of which anne's catalogue or the registry is damaged. */
async function withstands(root: string, isFound: (codes: readonly string[]) => boolean) {
  expect(isFound(await codesOf(root))).toBe(true);
  expect(await namesOf(root, "fred")).toEqual(["user.fred"]);
  const reading = new StorePlace(storeAt(root, { access: "read" }));
  const owners = granted(await reading.owners());
  for await (const owner of owners) if (owner.kind === "user") await reading.user(owner.userid);
  await reading.mailboxesByUniqueid(["id-x"]);
  await reading.close();
  const store = storeAt(root);
  for (const name of ["user.anne.A", "user.anne.New", "user.fred.New"])
    await orError(() => fill(store, name, 3));
  for (const owner of store.owners()) {
    const gc = { now: NOW + 1, retentionSeconds: 0 };
    await orError(() => collectOwner(store.make(owner), { ...gc, retentionSeconds: 9 }));
  }
  const notes = await reconstructStore(store);
  store.close();
  expect(notes.filter(({ what }) => what === "folder left out")).toEqual([]);
  expect((await codesOf(root)).filter((code) => !LEFT.includes(code))).toEqual([]);
  for (const name of NAMES) expect(await namesOf(root, "anne")).toContain(name);
}

/** What is no damage of a database: leftovers, names, and what was set aside. */
const LEFT = ["ST03", "ST04", "ST07", "ST12", "ST13", "ST15"];

const WRONG = [
  "",
  "x",
  "[",
  '{"a":1}',
  "user:bob",
  "../../etc",
  -1,
  1.5,
  2 ** 53,
  new Uint8Array(3),
];

describe("a damaged row", () => {
  for (const [path, tables] of [
    [ANNE, CATALOGUE_TABLES],
    [REGISTRY, REGISTRY_TABLES],
  ] as const) {
    for (const [table, { columns }] of Object.entries(tables)) {
      test(`of ${table} in ${path} concerns one owner, is found and mended`, async () => {
        for (const [at, column] of Object.keys(columns).entries()) {
          for (const [number, value] of WRONG.entries()) {
            if (!LONG && (number + at) % 10 !== 0) continue;
            if (table === "about" && value === "user:bob") continue; // it is another's folder then
            const root = copied();
            const database = new Database(join(root, path));
            try {
              const one = `rowid = (SELECT rowid FROM ${table} LIMIT 1)`;
              const key = Object.keys(columns)[0] ?? "";
              const which = /WITHOUT ROWID/.test(schemaOf(database, table))
                ? `${key} = (SELECT ${key} FROM ${table} ORDER BY 1 DESC LIMIT 1)`
                : one;
              database.query(`UPDATE ${table} SET ${column} = ? WHERE ${which}`).run(value);
            } catch (error) {
              if (!(error instanceof SQLiteError)) throw error;
              continue; // a row that a constraint keeps out
            } finally {
              database.close();
            }
            const store = storeAt(root, { access: "read" });
            const isSeen =
              path === ANNE
                ? (await orError(() => store.find(anne)?.damage() ?? [])) instanceof AppError ||
                  (store.find(anne)?.damage() ?? []).length > 0
                : store.registry.damage().length > 0;
            store.close();
            await withstands(root, (codes) => !isSeen || codes.includes("ST16"));
          }
        }
      }, 120_000);
    }
  }
});

function schemaOf(database: Database, table: string): string {
  const sql = "SELECT sql FROM sqlite_schema WHERE name = ?";
  return database.query<{ sql: string }, [string]>(sql).get(table)?.sql ?? "";
}

/** What is done to a file at this path. */
const FILES: readonly (readonly [string, (path: string) => void])[] = [
  ["emptied", (path) => truncateSync(path, 0)],
  ["cut", (path) => truncateSync(path, 5000)],
  ["no SQLite", (path) => writeFileSync(path, "x".repeat(9000))],
  ["gone", (path) => rmSync(path)],
  [
    "a folder",
    (path) => {
      rmSync(path);
      mkdirSync(path);
    },
  ],
  [
    "a link to nothing",
    (path) => {
      rmSync(path);
      symlinkSync("/nowhere/at/all", path);
    },
  ],
  ["with a log of rubbish", (path) => writeFileSync(`${path}-wal`, "x".repeat(9000))],
  ["with an index of rubbish", (path) => writeFileSync(`${path}-shm`, "x".repeat(40000))],
  ["with a folder for a log", (path) => mkdirSync(`${path}-wal`)],
];

describe("a damaged file", () => {
  for (const path of [ANNE, REGISTRY]) {
    for (const [how, damage] of FILES) {
      test(`${path} ${how} stops nobody else, and is mended`, async () => {
        const root = copied();
        damage(join(root, path));
        const isHarmless = how.includes("rubbish");
        await withstands(root, (codes) => isHarmless || codes.includes("ST16"));
        expect(existsSync(join(root, path))).toBe(true);
      });
    }

    test(`every page of ${path} may be wrong`, async () => {
      const bytes = readFileSync(join(golden, path));
      const random = [0, 16, 18, 56, 100, 2000];
      for (let page = 0; page < bytes.length; page += 4096) {
        for (const [at, within] of random.entries()) {
          if (!LONG && (page / 4096 + at) % 12 !== 0) continue;
          const root = copied();
          const changed = Buffer.from(bytes);
          changed.fill(0xff, page + within, Math.min(page + within + 64, page + 4096));
          writeFileSync(join(root, path), changed);
          await withstands(root, () => true);
        }
      }
    }, 120_000);
  }
});
