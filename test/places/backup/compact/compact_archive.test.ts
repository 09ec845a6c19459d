import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkArchives } from "../../../../src/fsck/backup/check_archives.ts";
import type { Owner } from "../../../../src/model/names.ts";
import {
  type CompactOptions,
  compactArchive,
} from "../../../../src/places/backup/compact/compact_archive.ts";
import { BackupPlace } from "../../../../src/places/backup/read/backup_place.ts";
import { EntriesInForce } from "../../../../src/places/backup/read/entries_in_force.ts";
import { MemberBytes } from "../../../../src/places/backup/read/member_bytes.ts";
import type { Place, WritablePlace } from "../../../../src/places/place.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { initStore } from "../../../../src/places/store/store_settings.ts";
import { backUp, differencesOf, WRITING } from "../../../support/backup.ts";
import { put } from "../../../support/replication.ts";
import { randomOf } from "../../../support/spool/random.ts";
import { NOW, record } from "../../../support/store_fixture.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { chooseDeeds, doDeeds, livingMessages } from "../../../support/two_sided.ts";
import { upstreamObjections } from "../../../support/upstream_rules.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const ANN: Owner = { kind: "user", userid: "ann" };
const DAY = 86_400_000;
const KEPT_DAYS = 4;
const EVERYTHING = { wanted: undefined, onRead: () => undefined };

function compact(folder: string, now: number, change: Partial<CompactOptions> = {}) {
  const keep = KEPT_DAYS * DAY;
  const retention = { now, keepDeletedMs: keep, keepExpungedMs: keep };
  const { pack, notice } = WRITING;
  return compactArchive(folder, {
    ...{ retention, below: 101, isDry: false, pack, notice, ...change },
  });
}

/** The archive as it was at a moment. */
function openAsOf(folder: string, at: number): Place {
  const database = new Database(join(folder, "backupstate.sqlite3"), { strict: true });
  const [name = ""] = dataFiles(folder);
  const bytes = new MemberBytes(database, join(folder, name));
  const entries = new EntriesInForce(database, bytes, { at });
  const close = async () => {
    bytes.close();
    database.close();
  };
  return new BackupPlace({ locator: "backup:as-of", owner: ANN, entries, close });
}

function dataFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith("backupdata"));
}

/** A store in which random things happen to ann, and what it held at each run of her backup. */
class History {
  readonly folder = join(tempDir("compaction"), "ann");
  readonly #root = join(tempDir("store"), "store");
  readonly store: WritablePlace;
  readonly states: { readonly at: number; readonly root: string }[] = [];
  readonly #random: ReturnType<typeof randomOf>["below"];
  #number = 1000;

  constructor(seed: number) {
    this.#random = randomOf(seed).below;
    initStore(this.#root);
    this.store = openStorePlace(this.#root);
  }

  async begin(): Promise<void> {
    await put(
      this.store,
      "user.ann",
      [1, 2, 3, 4].map((uid) => record(uid)),
    );
    await put(
      this.store,
      "user.ann.Sub",
      [5, 6].map((uid) => record(uid)),
    );
    // The name is too long for the header of a tar.
    await put(
      this.store,
      `user.ann.${"long name ".repeat(11)}`,
      [7].map((uid) => record(uid)),
    );
  }

  async change(count: number): Promise<void> {
    const before = await livingMessages(this.store, "ann");
    const { deeds } = chooseDeeds(before, {
      ...{ random: this.#random, count, inbox: "user.ann", number: () => this.#number++ },
    });
    const now = NOW + this.states.length * 60;
    await doDeeds(this.store, deeds, { userid: "ann", now, random: this.#random });
  }

  async backUp(day: number): Promise<void> {
    const at = NOW * 1000 + day * DAY;
    const told = await backUp(ANN, this.store, this.folder, { open: { now: () => at } });
    expect(told.failures).toEqual([]);
    const root = join(tempDir("state"), "store");
    cpSync(this.#root, root, { recursive: true });
    this.states.push({ at, root });
  }

  /** Compares each state since `since` with the archive as of then. */
  async check(since: number): Promise<number> {
    let checked = 0;
    for (const { at, root } of this.states) {
      if (at < since) continue;
      const [then, archive] = [openStorePlace(root), openAsOf(this.folder, at)];
      expect([at, await differencesOf(ANN, then, archive)]).toEqual([at, []]);
      await Promise.all([then.close(), archive.close()]);
      checked += 1;
    }
    return checked;
  }
}

for (const seed of isLong ? [1, 2, 3, 4, 5, 6] : [1]) {
  test(`compactArchive() keeps every state of the last days (seed ${seed})`, async () => {
    const history = new History(seed);
    await history.begin();
    const days = isLong ? 30 : 10;
    for (let day = 0; day < days; day++) {
      await history.backUp(day);
      if (day % 5 === 4) {
        const now = NOW * 1000 + day * DAY;
        const { before, after = 0, damaged } = await compact(history.folder, now);
        expect([damaged, after > 0, after < before]).toEqual([[], true, true]);
        const [name = "", ...others] = dataFiles(history.folder);
        expect([statSync(join(history.folder, name)).size, others]).toEqual([after, []]);
        // What the kept state says is what the archive itself would say.
        const { findings } = await checkArchives([history.folder], EVERYTHING);
        expect([findings, upstreamObjections(history.folder)]).toEqual([[], []]);
        expect(await history.check(now - KEPT_DAYS * DAY)).toBe(KEPT_DAYS + 1);
        // The run after a compaction finds all that it needs.
        const again = await backUp(ANN, history.store, history.folder);
        expect([again.steps, again.failures]).toEqual([[], []]);
      }
      await history.change(6);
    }
    await history.store.close();
  }, 60_000);
}

test("a dry run of compactArchive() writes nothing, whatever is there", async () => {
  for (const name of ["alice", "alice-compacted"]) {
    const folder = join(tempDir("dry"), name);
    cpSync(join(import.meta.dir, "../../../fixtures/backup", name), folder, { recursive: true });
    const bytes = () => readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))]);
    const before = bytes();
    const { plan, after } = await compact(folder, NOW * 1000, { isDry: true });
    expect([plan.keptMessages.size > 0, after, bytes()]).toEqual([true, undefined, before]);
    rmSync(join(folder, "backupstate.sqlite3"));
    await compact(folder, NOW * 1000, { isDry: true });
    expect(readdirSync(folder)).not.toContain("backupstate.sqlite3");
  }
});
