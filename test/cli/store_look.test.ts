/**
 * Looking at a store without the right to write to it: another user, and a file system mounted
 * read-only.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { noAccounts } from "../../src/accounts/account.ts";
import { writeAccounts } from "../../src/accounts/users_file.ts";
import { bobbin, bobbinPath, jsonLines } from "../support/cli.ts";
import { has } from "../support/needs.ts";
import { newStore, storeAt } from "../support/new_store.ts";
import { fill, message } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";
import { storeWithJournal } from "../support/unsettled_store.ts";

const NOBODY = 65534;
const SAYS = /Reading .* without the right to write to it/;

/** Every byte below `root`, and who has what rights there. */
function fingerprint(root: string): string {
  const script =
    `cd "$0" && find . -printf '%p %m %u %s\\n' | sort && find . -type f -not ` +
    "-name '*-shm' -exec sha1sum {} + | sort";
  return Bun.spawnSync(["sh", "-c", script, root]).stdout.toString();
}

async function run(args: readonly string[], uid?: number) {
  const options = uid === undefined ? {} : { uid };
  const { exit, stdout, stderr } = await bobbin(args, options);
  return { exit, stdout, stderr };
}

/** Accounts of nobody, for `uid`. */
function usersFile(uid = 0): string {
  const path = join(tempDir("look"), "users");
  writeAccounts(path, noAccounts());
  chownSync(path, uid, uid);
  chmodSync(dirname(path), 0o755);
  return path;
}

/** What every way of looking must show of `storeWithJournal`, and what none may do. */
async function looks(root: string, uid?: number): Promise<void> {
  const before = fingerprint(root);
  for (const args of [
    ["fsck", root],
    ["ls", root],
    ["store", "info", root],
  ]) {
    const { exit, stderr } = await run(args, uid);
    expect([args[0], exit, stderr]).toEqual([args[0], 0, expect.stringMatching(SAYS)]);
  }
  expect((await run(["ls", root, "fred"], uid)).stdout).toMatch(/INBOX|user\/fred\b.* 4 /);
  expect((await run(["cat", root, "user/fred/4"], uid)).stdout).toBe(
    Buffer.from(message(4)).toString(),
  );
  for (const args of [
    ["rename", root, "user/fred/A", "user/fred/B"],
    ["delete", root, "user/fred/A"],
    ["gc", root],
    ["reconstruct", root],
    ["serve", root, "--users-file", usersFile(uid), "--listen", "127.0.0.1:0"],
  ]) {
    const words = args[0] === "serve" ? args : ["store", ...args];
    const { exit, stderr } = await run(words, uid);
    expect([args[0], exit, stderr]).toEqual([args[0], 77, expect.stringMatching(/only read it/)]);
    expect(stderr).toContain("Run it as the user who owns it, or as root");
  }
  expect(fingerprint(root)).toBe(before);
}

describe.if(has("root"))("a store that may only be read", () => {
  test("another user sees what is committed, and leaves every byte as it was", async () => {
    const root = storeWithJournal();
    const copy = join(tempDir("look"), "copy");
    Bun.spawnSync(["cp", "-a", root, copy]);
    Bun.spawnSync(["chmod", "-R", "a+rX", dirname(root)]);
    await looks(root, NOBODY);
    Bun.spawnSync(["chmod", "-R", "a+rX", dirname(copy)]);
    const { exit, stderr } = await run(["diff", "--deep", root, copy], NOBODY);
    expect([exit, stderr]).toEqual([0, expect.stringMatching(SAYS)]);
    // A peer may not push to it either.
    const pushed = await run(
      ["replicate", "fred", "--as", "ann", "--from", copy, "--to", root],
      NOBODY,
    );
    expect(pushed.stderr).toMatch(/only read it/);
    expect(pushed.exit).not.toBe(0);
    expect(Object.keys(verifyStore(root)).sort()).toEqual([
      "user.anne",
      "user.fred",
      "user.fred.A",
    ]);
  }, 60_000);

  test("runs in a folder that it may not look into, as runuser does from /root", async () => {
    const folder = tempDir("look");
    const [closed, mine] = [join(folder, "root"), join(folder, "srv")];
    mkdirSync(closed, { mode: 0o700 });
    mkdirSync(mine, { mode: 0o700 });
    chownSync(mine, NOBODY, NOBODY);
    chmodSync(folder, 0o755);
    const [store, dump] = [join(mine, "store"), `dump:${join(mine, "all.dlist")}`];
    for (const args of [
      ["store", "init", `store:${store}`],
      ["ls", store],
      ["fsck", `store:${store}`],
      ["replicate", "--all", "--allow-empty", "--from", `store:${store}`, "--to", dump],
    ]) {
      const { exit, stderr } = await bobbin(args, { uid: NOBODY, cwd: closed });
      expect([args, exit, stderr]).toEqual([args, 0, expect.not.stringMatching(/EACCES/)]);
    }
    const relative = await bobbin(["ls", "store:nowhere"], { uid: NOBODY, cwd: closed });
    expect([relative.exit, relative.stderr]).toEqual([77, expect.stringMatching(/EACCES/)]);
  });

  test.skipIf(!has("mounting a file system"))(
    "a read-only file system is read, its journal laid over",
    async () => {
      const root = storeWithJournal();
      const mounted = join(tempDir("look"), "mounted");
      mkdirSync(mounted);
      const mount = (...args: string[]): number => Bun.spawnSync(["mount", ...args]).exitCode;
      expect(mount("--bind", root, mounted)).toBe(0);
      expect(mount("-o", "remount,ro,bind", mounted)).toBe(0);
      try {
        await looks(mounted);
      } finally {
        Bun.spawnSync(["umount", mounted]);
      }
    },
    60_000,
  );

  test("a store that is being written is sound for whoever looks", async () => {
    const { root, store } = newStore();
    fill(store, "user.fred", 1);
    fill(store, "user.anne", 3);
    store.close();
    Bun.spawnSync(["chmod", "-R", "a+rX", dirname(root)]);
    const writer = Bun.spawn(
      [process.execPath, "run", join(import.meta.dir, "../crash/churn.ts"), root, "user.fred"],
      { stdout: "pipe", stderr: "inherit" },
    );
    const said = writer.stdout.getReader();
    await said.read();
    // May read everything, as one that makes backups does, and write nothing.
    const reader = ["setpriv", `--reuid=${NOBODY}`, "--clear-groups"];
    const rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
    try {
      let last = 0;
      for (let round = 0; round < 4; round++) {
        const look = (...args: string[]) =>
          Bun.spawnSync([...reader, ...rights, bobbinPath(), ...args, root]);
        const checked = look("fsck");
        expect([checked.exitCode, checked.stdout.toString()]).toEqual([0, expect.any(String)]);
        expect(checked.stderr.toString()).toMatch(SAYS);
        const listed = look("ls", "--json");
        expect(listed.exitCode).toBe(0);
        const fred = jsonLines(listed.stdout.toString()).find(({ user }) => user === "fred");
        const messages = Number(fred?.["messages"] ?? 0);
        expect(messages).toBeGreaterThanOrEqual(last);
        last = messages;
      }
      expect(last).toBeGreaterThan(1);
    } finally {
      writer.kill(9);
      await writer.exited;
    }
    expect(Bun.spawnSync(["find", root, "-user", `${NOBODY}`]).stdout.toString()).toBe("");
    const after = storeAt(root);
    after.close();
    verifyStore(root);
    expect(readFileSync(join(root, "bobbin.json"), "utf8")).toContain("format");
  }, 60_000);
});
