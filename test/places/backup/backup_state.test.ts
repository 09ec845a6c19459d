import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { concat } from "../../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import type { PlacedEntry } from "../../../src/formats/tar/tar_splitter.ts";
import { TarSplitter } from "../../../src/formats/tar/tar_splitter.ts";
import { BackupState } from "../../../src/places/backup/state/backup_state.ts";
import {
  type ArchiveFact,
  changesBy,
  type ListedMessage,
  type StateView,
} from "../../../src/places/backup/state/reduce.ts";
import { fixturePath } from "../../support/fixtures.ts";

const GUID = (digit: number) => String(digit).repeat(40);

/** Every row of a table as upstream has it, in an order of its own. */
function rowsOf(database: Database, table: string): unknown[] {
  const rows = database.query(`SELECT * FROM ${table}`).all();
  return rows.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
}

const TABLES = ["folders", "imap", "meta", "fmeta", "files", "indexed"];

describe("BackupState", () => {
  test.each([
    ["alice", "backupdata-1795345419.tar.gz"],
    ["alice-compacted", "backupdata-1795345452.tar.gz"],
  ])("comes to the rows that upstream has for %s", (folder, name) => {
    const tar = gunzipSync(readFileSync(fixturePath(`backup/${folder}/${name}`)));
    const database = new Database(":memory:", { strict: true });
    const state = new BackupState(database);
    let parts: Uint8Array[] = [];
    for (const event of new TarSplitter(DEFAULT_LIMITS).feed(tar)) {
      if (event.kind === "entry") parts = [];
      if (event.kind === "content") parts.push(event.bytes);
      if (event.kind === "end") expect(state.take(event.entry, () => concat(parts))).toEqual([]);
    }
    const path = fixturePath(`backup/${folder}/backupstate.sqlite3`);
    const upstream = new Database(path, { readonly: true });
    for (const table of TABLES) {
      expect({ table, rows: rowsOf(database, table) }).toEqual({
        ...{ table, rows: rowsOf(upstream, table) },
      });
    }
  });

  test("keeps inode numbers whole, and tells of entries that belong to no backup", () => {
    const database = new Database(":memory:", { strict: true });
    const state = new BackupState(database);
    const entry: PlacedEntry = {
      ...{ name: "meta/sub", type: "file", size: 3, mtime: 5, linkname: GUID(1) },
      ...{ inode: 2 ** 40 + 1, offset: 0 },
    };
    const none = () => new Uint8Array();
    expect(state.take(entry, none)).toEqual([]);
    expect(database.query("SELECT inode FROM meta").get()).toEqual({ inode: 2 ** 40 + 1 });
    const injected = { ...entry, name: "imap/x'; DROP TABLE imap; --/", type: "link" as const };
    expect(state.take({ ...injected, linkname: "u1" }, none)).toEqual([]);
    expect(database.query("SELECT name FROM imap").get()).toEqual({
      name: "x'; DROP TABLE imap; --",
    });
    for (const wrong of [
      { ...entry, name: "../../x" },
      { ...entry, name: "folders/u1/" },
      { ...entry, type: "other" as const },
      { ...injected, linkname: "../u1" },
    ]) {
      expect(state.take(wrong, none)).toEqual([{ kind: "unknown", entry: wrong }]);
    }
  });

  test("counts what a run wrote from its end, and what upstream wrote from its time", () => {
    const database = new Database(":memory:", { strict: true });
    const state = new BackupState(database);
    let offset = 0;
    const take = (name: string, mtime: number, content = "x") => {
      const bytes = new TextEncoder().encode(content);
      const entry = { name, type: "file" as const, size: bytes.length, mtime, inode: 0 };
      const flaws = state.take({ ...entry, linkname: GUID(1), offset }, () => bytes);
      offset += 1024;
      return flaws;
    };
    const mark = (began: number, ended: number) =>
      JSON.stringify({
        ...{ began, ended, source: "store:/s", messages: 0, bytes: 0, mailboxes: 1 },
        ...{ findings: 0, missing: [], version: "1" },
      });
    take("folders/u1/cyrus.header", 100);
    take("folders/u1/cyrus.mailbox_annotations", 0);
    take("folders/u1/cyrus.header", 200);
    expect(take("meta/x-run", 201, mark(200_400, 201_700))).toEqual([]);
    take("folders/u1/cyrus.header", 300);
    expect(take("meta/x-run", 301, "{}")[0]?.kind).toBe("unreadable");
    const rows = database.query("SELECT at FROM x_entries ORDER BY offset").values().flat();
    expect(rows).toEqual([100_000, 100_000, 201_700, 201_700, 300_000, 301_000]);
    expect(database.query("SELECT ended, offset FROM x_runs").all()).toEqual([
      { ended: 201_700, offset: 3072 },
    ]);
  });
});

describe("changesBy()", () => {
  const view = (listed: readonly number[], known: readonly string[] = [GUID(1)]): StateView => ({
    hasMessage: (guid) => known.includes(guid),
    file: () => ({ size: 10, stale: 5 }),
    isLive: () => false,
    listed: () => listed,
  });
  const index = (records: readonly ListedMessage[], size = 100): ArchiveFact => ({
    ...{ kind: "file", key: { kind: "folder", uniqueid: "u", name: "index" }, records },
    ...{ sha1: GUID(9), size, mtime: 1, inode: 2, offset: 512 },
  });
  const record = (uid: number, guid = GUID(1), unlinked = false) => ({ uid, guid, unlinked });

  test("walks an index and what is listed by UID", () => {
    const records = [record(2), record(3, GUID(1), true), record(5), record(6, GUID(2))];
    const [put, ...rest] = changesBy(index(records), view([1, 2, 4, 9]));
    expect(put).toMatchObject({ kind: "putFile", stale: 15 });
    expect(rest).toEqual([
      { kind: "unlist", uniqueid: "u", uid: 1 },
      { kind: "unlist", uniqueid: "u", uid: 4 },
      { kind: "list", uniqueid: "u", uid: 5, guid: GUID(1) },
      { kind: "lacking", uniqueid: "u", message: record(6, GUID(2)) },
      { kind: "unlist", uniqueid: "u", uid: 9 },
    ]);
  });

  test("keeps what is listed of a record that lost its file, and of an index that is gone", () => {
    expect([...changesBy(index([record(7, GUID(1), true)]), view([7]))].length).toBe(1);
    expect([...changesBy(index([], 0), view([7]))].map(({ kind }) => kind)).toEqual(["dropFile"]);
  });

  test("ends the live rows of a name, and makes nothing of a marker for a dead one", () => {
    const link = (uniqueid: string): ArchiveFact => {
      return { kind: "link", mailbox: "INBOX", uniqueid, mtime: 9, offset: 1024 };
    };
    const live = { ...view([]), isLive: () => true };
    expect([...changesBy(link("u"), live)].map(({ kind }) => kind)).toEqual([
      "endLinks",
      "putLink",
    ]);
    expect([...changesBy(link(""), live)].map(({ kind }) => kind)).toEqual(["endLinks"]);
    expect([...changesBy(link(""), view([]))]).toEqual([]);
  });
});
