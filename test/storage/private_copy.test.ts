import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { PrivateCopy } from "../../src/storage/private_copy.ts";
import { openDatabase } from "../../src/storage/sqlite.ts";
import { tempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

/** Moves money about for ever: the sum never changes, and the log is begun anew all the time. */
const WRITER = `
import { Database } from "bun:sqlite";
const path = process.argv[1];
for (let round = 0; ; round++) {
  const database = new Database(path);
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = OFF");
  database.run("PRAGMA wal_autocheckpoint = 30");
  database.run("PRAGMA busy_timeout = 2000");
  for (let step = 0; step < 200; step++) {
    database.run("BEGIN IMMEDIATE");
    const [from, to] = [(round + step * 7) % 500, (round * 3 + step * 11) % 500];
    database.query("UPDATE account SET sum = sum - 5 WHERE id = ?").run(from);
    database.query("UPDATE account SET sum = sum + 5 WHERE id = ?").run(to);
    database.run("UPDATE total SET count = count + 1");
    database.run("COMMIT");
    Bun.sleepSync(1);
  }
  database.close();
  if (round === 0) console.log("begun");
}`;

const SCHEMA = [
  `CREATE TABLE account (id INTEGER PRIMARY KEY, sum INTEGER, filler TEXT);
   CREATE TABLE total (count INTEGER);
   INSERT INTO total VALUES (0);`,
];

test("PrivateCopy.take() gets a sound moment of a database that is written to", async () => {
  const path = join(tempDir("copy"), "bank.sqlite");
  const bank = openDatabase(path, SCHEMA, { create: true });
  const insert = bank.query("INSERT INTO account VALUES (?, 100, ?)");
  bank.run("BEGIN");
  for (let id = 0; id < 500; id++) insert.run(id, "x".repeat(300));
  bank.run("COMMIT");
  bank.close();
  const writer = Bun.spawn([process.execPath, "-e", WRITER, path], { stdout: "pipe" });
  const copy = new PrivateCopy(path);
  try {
    await writer.stdout.getReader().read();
    const counts = new Set<number>();
    let last = 0;
    for (let round = 0; round < (isLong ? 500 : 40); round++) {
      await until("a copy gone stale", () => copy.isStale());
      copy.take();
      const database = openDatabase(copy.path, SCHEMA, { create: false });
      expect(database.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
      expect(database.query("SELECT sum(sum) FROM account").values()).toEqual([[50_000]]);
      const count = Number(database.query("SELECT count FROM total").values()[0]?.[0]);
      expect(count).toBeGreaterThanOrEqual(last);
      counts.add(count);
      last = count;
      database.close();
      await Bun.sleep(round % 7);
    }
    expect(counts.size).toBeGreaterThan(5);
  } finally {
    writer.kill(9);
    await writer.exited;
  }
  copy.take();
  expect(copy.isStale()).toBe(false);
  copy.close();
  expect(existsSync(dirname(copy.path))).toBe(false);
}, 120_000);
