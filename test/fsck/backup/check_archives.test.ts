import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { printEntryName } from "../../../src/formats/backup/entry_name.ts";
import { paddingOf, printTarHeader } from "../../../src/formats/tar/tar_header.ts";
import { checkArchives } from "../../../src/fsck/backup/check_archives.ts";
import { tell } from "../../../src/fsck/finding.ts";
import { sha1Of } from "../../../src/hash/sha1.ts";
import type { Owner } from "../../../src/model/names.ts";
import { alterArchive, backUp } from "../../support/backup.ts";
import { newStorePlace, put } from "../../support/replication.ts";
import { randomOf } from "../../support/spool/random.ts";
import { record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const ANN: Owner = { kind: "user", userid: "ann" };
const FIXTURES = join(import.meta.dir, "../../fixtures/backup");

async function archiveOfAnn(): Promise<string> {
  const store = newStorePlace();
  await put(
    store,
    "user.ann",
    [1, 2, 3].map((uid) => record(uid)),
  );
  await put(
    store,
    "user.ann.Sub",
    [4].map((uid) => record(uid)),
  );
  const folder = join(tempDir("archive"), "a/ann");
  await backUp(ANN, store, folder);
  await store.close();
  return folder;
}

const EVERYTHING = { wanted: undefined, onRead: () => undefined };

async function codesOf(folder: string): Promise<string[]> {
  const { findings } = await checkArchives([folder], EVERYTHING);
  return [...new Set(findings.map((one) => tell(one).code))].sort();
}

function dataOf(folder: string): string {
  const [name = ""] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
  return join(folder, name);
}

/** Gives the first message a name that no entry has, with the checksum that its header wants. */
function rename(folder: string): void {
  const path = dataOf(folder);
  const tar = gunzipSync(readFileSync(path));
  const at = tar.indexOf("files/");
  tar.write("filez/", at, "latin1");
  const sum = Number.parseInt(tar.toString("latin1", at + 148, at + 154), 8);
  const grown = "z".charCodeAt(0) - "s".charCodeAt(0);
  tar.write((sum + grown).toString(8).padStart(6, "0"), at + 148, "latin1");
  writeFileSync(path, gzipSync(tar));
}

function changeState(folder: string, sql: string): void {
  const state = new Database(join(folder, "backupstate.sqlite3"));
  expect(state.run(sql).changes).toBeGreaterThan(0);
  state.close();
}

function flip(folder: string, at: number): void {
  const bytes = readFileSync(dataOf(folder));
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(dataOf(folder), bytes);
}

function isSame(left: string, right: string): boolean {
  const [one, other] = [left, right].map((folder) => gunzipSync(readFileSync(dataOf(folder))));
  return one !== undefined && other !== undefined && one.equals(other);
}

describe("checkArchives()", () => {
  test("finds a damaged message of Cyrus 2.3, whose entry alone has a SHA-1", async () => {
    const content = Buffer.from("Subject: old\r\n\r\nbody\r\n");
    const name = printEntryName({ kind: "message", guid: `02${"ab".repeat(11)}${"0".repeat(16)}` });
    const entry = { name, type: "file", size: content.length, mtime: 1, inode: 0 } as const;
    const header = printTarHeader({ ...entry, linkname: sha1Of(content) });
    for (const [bytes, damaged] of [
      [content, []],
      [Buffer.from(content).fill("Z", 0, 1), [sha1Of(content)]],
    ] as const) {
      const folder = join(tempDir("archive"), "a/ann");
      mkdirSync(folder, { recursive: true });
      const tar = Buffer.concat([header, bytes, Buffer.alloc(paddingOf(bytes.length))]);
      writeFileSync(join(folder, "backupdata-1.tar.gz"), gzipSync(tar));
      const { findings } = await checkArchives([folder], EVERYTHING);
      const told = findings.map(tell).filter(({ code }) => code === "BK03");
      expect(told.map(({ expected }) => expected)).toEqual([...damaged]);
    }
  });

  for (const name of ["alice", "alice-compacted"]) {
    test(`finds nothing wrong in ${name}, which upstream's tools wrote`, async () => {
      expect(await codesOf(join(FIXTURES, name))).toEqual([]);
    });
  }

  test("finds nothing wrong in an archive of its own, and reads every message", async () => {
    const { findings, counts } = await checkArchives([await archiveOfAnn()], EVERYTHING);
    expect([findings, counts]).toEqual([[], { mailboxes: 2, records: 4, messagesRead: 4 }]);
  });

  const faults: readonly [what: string, code: string, change: (folder: string) => void][] = [
    [
      "a message that has changed",
      "BK03",
      (folder) => alterArchive(dataOf(folder), "Subject: ", "Subjekt: "),
    ],
    ["a missing state", "BK02", (folder) => rmSync(join(folder, "backupstate.sqlite3"))],
    ["an entry of another name", "BK04", rename],
    ["a lost row", "BK06", (folder) => changeState(folder, "DELETE FROM files WHERE fileid = 1")],
    ["another name", "BK06", (folder) => changeState(folder, "UPDATE imap SET deleted = 7")],
    ["a lost record", "BK06", (folder) => changeState(folder, "DELETE FROM indexed WHERE uid = 2")],
    ["a broken member", "BK01", (folder) => flip(folder, 40)],
  ];
  for (const [what, code, change] of faults) {
    test(`finds ${what} (${code})`, async () => {
      const folder = await archiveOfAnn();
      change(folder);
      expect(await codesOf(folder)).toContain(code);
    });
  }

  test("finds every changed byte, and is never confused by one", async () => {
    const sound = await archiveOfAnn();
    const { length } = readFileSync(dataOf(sound));
    const random = randomOf(20261201).below;
    const places = isLong
      ? Array.from({ length }, (_, at) => at)
      : Array.from({ length: 40 }, () => random(length));
    const folder = join(tempDir("flipped"), "a/ann");
    for (const at of places) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(sound, folder, { recursive: true });
      flip(folder, at);
      const isFound = (await codesOf(folder)).length > 0;
      // The time in a header of gzip, or bits behind the last of a member, say nothing of mail.
      expect([at, isFound || isSame(folder, sound)]).toEqual([at, true]);
    }
  });
});
