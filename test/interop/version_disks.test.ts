/**
 * A user of any version, taken from its disk, brought to a real Cyrus 3.6.1 and from there into a
 * store, is the same: what differs is named here, with its reason. All versions in the long run.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { labUpInMemory } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { tempDir } from "../support/temp_dir.ts";
import { FIXTURE_VERSIONS, type FixtureVersion } from "../support/version_answers.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const VERSIONS = FIXTURE_VERSIONS.filter((one) => isLong || one === "2.4" || one === "master");

/** 3.6 keeps scripts in a mailbox of its own. */
const SIEVE_HOME = "user/ann/#sieve: only at B";
/** 3.6 makes the parents that up to 3.0 a mailbox did not need. */
const PARENTS = ["user/ann/Archive: only at B", "user/ann/Lists: only at B"];

const DIFFERENCES: Readonly<Record<FixtureVersion, readonly string[]>> = {
  ...{ "2.4": [SIEVE_HOME, ...PARENTS], "2.5": [SIEVE_HOME, ...PARENTS] },
  ...{ "3.0": [SIEVE_HOME, ...PARENTS], "3.2": [SIEVE_HOME], "3.4": [SIEVE_HOME] },
  ...{ "3.8": [], "3.10": [], master: [] },
};

/** A fresh copy of the server of a version, owned by who runs the test; its imapd.conf. */
function diskOf(version: FixtureVersion): string {
  const root = unpackFixture(`cyrus-spools/cyrus-${version}`);
  const conf = join(root, "imapd.conf");
  writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", root));
  return conf;
}

async function run(...args: readonly string[]) {
  const { exit, stdout, stderr } = await bobbin(["--json", ...args], {
    env: { BOBBIN_PASSWORD: "labpass" },
  });
  return { exit, objects: jsonLines(stdout), stderr };
}

test.skipIf(!has("a Cyrus server")).each(VERSIONS)(
  "a server of %s comes through a real Cyrus as it was",
  async (version) => {
    const disk = diskOf(version);
    const lab = await labUpInMemory();
    try {
      const cyrus = `sync://admin@127.0.0.1:${lab.syncPort}`;
      const store = join(tempDir("version"), "store");
      expect(await run("store", "init", store)).toMatchObject({ exit: 0 });
      // Up to 3.4 scripts are files.
      const files = DIFFERENCES[version].includes(SIEVE_HOME) ? ["--sieve", "files"] : [];
      const to = ["--all", "--from", disk, "--to", cyrus, ...files];
      const back = ["--all", "--from", lab.conf, "--to", store];
      const direct = join(tempDir("version"), "store");
      expect(await run("store", "init", direct)).toMatchObject({ exit: 0 });
      for (const args of [to, back, ["--all", "--from", disk, "--to", direct]]) {
        const told = await run("replicate", ...args);
        expect([args, told]).toMatchObject([args, { exit: 0 }]);
        const again = await run("replicate", ...args);
        expect([args, again.objects.at(-1)]).toMatchObject([args, { exit: 0, steps: 0 }]);
      }
      expect(await run("diff", "--deep", disk, cyrus, ...files)).toMatchObject({ exit: 0 });
      expect(await run("diff", "--deep", disk, direct)).toMatchObject({ exit: 0 });
      const { objects } = await run("diff", "--deep", disk, store);
      const found = objects.filter(({ type }) => type === "difference");
      const told = found.map(({ mailbox, text }) => `${mailbox}: ${text}`).sort();
      expect(told).toEqual([...DIFFERENCES[version]].sort());
      for (const place of [disk, lab.conf, store, direct]) {
        expect([place, (await run("fsck", place)).exit]).toEqual([place, 0]);
      }
    } finally {
      await lab.down();
    }
  },
  120_000,
);
