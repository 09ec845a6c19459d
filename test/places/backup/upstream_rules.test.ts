/** Archives by the rules of upstream's readers, and whether the check of those rules sees. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { fixturePath } from "../../support/fixtures.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { upstreamObjections } from "../../support/upstream_rules.ts";

const COPY = { isCopy: true };

function aliceCopy(): string {
  const folder = join(tempDir("upstream"), "alice");
  cpSync(fixturePath("backup/alice"), folder, { recursive: true });
  return folder;
}

/** Writes the members anew that `change` makes of the tar. */
function change(folder: string, make: (tar: Buffer) => readonly Uint8Array[]): void {
  const [name = ""] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
  const path = join(folder, name);
  const members = make(gunzipSync(readFileSync(path)));
  writeFileSync(path, Buffer.concat(members.map((bytes) => gzipSync(bytes))));
}

/** Puts `text` into the header of the first entry with this name, and makes its checksum fit. */
function changeHeader(tar: Buffer, name: string, put: readonly [at: number, text: string]): Buffer {
  const at = tar.indexOf(`${name}\0`);
  expect(at % 512).toBe(0);
  const block = tar.subarray(at, at + 512);
  block.write(put[1], put[0], "latin1");
  const sum = block.fill(" ", 148, 156).reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return tar;
}

function changeState(folder: string, sql: string): void {
  const state = new Database(join(folder, "backupstate.sqlite3"));
  expect(state.run(sql).changes).toBeGreaterThan(0);
  state.close();
}

const HEADER = (tar: Buffer) => tar.subarray(tar.indexOf("imap/INBOX/\0")).subarray(0, 512);

const FAULTS: readonly [what: string, told: RegExp, fault: (folder: string) => void][] = [
  [
    "the end of a tar",
    /: its checksum/,
    (folder) => change(folder, (tar) => [tar, Buffer.alloc(1024)]),
  ],
  [
    "an entry of PAX",
    /an entry of type x/,
    (folder) => change(folder, (tar) => [changeHeader(tar, "imap/INBOX/", [156, "x"])]),
  ],
  [
    "a name in two parts",
    /a prefix/,
    (folder) => change(folder, (tar) => [changeHeader(tar, "imap/INBOX/", [345, "a"])]),
  ],
  [
    "a mailbox with a slash in its name",
    /no name of an entry/,
    (folder) =>
      change(folder, (tar) => [changeHeader(tar, "imap/INBOX.Sent/", [0, "imap/INBOX/"])]),
  ],
  [
    "an index before a message",
    /no file for \d+ before it/,
    (folder) => change(folder, (tar) => [changeHeader(tar, firstMessage(tar), [0, "meta/x"])]),
  ],
  [
    "a member that begins within an entry",
    /within an entry/,
    (folder) => change(folder, (tar) => [tar.subarray(0, 512), tar.subarray(512)]),
  ],
  ["a link twice", /lacks .*INBOX/, (folder) => change(folder, (tar) => [tar, HEADER(tar)])],
  ["a file beside it", /a file note/, (folder) => writeFileSync(join(folder, "note"), "")],
  [
    "a row too few",
    /indexed lacks/,
    (folder) => changeState(folder, "DELETE FROM indexed WHERE uid = 2"),
  ],
  [
    "a count that is wrong",
    /files has/,
    (folder) => changeState(folder, "UPDATE files SET refcount = 7 WHERE fileid = 1"),
  ],
];

function firstMessage(tar: Buffer): string {
  const at = tar.indexOf("files/");
  return tar.toString("latin1", at, at + 46);
}

describe("upstreamObjections()", () => {
  test.each(["alice", "alice-compacted"])("has none to %s, which upstream wrote", (name) => {
    expect(upstreamObjections(fixturePath(`backup/${name}`), COPY)).toEqual([]);
  });

  test.each(FAULTS)("has one to %s", (_, told, fault) => {
    const folder = aliceCopy();
    fault(folder);
    expect(upstreamObjections(folder, COPY)).toContainEqual(expect.stringMatching(told));
  });
});
