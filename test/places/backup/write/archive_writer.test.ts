import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../../src/core/errors.ts";
import { checkArchives } from "../../../../src/fsck/backup/check_archives.ts";
import { tell } from "../../../../src/fsck/finding.ts";
import type { MailboxState } from "../../../../src/model/mailbox.ts";
import { recordsOf } from "../../../../src/model/mailbox.ts";
import { refused } from "../../../../src/model/outcome.ts";
import { compactArchive } from "../../../../src/places/backup/compact/compact_archive.ts";
import { packMember } from "../../../../src/places/backup/write/pack_member.ts";
import { rebuildArchive } from "../../../../src/places/backup/write/rebuild_archive.ts";
import type { WritablePlace } from "../../../../src/places/place.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { initStore } from "../../../../src/places/store/store_settings.ts";
import { wrapPlace } from "../../../../src/places/wrap_place.ts";
import {
  alterArchive,
  backUp,
  differencesOf,
  openBackup,
  WRITING,
} from "../../../support/backup.ts";
import { granted, recordsIn } from "../../../support/places.ts";
import { guidOf, message, NOW, record, stateOf } from "../../../support/store_fixture.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { upstreamObjections } from "../../../support/upstream_rules.ts";

const EVERYTHING = { wanted: undefined, onRead: () => undefined };
const FRED = { kind: "user", userid: "fred" } as const;
/** Two of them fill a member. */
const LARGE = 1_900_000;

describe("ArchiveWriter", () => {
  let source: WritablePlace;
  let folder: string;
  beforeEach(async () => {
    const root = tempDir("backup");
    initStore(join(root, "store"));
    source = openStorePlace(join(root, "store"));
    folder = join(root, "b");
    await put("user.fred", 3, 40);
    await backUp(FRED, source, folder);
    await put("user.fred.Sub", 8, LARGE);
  });
  afterEach(() => source.close());

  async function put(name: string, count: number, bytes: number): Promise<MailboxState> {
    const session = await source.openSession();
    const records = [];
    for (let uid = 1; uid <= count; uid++) {
      const content = message(uid, bytes);
      const [guid, size] = [guidOf(content), content.length];
      const writer = session.stage({ partition: "default", guid, size });
      await writer.write(content);
      await writer.end();
      records.push(record(uid, { guid, size }));
    }
    const state = stateOf(name, records);
    granted(await session.apply({ kind: "mailbox", state, records: recordsOf(records) }));
    await session.close();
    return state;
  }

  function dataFile(of = folder): string {
    const [name = "", ...more] = readdirSync(of).filter((one) => one.startsWith("backupdata"));
    expect(more).toEqual([]);
    return join(of, name);
  }

  async function isWhole(of: string, { hasRot = false } = {}): Promise<void> {
    const backup = await openBackup(of, FRED);
    expect(await differencesOf(FRED, source, backup)).toEqual([]);
    await backup.close();
    const objections = upstreamObjections(of, { isCopy: of !== folder });
    // Upstream's readers take the first copy of a message, be it as it may, up to a compaction.
    expect(objections.filter((text) => !hasRot || !text.startsWith("files"))).toEqual([]);
  }

  test("cuts off what a killed run has left, and the next run goes on", async () => {
    const before = statSync(dataFile()).size;
    const left: string[] = [];
    const pack = async (bytes: Uint8Array) => {
      const copy = `${folder}-${left.length}`;
      cpSync(folder, copy, { recursive: true });
      left.push(copy);
      return packMember(bytes);
    };
    const done = await backUp(FRED, source, folder, { open: { pack } });
    expect(done.failures).toEqual([]);
    await isWhole(folder);
    expect(left.length).toBeGreaterThan(2);
    for (const [at, copy] of left.entries()) {
      const notices: string[] = [];
      const notice = (text: string) => notices.push(text);
      const cut = statSync(dataFile(copy)).size - before;
      // Also in the midst of a member, as a kill in the midst of a write leaves it.
      if (at > 1) truncateSync(dataFile(copy), before + Math.floor(cut / 3));
      const backup = await openBackup(copy, FRED, { notice });
      const [inbox] = granted(await backup.mailboxes(["user.fred"]));
      expect(inbox?.lastUid).toBe(3);
      expect(granted(await backup.mailboxes(["user.fred.Sub"]))).toEqual([]);
      await backup.close();
      expect(statSync(dataFile(copy)).size).toBe(before);
      expect(notices.length).toBe(cut > 0 ? 1 : 0);
      const again = await backUp(FRED, source, copy);
      expect(again.failures).toEqual([]);
      await isWhole(copy);
    }
  }, 60_000);

  test("leaves the archive as it was where a member cannot be written", async () => {
    const before = statSync(dataFile()).size;
    for (const good of [0, 1, 2]) {
      let packed = 0;
      const pack = async (bytes: Uint8Array) => {
        if (packed++ < good) return packMember(bytes);
        throw new AppError("io", "the disk is full", { context: { errno: "ENOSPC" } });
      };
      const run = backUp(FRED, source, folder, { open: { pack } });
      await expect(run).rejects.toThrow("the disk is full");
      expect(statSync(dataFile()).size).toBe(before);
    }
    expect((await backUp(FRED, source, folder)).failures).toEqual([]);
    await isWhole(folder);
  }, 60_000);

  test("makes a lost state anew, keeps what is damaged beside, loses no mail", async () => {
    await backUp(FRED, source, folder);
    const whole = statSync(dataFile()).size;
    // A state that is gone; one whose file has lost its end; one with damage in the midst.
    const faults: Record<string, (copy: string) => void> = {
      gone: (copy) => rmSync(join(copy, "backupstate.sqlite3")),
      short: (copy) => truncateSync(dataFile(copy), whole - 1000),
      flipped: (copy) => {
        rmSync(join(copy, "backupstate.sqlite3"));
        const bytes = readFileSync(dataFile(copy));
        bytes.fill(0xff, whole - 3000, whole - 2900);
        writeFileSync(dataFile(copy), bytes);
      },
    };
    for (const [name, fault] of Object.entries(faults)) {
      const copy = `${folder}-${name}`;
      cpSync(folder, copy, { recursive: true });
      fault(copy);
      const notices: string[] = [];
      const later = () => NOW * 1000 + 86_400_123;
      const open = { notice: (text: string) => notices.push(text), now: later };
      expect((await backUp(FRED, source, copy, { open })).failures).toEqual([]);
      expect(notices[0]).toContain("the state is made anew");
      expect((await checkArchives([copy], EVERYTHING)).findings).toEqual([]);
      expect(existsSync(join(copy, "cut-off"))).toBe(name !== "gone");
      await isWhole(copy);
      if (name === "gone") expect(statSync(dataFile(copy)).size).toBe(whole);
    }
  }, 60_000);

  test("makes no archive where the first run fails", async () => {
    const pack = () => Promise.reject(new AppError("io", "no room"));
    const other = `${folder}-other`;
    await expect(backUp(FRED, source, other, { open: { pack } })).rejects.toThrow("no room");
    expect(existsSync(other)).toBe(false);
  }, 30_000);

  test("lets one process write at a time", async () => {
    const first = await openBackup(folder, FRED);
    await expect(openBackup(folder, FRED)).rejects.toMatchObject({ code: "busy" });
    await first.close();
    await (await openBackup(folder, FRED)).close();
  });

  test("takes a mailbox without a damaged message, and that when it is mended", async () => {
    let isRotten = true;
    const lame = wrapPlace(source, (inner) => ({
      message: async (address) =>
        isRotten && address.mailbox === "user.fred.Sub" && address.uid === 3
          ? refused("damaged", "message 3 is rotten")
          : inner.message(address),
    }));
    for (const _ of ["first", "again"]) {
      const { failures } = await backUp(FRED, lame, folder);
      expect(failures).toEqual(["user.fred.Sub: message 3 is rotten"]);
      const backup = await openBackup(folder, FRED);
      const { records } = granted(await backup.readMailbox("user.fred.Sub"));
      const uids = (await recordsIn(records)).map(({ uid }) => uid);
      expect(uids).toEqual([1, 2, 4, 5, 6, 7, 8]);
      await backup.close();
    }
    isRotten = false;
    expect((await backUp(FRED, lame, folder)).failures).toEqual([]);
    await isWhole(folder);
    const { size } = statSync(dataFile());
    isRotten = true;
    expect((await backUp(FRED, lame, folder)).failures).toEqual([]);
    expect(statSync(dataFile()).size).toBe(size);
  }, 60_000);

  test("brings a message again that has rotted, once the state is made anew", async () => {
    await backUp(FRED, source, folder);
    alterArchive(dataFile(), "Subject: ", "Subjekt: ");
    rmSync(join(folder, "backupstate.sqlite3"));
    const open = { notice: () => undefined };
    const healed = await backUp(FRED, source, folder, { open });
    expect([healed.failures, healed.steps.length > 0]).toEqual([[], true]);
    await isWhole(folder, { hasRot: true });
    expect((await backUp(FRED, source, folder)).steps).toEqual([]);
    const found = async () => (await checkArchives([folder], EVERYTHING)).findings.map(tell);
    expect(await found()).toMatchObject([{ code: "BK03", severity: "info" }]);
    // The damaged copy goes with the next compaction.
    const keep = { keepDeletedMs: 0, keepExpungedMs: 0 };
    const retention = { now: NOW * 1000, ...keep };
    const { pack, notice } = WRITING;
    const options = { retention, below: 101, isDry: false, pack, notice };
    expect((await compactArchive(folder, options)).damaged).toEqual([]);
    expect(await found()).toEqual([]);
    await isWhole(folder);
    // What a compaction finds damaged does not count as had, and is brought again too.
    alterArchive(dataFile(), "Subject: ", "Subjekt: ");
    rmSync(join(folder, "backupstate.sqlite3"));
    await rebuildArchive(folder, { notice: () => undefined });
    expect((await compactArchive(folder, options)).damaged).toHaveLength(1);
    expect((await found()).map(({ code }) => code)).toEqual(["BK03", "BK05"]);
    expect((await backUp(FRED, source, folder)).failures).toEqual([]);
    await isWhole(folder, { hasRot: true });
  }, 60_000);

  test("never puts a message that is damaged in the place of a good one", async () => {
    await backUp(FRED, source, folder);
    const backup = await openBackup(folder, FRED);
    const session = await backup.openSession();
    const guid = guidOf(message(99));
    const writer = session.stage({ partition: "default", guid, size: 3 });
    await writer.write(new Uint8Array(3));
    await writer.end();
    expect(await session.flush()).toMatchObject({ kind: "refused", reason: "damaged" });
    const records = [record(1), record(2), record(3), record(4, { guid })];
    const state = stateOf("user.fred", records);
    const applied = await session.apply({ kind: "mailbox", state, records: recordsOf(records) });
    expect(applied).toMatchObject({ kind: "refused", reason: "checksum" });
    await session.close();
    await backup.close();
    await isWhole(folder);
  }, 30_000);
});
