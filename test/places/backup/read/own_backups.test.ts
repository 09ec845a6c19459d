import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { recordsOf } from "../../../../src/model/mailbox.ts";
import { refused } from "../../../../src/model/outcome.ts";
import { archiveFolder } from "../../../../src/places/backup/archive_folder.ts";
import { openBackupFolder } from "../../../../src/places/backup/read/backup_folder.ts";
import { rebuildState } from "../../../../src/places/backup/rebuild.ts";
import type { WritablePlace } from "../../../../src/places/place.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { initStore } from "../../../../src/places/store/store_settings.ts";
import { backUp, differencesOf, openBackup } from "../../../support/backup.ts";
import { granted, ownersIn } from "../../../support/places.ts";
import { NOW, record, stateOf } from "../../../support/store_fixture.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { upstreamObjections } from "../../../support/upstream_rules.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "../../example_mail.ts";
import { readsConform } from "../../reading_conformance.ts";

async function exampleStore(): Promise<WritablePlace> {
  const root = join(tempDir("backup"), "store");
  initStore(root);
  const place = openStorePlace(root);
  await putExampleMail(place);
  return place;
}

/** A folder with the archive of every owner of the example mail. */
async function exampleBackups(): Promise<string> {
  const root = tempDir("backups");
  const source = await exampleStore();
  for (const owner of EXAMPLE_OWNERS) await backUp(owner, source, archiveFolder(root, owner));
  await source.close();
  return root;
}

const TABLES = {
  ...{ imap: "name, deleted, offset, uniqueid", fmeta: "uniqueid, name, sha1, size, offset" },
  indexed: "uniqueid, uid, fileid",
  x_entries: "kind, name, uniqueid, sha1, size, mtime, at, content",
};

function rowsOf(database: Database): unknown[] {
  const found = Object.entries(TABLES).map(([table, columns]) =>
    database.query(`SELECT ${columns} FROM ${table} LEFT JOIN folders USING (folderid)`).values(),
  );
  const whole = ["status", "files", "meta", "x_members", "x_runs"].map((table) =>
    database.query(`SELECT * FROM ${table}`).values(),
  );
  return [...found, ...whole].map((rows) => rows.map((row) => Bun.inspect(row)).sort());
}

readsConform("A folder of backups", {
  open: async () => openBackupFolder(await exampleBackups(), { locator: "backup:here" }),
  owners: EXAMPLE_OWNERS,
});

describe("backups of Bobbin", () => {
  let root: string;
  beforeAll(async () => {
    root = await exampleBackups();
  });

  test("have a state that comes of the data file alone too", async () => {
    for (const owner of EXAMPLE_OWNERS) {
      const folder = archiveFolder(root, owner);
      const [name = ""] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
      const kept = new Database(join(folder, "backupstate.sqlite3"), { readonly: true });
      const made = new Database(":memory:", { strict: true });
      expect(await rebuildState(made, join(folder, name))).toEqual({ flaws: [] });
      expect(rowsOf(made)).toEqual(rowsOf(kept));
      kept.close();
    }
  });

  test("have nothing that upstream's readers would not take", () => {
    for (const owner of EXAMPLE_OWNERS) {
      expect(upstreamObjections(archiveFolder(root, owner))).toEqual([]);
    }
  });

  test("hold what the source held at the end of each run, with and without a state", async () => {
    const [owner] = EXAMPLE_OWNERS;
    if (owner?.kind !== "user") throw new Error("the first owner is a user");
    const folder = join(tempDir("backup"), owner.userid);
    const [before, after] = [await exampleStore(), await exampleStore()];
    const name = `user.${owner.userid}.Later`;
    const records = [record(1, { expunged: true })];
    const session = await after.openSession();
    const state = { ...stateOf(name, records), uniqueid: "later-1" };
    granted(await session.apply({ kind: "mailbox", state, records: recordsOf(records) }));
    await session.close();
    const run = async (at: number, source: WritablePlace) => {
      const now = () => NOW * 1000 + at * 500;
      expect((await backUp(owner, source, folder, { open: { now } })).failures).toEqual([]);
    };
    await run(0, before);
    const early = await openBackupFolder(folder, { locator: "backup:early" });
    await run(1, after);
    // Who reads while a run commits reads on what was there before.
    expect(await differencesOf(owner, before, early)).toEqual([]);
    await early.close();
    for (const isRebuilt of [false, true]) {
      if (isRebuilt) rmSync(join(folder, "backupstate.sqlite3"));
      for (const [at, source] of [before, after].entries()) {
        const options = { locator: "backup:then", at: NOW * 1000 + at * 500 };
        const place = await openBackupFolder(folder, options);
        expect(await differencesOf(owner, source, place)).toEqual([]);
        await place.close();
      }
      const never = openBackupFolder(folder, { locator: "backup:x", at: NOW * 1000 - 1 });
      await expect(never).rejects.toThrow(/^Cannot read backup:x: nothing in it is of /);
    }
    await before.close();
    await after.close();
  });

  test("are of those alone of whom there is anything as of a moment", async () => {
    const folder = tempDir("backups");
    const source = await exampleStore();
    for (const [at, owner] of EXAMPLE_OWNERS.entries()) {
      const now = () => (NOW + at * 10) * 1000;
      await backUp(owner, source, archiveFolder(folder, owner), { open: { now } });
    }
    await source.close();
    const then = (seconds: number) =>
      openBackupFolder(folder, { locator: "backup:then", at: (NOW + seconds) * 1000 });
    for (const [at, count] of [
      [5, 1],
      [10, EXAMPLE_OWNERS.length],
    ] as const) {
      const place = await then(at);
      expect(await ownersIn(place)).toHaveLength(count);
      await place.close();
    }
    await expect(then(-1)).rejects.toMatchObject({ code: "not_found" });
  });

  test("tell what the last run could not have, but for what earlier ones had", async () => {
    const [owner] = EXAMPLE_OWNERS;
    if (owner?.kind !== "user") throw new Error("the first owner is a user");
    const folder = archiveFolder(root, owner);
    const writer = await openBackup(folder, owner);
    const [known] = granted(await writer.user(owner.userid)).mailboxes;
    const refusal = refused("damaged", "a bad disk");
    const lost = { name: `user.${owner.userid}.Lost`, uniqueid: "lost-1", refusal };
    const { name = "", uniqueid = "" } = known ?? {};
    await writer.finished?.(owner, [lost, { name, uniqueid, refusal }]);
    await writer.close();
    const place = await openBackupFolder(folder, { locator: "backup:here" });
    const { unreadable = [] } = granted(await place.user(owner.userid));
    expect(unreadable.map((one) => [one.name, one.uniqueid])).toEqual([[lost.name, "lost-1"]]);
    await place.close();
  });
});
