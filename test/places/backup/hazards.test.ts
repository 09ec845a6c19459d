/**
 * The hazards of upstream's backups (backup-format.md 12), each by its name: every test would fail
 * with a tool that does as upstream does.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { utf8 } from "../../../src/core/bytes.ts";
import { refused } from "../../../src/model/outcome.ts";
import { compactArchive } from "../../../src/places/backup/compact/compact_archive.ts";
import { runsOfArchive } from "../../../src/places/backup/read/archive_runs.ts";
import { openBackupFolder } from "../../../src/places/backup/read/backup_folder.ts";
import { rebuildArchive } from "../../../src/places/backup/write/rebuild_archive.ts";
import type { Place, WritablePlace } from "../../../src/places/place.ts";
import { wrapPlace } from "../../../src/places/wrap_place.ts";
import { alterArchive, backUp, differencesOf, openBackup, WRITING } from "../../support/backup.ts";
import { ANN, codesOf, dataIn, STATE } from "../../support/hostile_archive.ts";
import { bytesOf, granted } from "../../support/places.ts";
import { applyTo, livingUids, newStorePlace, put, replicate } from "../../support/replication.ts";
import { testServer } from "../../support/serve.ts";
import { guidOf, message, NOW, record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { backupClient } from "../../support/wire_server.ts";

const SUB = "user.ann.Sub";
const DAY_MS = 86_400_000;

/** Ann with two mailboxes, and her archive after a run. */
async function backedUp() {
  const source = newStorePlace();
  const records = [1, 2, 3].map((uid) => record(uid));
  await put(source, "user.ann", records);
  await put(source, SUB, [record(4)]);
  const folder = join(tempDir("hazard"), "ann");
  expect((await backUp(ANN, source, folder)).failures).toEqual([]);
  return { source, folder };
}

const later = (ms: number) => ({ open: { now: () => NOW * 1000 + ms } });

function compact(folder: string, ms: number) {
  const retention = { now: NOW * 1000 + ms, keepDeletedMs: 7 * DAY_MS, keepExpungedMs: 7 * DAY_MS };
  const { pack, notice } = WRITING;
  return compactArchive(folder, { retention, below: 101, isDry: false, pack, notice });
}

async function isWhole(folder: string, source: Place, at?: number): Promise<void> {
  const archive = await openBackupFolder(folder, { locator: "backup:hazard", at });
  expect(await differencesOf(ANN, source, archive)).toEqual([]);
  await archive.close();
}

const tarIn = (folder: string) => gunzipSync(readFileSync(dataIn(folder))).toString("latin1");

/** `source`, counting what is read of it. */
function counted(source: Place, change: Partial<Place> = {}) {
  const read = { mailboxes: [] as string[], messages: 0 };
  const place = wrapPlace(source, (inner) => ({
    readMailbox: (name) => {
      read.mailboxes.push(name);
      return inner.readMailbox(name);
    },
    message: (address) => {
      read.messages += 1;
      return inner.message(address);
    },
    ...change,
  }));
  return { place, read };
}

describe("hazards of upstream's backups", () => {
  test("H1: state and archive in one folder: a run with nothing new writes nothing", async () => {
    const { source, folder } = await backedUp();
    const before = readFileSync(dataIn(folder));
    const { place, read } = counted(source);
    expect((await backUp(ANN, place, folder)).steps).toEqual([]);
    expect([read.messages, readFileSync(dataIn(folder))]).toEqual([0, before]);
  });

  test("H2: an archive that has lost its end is not wiped, and is made whole", async () => {
    const { source, folder } = await backedUp();
    await put(source, "user.ann.New", [record(5)]);
    await backUp(ANN, source, folder);
    truncateSync(dataIn(folder), readFileSync(dataIn(folder)).length - 40);
    const { place, read } = counted(source);
    await backUp(ANN, place, folder, { open: { notice: () => undefined } });
    expect(read.messages).toBeLessThan(2); // what was whole is there still
    await isWhole(folder, source);
    expect(await codesOf(folder)).toEqual([]);
  });

  test("H3: a mailbox whose name another has taken keeps its mail in two compactions", async () => {
    const { source, folder } = await backedUp();
    const then = newStorePlace();
    await put(
      then,
      "user.ann",
      [1, 2, 3].map((uid) => record(uid)),
    );
    await put(then, SUB, [record(4)]);
    await applyTo(source, { kind: "unmailbox", name: SUB });
    await put(source, SUB, [record(6)], { change: { uniqueid: "id-another" } });
    await backUp(ANN, source, folder, later(DAY_MS));
    for (const day of [2, 3]) await compact(folder, day * DAY_MS);
    await isWhole(folder, then, NOW * 1000);
    await isWhole(folder, source);
    await then.close();
  });

  test("H4: mailboxes below each other keep names of their own", async () => {
    const { source, folder } = await backedUp();
    await put(source, "user.ann.Sub.Deep", [record(7)]);
    await backUp(ANN, source, folder, later(1000));
    expect((await backUp(ANN, source, folder, later(2000))).steps).toEqual([]);
    expect(
      tarIn(folder)
        .match(/imap\/[^\0]*/g)
        ?.sort(),
    ).toEqual(["imap/INBOX.Sub.Deep/", "imap/INBOX.Sub/", "imap/INBOX/"]);
    await compact(folder, 30 * DAY_MS);
    await isWhole(folder, source);
  });

  test("H5: a mailbox with a long name keeps its mail in two compactions", async () => {
    const { source, folder } = await backedUp();
    await put(source, `user.ann.${"long".repeat(60)}`, [record(8)]);
    await backUp(ANN, source, folder, later(1000));
    for (const day of [20, 40]) await compact(folder, day * DAY_MS);
    await isWhole(folder, source);
    expect(await codesOf(folder)).toEqual([]);
  });

  test("H6 and H12: a server names deleted mailboxes, and tells strangers nothing", async () => {
    const path = join(tempDir("hazard"), "backup.sock");
    const local = { host: "127.0.0.1", port: 0, tls: false };
    const server = await testServer({ backupListen: [{ path, tls: false }, local] });
    const name = "DELETED.user.ann.Sub.5F3A2B1C";
    await put(server.place as WritablePlace, "user.ann", [record(1)]);
    await put(server.place as WritablePlace, name, [record(2)]);
    const client = backupClient(path);
    const { mailboxes } = granted(await client.user("ann"));
    expect(mailboxes.map((one) => one.name).sort()).toEqual([name, "user.ann"]);
    await client.close();
    const stranger = backupClient(Number(server.server.backupAddresses[1]?.split(":").at(-1)));
    await expect(stranger.user("ann")).rejects.toMatchObject({ code: "refused" });
    await server.stop();
  });

  test("H7: a change within the second of the last run is seen by the next", async () => {
    const { source, folder } = await backedUp();
    await put(source, SUB, [record(4, { flags: ["\\Flagged"], modseq: 9n })]);
    await backUp(ANN, source, folder); // at the same moment
    await isWhole(folder, source);
  });

  test("H8: after a rebuild nothing is fetched again", async () => {
    const { source, folder } = await backedUp();
    const before = readFileSync(dataIn(folder));
    rmSync(join(folder, STATE));
    const notice = () => undefined;
    await rebuildArchive(folder, { notice });
    const { place, read } = counted(source);
    expect((await backUp(ANN, place, folder)).steps).toEqual([]);
    expect([read, readFileSync(dataIn(folder))]).toEqual([{ mailboxes: [], messages: 0 }, before]);
  });

  test("H9: a message that has rotted is named by verify and by a compaction", async () => {
    const { folder } = await backedUp();
    alterArchive(dataIn(folder), "Subject: ", "Subjekt: ");
    expect(await codesOf(folder)).toContain("BK03");
    const { pack } = WRITING;
    const retention = { now: NOW * 1000, keepDeletedMs: 0, keepExpungedMs: 0 };
    const options = { retention, below: 101, isDry: false, pack, notice: () => undefined };
    expect((await compactArchive(folder, options)).damaged.length).toBe(1);
  });

  test("H10: one writer at a time, and what others have put there stays", async () => {
    const { source, folder } = await backedUp();
    writeFileSync(join(folder, "notes"), "mine");
    const writing = await openBackup(folder, ANN);
    await expect(openBackup(folder, ANN)).rejects.toMatchObject({ code: "busy" });
    await expect(compact(folder, 0)).rejects.toMatchObject({ code: "busy" });
    await writing.close();
    await backUp(ANN, source, folder);
    await compact(folder, DAY_MS);
    expect(readFileSync(join(folder, "notes"), "latin1")).toBe("mine");
  });

  test("H11 and H17: one bad message is named and counted, and the rest is backed up", async () => {
    const { source, folder } = await backedUp();
    await put(source, "user.ann.New", [record(5), record(6)]);
    const { place } = counted(source, {
      message: async (address) =>
        address.uid === 5 ? refused("damaged", "message 5 is rotten") : source.message(address),
    });
    const { failures } = await backUp(ANN, place, folder, later(1000));
    expect(failures.join()).toContain("message 5 is rotten");
    const archive = await openBackupFolder(folder, { locator: "backup:hazard" });
    expect(await livingUids(archive, "user.ann.New")).toEqual([6]);
    await archive.close();
    const { runs } = await runsOfArchive(folder);
    expect(runs.map(({ messages, findings }) => [messages, findings])).toEqual([
      [4, 0],
      [1, 1],
    ]);
  });

  test("H13: one changed flag asks for its mailbox alone, and for no message", async () => {
    const { source, folder } = await backedUp();
    await put(source, SUB, [record(4, { flags: ["\\Flagged"], modseq: 9n })]);
    const { place, read } = counted(source);
    await backUp(ANN, place, folder, later(1000));
    expect(new Set(read.mailboxes)).toEqual(new Set([SUB]));
    expect(read.messages).toBe(0);
  });

  test("H14: one message is read by its member, whatever lies before it", async () => {
    const { source, folder } = await backedUp();
    await put(source, "user.ann.New", [record(5)]);
    const first = readFileSync(dataIn(folder)).length;
    await backUp(ANN, source, folder, later(1000));
    const data = readFileSync(dataIn(folder));
    writeFileSync(dataIn(folder), data.fill(0x55, 20, first - 20));
    const archive = await openBackupFolder(folder, { locator: "backup:hazard" });
    const guid = guidOf(message(5));
    const address = { mailbox: "user.ann.New", uniqueid: "", partition: null, uid: 5, guid };
    expect(Buffer.from(await bytesOf(archive, address))).toEqual(Buffer.from(message(5)));
    await archive.close();
  });

  test("H15: an annotation that changes and keeps its length is backed up", async () => {
    const { source, folder } = await backedUp();
    for (const value of ["left", "west"]) {
      const entry = "/vendor/x/comment";
      await applyTo(source, {
        ...{ kind: "annotation", name: SUB, entry, userid: "", value: utf8(value) },
      });
      await backUp(ANN, source, folder);
    }
    await isWhole(folder, source);
    expect(tarIn(folder)).toContain("west");
  });

  test("H16: mailboxes come back with UIDs, flags and rights", async () => {
    const { source, folder } = await backedUp();
    await put(source, "user.ann.New", [record(9, { flags: ["\\Seen", "$work"], modseq: 7n })], {
      change: { acl: "ann\tlrs\tbob\tlr\t" },
    });
    await backUp(ANN, source, folder);
    const archive = await openBackupFolder(folder, { locator: "backup:hazard" });
    const target = newStorePlace();
    await replicate(ANN, { source: archive, target });
    expect(await differencesOf(ANN, source, target)).toEqual([]);
    await Promise.all([archive.close(), target.close()]);
  });
});
