import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkArchives } from "../../../src/fsck/backup/check_archives.ts";
import { chooseMembers, type Sampled } from "../../../src/fsck/backup/sample_archive.ts";
import { tell } from "../../../src/fsck/finding.ts";
import { alterArchive, backUp } from "../../support/backup.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { newStorePlace, put } from "../../support/replication.ts";
import { record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const ANN = { kind: "user", userid: "ann" } as const;
const RUNS = 8;

function dataOf(folder: string): string {
  const [name = ""] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
  return join(folder, name);
}

async function check(folder: string, percent: number, seed = "1") {
  const told: Sampled[] = [];
  const { findings, counts } = await checkArchives([folder], {
    ...{ wanted: undefined, onRead: () => undefined },
    sample: { percent, seed, told: (_, sampled) => told.push(sampled) },
  });
  const [sampled] = told;
  return { codes: findings.map((one) => tell(one).code), counts, sampled };
}

describe("a sample of an archive", () => {
  let sound: string;
  beforeAll(async () => {
    const store = newStorePlace();
    sound = join(tempDir("archive"), "a/ann");
    const all = Array.from({ length: RUNS }, (_, at) => record(at + 1));
    for (const uid of all.keys()) {
      await put(store, "user.ann", all.slice(0, uid + 1));
      await backUp(ANN, store, sound);
    }
    await store.close();
  });
  const copy = (): string => {
    const folder = join(tempDir("archive"), "a/ann");
    cpSync(sound, folder, { recursive: true });
    return folder;
  };

  test("is sound, and says which members were read", async () => {
    const { size } = statSync(dataOf(sound));
    const all = await check(sound, 100);
    expect(all).toMatchObject({ codes: [], counts: { messagesRead: RUNS } });
    expect(all.sampled).toMatchObject({ ofMembers: RUNS, bytes: size, ofBytes: size });
    const quarter = await check(sound, 25);
    expect(quarter).toMatchObject({ codes: [], counts: { messagesRead: 2 } });
    expect(quarter.sampled?.members).toHaveLength(2);
    expect((await check(sound, 25)).sampled).toEqual(quarter.sampled);
    expect((await check(sound, 1)).sampled?.members).toHaveLength(1);
  });

  test("finds a broken member whenever it is in it, and only then", async () => {
    const folder = copy();
    const members = (await check(sound, 100)).sampled?.members ?? [];
    const broken = members[3] ?? 0;
    const bytes = readFileSync(dataOf(folder));
    bytes[broken + 60] = (bytes[broken + 60] ?? 0) ^ 0x10;
    writeFileSync(dataOf(folder), bytes);
    const found: boolean[] = [];
    for (let seed = 0; seed < 12; seed++) {
      const { codes, sampled } = await check(folder, 50, `${seed}`);
      const isIn = sampled?.members?.includes(broken) === true;
      expect([seed, codes.includes("BK01")]).toEqual([seed, isIn]);
      if (!isIn) expect(codes).toEqual([]);
      found.push(isIn);
    }
    expect(new Set(found).size).toBe(2);
  });

  test("finds content that has changed, and rows that are lost", async () => {
    const folder = join(tempDir("archive"), "a/ann");
    const store = newStorePlace();
    await put(store, "user.ann", [record(1), record(2)]);
    await backUp(ANN, store, folder);
    await store.close();
    const state = new Database(join(folder, "backupstate.sqlite3"));
    alterArchive(dataOf(folder), "Subject: ", "Subjekt: ");
    state.run("UPDATE status SET size = ?", [statSync(dataOf(folder)).size]);
    expect((await check(folder, 100)).codes).toEqual(["BK03"]);
    alterArchive(dataOf(folder), "Subjekt: ", "Subject: ");
    state.run("UPDATE status SET size = ?", [statSync(dataOf(folder)).size]);
    expect(state.run("DELETE FROM files WHERE fileid = 2").changes).toBe(1);
    state.close();
    expect((await check(folder, 100)).codes).toEqual(["BK06"]);
  });

  test("is all of an archive whose members nobody knows", async () => {
    const folder = copy();
    rmSync(join(folder, "backupstate.sqlite3"));
    const lost = await check(folder, 5);
    expect(lost).toMatchObject({ codes: ["BK02"], counts: { messagesRead: RUNS } });
    expect(lost.sampled?.members).toBeUndefined();
    const upstream = await check(fixturePath("backup/alice"), 5);
    expect([upstream.codes, upstream.sampled?.members]).toEqual([[], undefined]);
  });
});

test("chooseMembers() takes each of them sometimes", () => {
  const all = Array.from({ length: 40 }, (_, at) => {
    return { coffset: at * 100, offset: at * 512, size: 512, end: at * 100 + 100 };
  });
  const seen = new Set<number>();
  for (let seed = 0; seed < 100; seed++) {
    const chosen = chooseMembers(all, { percent: 12, seed: `${seed}` });
    expect(chosen).toHaveLength(5);
    for (const { coffset } of chosen) seen.add(coffset);
  }
  expect(seen.size).toBe(all.length);
});
