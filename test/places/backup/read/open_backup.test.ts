import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { sha1Of } from "../../../../src/hash/sha1.ts";
import type { MailboxState } from "../../../../src/model/mailbox.ts";
import type { Owner } from "../../../../src/model/names.ts";
import { openBackupFolder } from "../../../../src/places/backup/read/backup_folder.ts";
import { rebuildState } from "../../../../src/places/backup/rebuild.ts";
import type { Place } from "../../../../src/places/place.ts";
import { fixturePath } from "../../../support/fixtures.ts";
import { bytesOf, granted, ownersIn, recordsIn } from "../../../support/places.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { readsConform } from "../../reading_conformance.ts";

const ALICE: Owner = { kind: "user", userid: "alice" };
const LOCATOR = "backup:here";

function fixtureData(name: string): { readonly name: string; readonly path: string } {
  const folder = fixturePath(`backup/${name}`);
  const data = readdirSync(folder).find((one) => one.startsWith("backupdata")) ?? "";
  return { name: data, path: join(folder, data) };
}

/** A folder of alice's archive: the data file as `change` makes it, and no state. */
function archiveOf(name: string, change = (bytes: Uint8Array): Uint8Array => bytes): string {
  const folder = join(tempDir("backup"), "alice");
  mkdirSync(folder);
  const data = fixtureData(name);
  writeFileSync(join(folder, data.name), change(readFileSync(data.path)));
  return folder;
}

function openAlice(folder: string, at?: number): Promise<Place> {
  return openBackupFolder(folder, { locator: LOCATOR, at });
}

async function namesIn(place: Place): Promise<string[]> {
  return granted(await place.user("alice")).mailboxes.map(({ name }) => name);
}

/** Any row of a state. */
type Row = { readonly guid: string; readonly name: string; readonly uniqueid: string } & {
  readonly [column: string]: unknown;
};

/** What upstream's readers print of an archive (archive-dump.pl), without its order. */
async function dumpOf(place: Place, database: Database): Promise<string[]> {
  const lines: object[] = [];
  const rows = (sql: string) => database.query(sql).all() as Row[];
  lines.push(
    ...rows("SELECT 'archive' AS type, filename, size, offset, version FROM status"),
    ...rows(`SELECT 'fmeta' AS type, uniqueid, name, sha1, size, mtime, inode
      FROM fmeta JOIN folders USING (folderid)`),
    ...rows(`SELECT 'meta' AS type, 'meta/' || name AS name, sha1, size, mtime, inode FROM meta`),
  );
  for (const { guid, size, refcount } of rows("SELECT * FROM files")) {
    const where = { mailbox: "user.alice", uniqueid: "", partition: null, uid: 1 };
    const bytes = await bytesOf(place, { ...where, guid });
    const isSound = sha1Of(bytes) === guid && bytes.length === size;
    lines.push({ type: "blob", guid, size, refcount, blob: isSound ? "ok" : "bad" });
  }
  const links = rows("SELECT name, deleted, uniqueid FROM imap JOIN folders USING (folderid)");
  for (const { name, deleted, uniqueid } of links) {
    const [state] = granted(await place.mailboxesByUniqueid([uniqueid]));
    if (state === undefined) throw new Error(`${uniqueid} is not there`);
    const records = await recordsIn(granted(await place.readMailbox(state.name)).records);
    const exists = records.filter(({ expunged }) => !expunged).length;
    lines.push({
      ...{ type: "folder", name, deleted, uniqueid, header_uniqueid: state.uniqueid },
      ...{ ...numbersOf(state), exists: String(exists), numrecords: String(records.length) },
    });
    for (const record of records) {
      if (lines.some((line) => isOf(line, uniqueid, record.uid))) continue;
      const flags = [...record.flags, ...(record.expunged ? ["[EXPUNGED]"] : [])].sort();
      const { uid, guid, size, internaldate } = record;
      lines.push({
        ...{ type: "message", blob: "ok", indexed: true, uniqueid, uid, guid, size },
        ...{ internaldate, modseq: String(record.modseq), flags },
      });
    }
  }
  return lines.map(sorted).sort();
}

function isOf(line: object, uniqueid: string, uid: number): boolean {
  return "uid" in line && "uniqueid" in line && line.uid === uid && line.uniqueid === uniqueid;
}

function numbersOf(state: MailboxState): object {
  const rights = (state.acl ?? "").split("\t").filter((part) => part !== "");
  const pairs = rights.flatMap((who, at) => (at % 2 === 0 ? [[who, rights[at + 1]]] : []));
  return {
    acl: Object.fromEntries(pairs),
    highestmodseq: String(state.highestmodseq),
    index_version: state.version,
    lastuid: String(state.lastUid),
    quotaroot: state.quotaroot ?? "",
    uidvalidity: String(state.uidvalidity),
    user_flags: state.userflags,
  };
}

function sorted(line: object): string {
  const entries = Object.entries(line).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify(Object.fromEntries(entries));
}

readsConform("An archive of upstream", {
  open: () => openAlice(archiveOf("alice")),
  owners: [ALICE],
});

describe("openBackupFolder()", () => {
  test.each(["alice", "alice-compacted"])("reads %s as upstream's own readers do", async (name) => {
    const wanted = gunzipSync(readFileSync(fixturePath(`backup/${name}/dump.jsonl.gz`)));
    const lines = wanted.toString().trimEnd().split("\n");
    const database = new Database(":memory:", { strict: true });
    const { flaws, damage } = await rebuildState(database, fixtureData(name).path);
    expect({ flaws, damage }).toEqual({ flaws: [], damage: undefined });
    const place = await openAlice(archiveOf(name));
    const parsed = lines.map((line) => sorted(JSON.parse(line) as object)).sort();
    expect(await dumpOf(place, database)).toEqual(parsed);
    await place.close();
  });

  test("reads names, files and subscriptions as of a moment", async () => {
    const folder = archiveOf("alice");
    const seconds = (at: number) => openAlice(folder, at * 1000);
    const [first, second, last] = await Promise.all(
      [1795345421, 1795345424, 1795345500].map(seconds),
    );
    if (first === undefined || second === undefined || last === undefined) throw new Error("three");
    expect(await namesIn(first)).toContain("user.alice.Two Words");
    expect(await namesIn(second)).not.toContain("user.alice.Two Words");
    expect(granted(await first.meta("alice")).subscriptions.length).toBe(3);
    expect(granted(await last.meta("alice")).subscriptions.length).toBe(2);
    const soon = async (place: Place) => granted(await place.mailboxes(["user.alice.Soon"]))[0];
    expect((await soon(first))?.uniqueid).toBeUndefined();
    expect((await soon(second))?.uniqueid).not.toBe((await soon(last))?.uniqueid);
    for (const place of [first, second, last]) await place.close();
  });

  test("lists archives of any layout below a folder, and nobody else", async () => {
    const root = tempDir("backup-root");
    const data = fixtureData("alice");
    for (const path of ["a/alice", "Upper", "shared/l/lists", "b/other/files"]) {
      mkdirSync(join(root, path), { recursive: true });
      if (!path.startsWith("b/")) copyFileSync(data.path, join(root, path, data.name));
    }
    const place = await openAlice(root);
    expect(await ownersIn(place)).toEqual([
      { kind: "user", userid: "Upper" },
      ALICE,
      { kind: "shared", toplevel: "lists" },
    ]);
    expect(granted(await place.user("bob")).mailboxes).toEqual([]);
    writeFileSync(join(root, "Upper", data.name), readFileSync(data.path).subarray(0, 300));
    const [lost] = granted(await place.user("Upper")).unreadable ?? [];
    expect(lost?.refusal.text).toStartWith(
      `backup:${join(root, "Upper")} is damaged behind byte 0`,
    );
    expect((await namesIn(place)).length).toBe(15);
    await place.close();
    await expect(openAlice(join(root, "b"))).rejects.toThrow("Cannot find an archive");
  });

  test("reads an archive that is not packed, and one member of any size", async () => {
    const tar = gunzipSync(readFileSync(fixtureData("alice").path));
    const folder = join(tempDir("backup"), "alice");
    mkdirSync(folder);
    writeFileSync(join(folder, "backupdata-1795345419.tar"), tar);
    const one = archiveOf("alice", () => gzipSync(tar));
    for (const path of [folder, one]) {
      const place = await openAlice(path);
      expect((await namesIn(place)).length).toBe(15);
      expect(place.caveat).toBeUndefined();
      await place.close();
    }
  });

  test("takes what is whole of an archive that is cut off or damaged, and says so", async () => {
    const whole = readFileSync(fixtureData("alice").path).length;
    for (const at of [500, 20_000, 37_400, whole - 1]) {
      const cut = await openAlice(archiveOf("alice", (bytes) => bytes.subarray(0, at)));
      expect(cut.caveat).toMatch(/is damaged behind byte \d+, /);
      const state = granted(await cut.user("alice"));
      expect(state.unreadable?.[0]?.refusal.reason).toBe("damaged");
      if (at > 20_000) expect(state.mailboxes.length).toBeGreaterThan(12);
      await cut.close();
    }
    for (let at = 15; at < whole; at += 1499) {
      const flip = (bytes: Uint8Array) => bytes.map((byte, n) => (n === at ? byte ^ 0x10 : byte));
      const place = await openAlice(archiveOf("alice", flip));
      expect({ at, caveat: place.caveat }).toEqual({ at, caveat: expect.any(String) });
      for (const state of granted(await place.user("alice")).mailboxes) {
        const reading = await place.readMailbox(state.name);
        if (reading.kind === "refused") continue;
        for (const { uid, guid } of await recordsIn(reading.value.records)) {
          const where = { mailbox: state.name, uniqueid: state.uniqueid, partition: null };
          const address = { ...where, uid, guid };
          const found = await place.message(address);
          if (found.kind === "ok") expect(sha1Of(await bytesOf(place, address))).toBe(guid);
        }
      }
      await place.close();
    }
  });
});
