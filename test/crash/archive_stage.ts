/**
 * Archives that commands of the built binary are killed at, and what must be found afterwards: the
 * archive as it was or as it is when the command has ended, and every committed state in it.
 */
import { expect } from "bun:test";
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { checkArchives } from "../../src/fsck/backup/check_archives.ts";
import { tell } from "../../src/fsck/finding.ts";
import type { Owner } from "../../src/model/names.ts";
import { runsOfArchive } from "../../src/places/backup/read/archive_runs.ts";
import { openBackup } from "../../src/places/backup/read/open_backup.ts";
import { dataFilesIn } from "../../src/places/backup_locator.ts";
import { openStorePlace } from "../../src/places/store/store_place.ts";
import { differencesOf } from "../support/backup.ts";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { newStore } from "../support/new_store.ts";
import { put } from "../support/replication.ts";
import { randomOf } from "../support/spool/random.ts";
import { NOW, record } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";
import { chooseDeeds, doDeeds, livingMessages } from "../support/two_sided.ts";
import { until } from "../support/until.ts";

const ANN: Owner = { kind: "user", userid: "ann" };
export const STATE = "backupstate.sqlite3";
const EVERYTHING = { wanted: undefined, onRead: () => undefined };

/** A store as it was, and since when an archive holds it, in milliseconds since 1970. */
interface Recorded {
  readonly store: string;
  readonly at: number;
}

/** Four moments of ann's mail. The archives hold the first three, and a run brings the fourth. */
export interface History {
  readonly stores: readonly string[];
  /** A folder of archives after each of the first three runs. */
  readonly roots: readonly string[];
  readonly recorded: readonly Recorded[];
}

const MOMENTS = 4;
const DEEDS = 8;

let once: Promise<History> | undefined;

/** Made once, by the binary itself. */
export function theHistory(): Promise<History> {
  once ??= makeHistory();
  return once;
}

async function makeHistory(): Promise<History> {
  const folder = tempDir("archives");
  const { root, store } = newStore();
  store.close();
  const place = openStorePlace(root);
  const random = randomOf(5).below;
  let number = 1000;
  let second = 0;
  const stores: string[] = [];
  const roots: string[] = [];
  const recorded: Recorded[] = [];
  for (const [name, uids] of [
    ["user.ann", [1, 2, 3, 4]],
    ["user.ann.Sub", [5, 6]],
  ] as const) {
    await put(
      place,
      name,
      uids.map((uid) => record(uid)),
    );
  }
  for (let moment = 0; moment < MOMENTS; moment++) {
    if (moment > 0) {
      const before = await livingMessages(place, "ann");
      const how = { random, count: DEEDS, inbox: "user.ann", number: () => number++ };
      const { deeds } = chooseDeeds(before, how);
      await doDeeds(place, deeds, { userid: "ann", now: NOW + moment * 60, random });
    }
    const copy = join(folder, `store-${moment}`);
    cpSync(root, copy, { recursive: true });
    stores.push(copy);
    if (moment === MOMENTS - 1) break;
    const archives = join(folder, `archives-${moment}`);
    if (moment > 0) cpSync(join(folder, `archives-${moment - 1}`), archives, { recursive: true });
    // Times in an archive are of whole seconds.
    await until("the next second", () => Math.floor(Date.now() / 1000) > second);
    const run = await bobbin(runArgs(copy, archives));
    expect([run.exit, run.stderr]).toEqual([0, ""]);
    roots.push(archives);
    const { runs } = await runsOfArchive(archiveIn(archives));
    const at = runs.at(-1)?.ended ?? 0;
    second = Math.floor(at / 1000);
    recorded.push({ store: copy, at });
  }
  await place.close();
  return { stores, roots, recorded };
}

export function archiveIn(root: string): string {
  return join(root, "a/ann");
}

export function dataFile(root: string): string {
  const folder = archiveIn(root);
  return join(folder, dataFilesIn(folder).at(-1) ?? "");
}

function runArgs(store: string, root: string): string[] {
  return ["backup", "run", "ann", "--from", `store:${store}`, "--to", root];
}

/** A command, the archives before it, and the states that they hold before and after it. */
export interface Scenario {
  /** Undefined where there is no archive yet. */
  readonly base: string | undefined;
  readonly args: (root: string) => string[];
  /** Stores equal to what the archive holds before and after; undefined for none. */
  readonly before: string | undefined;
  readonly after: string;
  /** What it holds as of earlier moments, before and after. */
  readonly kept: readonly Recorded[];
  /** Codes of what is wrong with the archive before. */
  readonly flaws?: readonly string[];
  /** Names beside the data file, the state and the lock that are there in the end. */
  readonly more?: readonly string[];
}

type MakeScenario = (history: History) => Scenario;

const UNPREPARED = { before: undefined, kept: [], base: undefined };

export const SCENARIOS: Readonly<Record<string, MakeScenario>> = {
  "a first run": ({ stores: [store = ""] }) => ({
    ...UNPREPARED,
    flaws: ["BK02"], // where the data file has its name, and the state does not count it yet
    ...{ args: (root) => runArgs(store, root), after: store },
  }),
  "a run that adds": ({ stores, roots, recorded }) => ({
    ...{ base: roots[2], before: stores[2], after: stores[3] ?? "", kept: recorded },
    args: (root) => runArgs(stores[3] ?? "", root),
  }),
  "a run onto an archive that is cut off": ({ stores, roots: [first = "", second], recorded }) => {
    const base = copyOf(second);
    // In the midst of what the second run has brought.
    const [from, to] = [statSync(dataFile(first)).size, statSync(dataFile(base)).size];
    truncateSync(dataFile(base), Math.floor((from + to) / 2));
    return {
      ...{ base, before: undefined, after: stores[3] ?? "", kept: recorded.slice(0, 1) },
      ...{ args: (root) => runArgs(stores[3] ?? "", root), more: ["cut-off"] },
      flaws: ["BK01", "BK02"],
    };
  },
  compact: ({ stores, roots, recorded }) => ({
    ...{ base: roots[2], before: stores[2], after: stores[2] ?? "", kept: recorded },
    args: (root) => ["backup", "compact", "--force", root],
  }),
  rebuild: ({ stores, roots, recorded }) => ({
    ...{ base: roots[2], before: stores[2], after: stores[2] ?? "", kept: recorded },
    args: (root) => ["backup", "rebuild", root],
  }),
  "rebuild without a state": ({ stores, roots, recorded }) => {
    const base = copyOf(roots[2]);
    rmSync(join(archiveIn(base), STATE));
    return {
      flaws: ["BK02"],
      ...{ base, before: stores[2], after: stores[2] ?? "", kept: recorded },
      args: (root) => ["backup", "rebuild", root],
    };
  },
};

/** A copy of the archives of a scenario, in a folder of its own; of none, nothing. */
export function copyOf(base: string | undefined): string {
  const root = join(tempDir("archives"), "b");
  putCopy(base, root);
  return root;
}

export function putCopy(base: string | undefined, root: string): void {
  rmSync(root, { recursive: true, force: true });
  if (base === undefined) mkdirSync(root);
  else cpSync(base, root, { recursive: true, preserveTimestamps: true });
}

export function command(args: readonly string[]): string[] {
  return [bobbinPath(), ...args];
}

/**
 * Reads the archive as a crash has left it: it is as before or, where the command may have ended,
 * as after; each state of before is there; and a check finds nothing worse than a run that was cut
 * off.
 */
export async function expectWhole(
  root: string,
  { before, after, kept, flaws = [] }: Scenario,
  isDone: boolean,
): Promise<void> {
  const folder = archiveIn(root);
  if (dataFilesIn(folder).length === 0) {
    expect([before, isDone]).toEqual([undefined, false]);
    return;
  }
  // What is left of an archive that is cut off is neither.
  const isCut = !isDone && before === undefined && kept.length > 0;
  const choices = isDone || before === undefined ? [after] : [before, after];
  const found = [];
  for (const store of choices) found.push(await differences(root, { store }));
  if (!isCut && !found.some(({ length }) => length === 0)) expect(found[0]).toEqual([]);
  for (const state of kept) {
    const lines = await differences(root, state);
    const told = isCut ? lines.filter((line) => !line.includes("is damaged behind byte")) : lines;
    expect([state.at, told]).toEqual([state.at, []]);
  }
  const { findings } = await checkArchives([folder], EVERYTHING);
  const isWorse = (code: string) => isDone || !flaws.includes(code);
  expect(findings.map(tell).filter(({ code }) => isWorse(code))).toEqual([]);
}

/** As `expectWhole` after the command has ended; and nothing is left behind. */
export async function expectDone(root: string, scenario: Scenario): Promise<void> {
  await expectWhole(root, scenario, true);
  const folder = archiveIn(root);
  const [data = "", ...others] = dataFilesIn(folder);
  expect(others).toEqual([]);
  const names = [".lock", data, STATE, ...(scenario.more ?? [])];
  expect(readdirSync(folder).sort()).toEqual(names.sort());
}

async function differences(
  root: string,
  { store, at }: { readonly store: string; readonly at?: number },
): Promise<string[]> {
  const folder = archiveIn(root);
  const archive = await openBackup(folder, { locator: `backup:${folder}`, at });
  const there = openStorePlace(store);
  try {
    return await differencesOf(ANN, there, archive);
  } finally {
    await Promise.all([archive.close(), there.close()]);
  }
}
