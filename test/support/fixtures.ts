/** Where the tests' real data comes from: archives of this tree, and those that are only shared. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { tempDir } from "./temp_dir.ts";

const projectRoot = join(import.meta.dir, "..", "..");
const fixtureRoot = join(projectRoot, "test", "fixtures");
const reported = new Set<string>();

/** The path of a file of test/fixtures, as `cyrus-spools/damaged.tar.gz`. */
export function fixturePath(name: string): string {
  return join(fixtureRoot, name);
}

/** A fresh copy of an archive of test/fixtures (`cyrus-spools/damaged`), removed after the run. */
export function unpackFixture(name: string): string {
  return unpackArchive(fixturePath(name.endsWith(".tar.gz") ? name : `${name}.tar.gz`));
}

const shared = new Map<string, string>();

/** The same copy for all tests of a run that only read it; see `unpackFixture` for one to change. */
export function readOnlyFixture(name: string): string {
  const path = shared.get(name) ?? unpackFixture(name);
  shared.set(name, path);
  return path;
}

/** Unpacks a tar.gz into a fresh temporary folder, removed after the run. */
export function unpackArchive(path: string): string {
  const target = tempDir(basename(path, ".tar.gz"));
  const tar = Bun.spawnSync(["tar", "-xzf", path, "-C", target, "--no-same-owner"]);
  if (!tar.success) throw new Error(`Cannot unpack ${path}: ${tar.stderr.toString()}`);
  return target;
}

/**
 * The path of a file of the shared folder (`fixtures/cyrus-old-mailboxes/version9.tar.gz`), in
 * $BOBBIN_SHARED or ../shared. Undefined where neither is: the test is to skip itself with
 * `test.skipIf(path === undefined)`, and the one loud line comes from here.
 */
export function sharedFixture(path: string): string | undefined {
  const { BOBBIN_SHARED: shared = join(projectRoot, "..", "shared") } = process.env;
  const whole = join(shared, path);
  if (existsSync(whole)) return whole;
  if (!reported.has(path)) {
    reported.add(path);
    console.warn(`SKIPPED: tests on ${path}: neither in $BOBBIN_SHARED nor in ../shared`);
  }
  return undefined;
}
