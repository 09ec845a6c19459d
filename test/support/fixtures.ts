/** Where the tests' real data comes from: archives of this tree, and data of others beside it. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { tempDir } from "./temp_dir.ts";

const projectRoot = join(import.meta.dir, "..", "..");
const fixtureRoot = join(projectRoot, "test", "fixtures");

/** The path of a file of test/fixtures, as `cyrus-spools/damaged.tar.gz`. */
export function fixturePath(name: string): string {
  return join(fixtureRoot, name);
}

/** A fresh copy of an archive of test/fixtures (`cyrus-spools/damaged`), removed after the run. */
export function unpackFixture(name: string): string {
  return unpackArchive(fixturePath(name.endsWith(".tar.gz") ? name : `${name}.tar.gz`));
}

const shared = new Map<string, string>();

/**
 * The same copy for all tests of a run that only read it; see `unpackFixture` for one to change.
 */
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
 * The path of a file of $BOBBIN_SHARED (`fixtures/cyrus-old-mailboxes/version9.tar.gz`): data of
 * others that is not part of this tree. Undefined where that is not set, so that a clone tests the
 * same wherever it lies; a path that is set and has no such file is an error.
 */
export function sharedFixture(path: string): string | undefined {
  const { BOBBIN_SHARED: folder } = process.env;
  if (folder === undefined) return undefined;
  const whole = join(folder, path);
  if (!existsSync(whole)) throw new Error(`BOBBIN_SHARED is set, but there is no ${whole}`);
  return whole;
}
