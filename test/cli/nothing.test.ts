/** Nothing is not success: empty arguments, places without users, filters that match nothing. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { tempDir } from "../support/temp_dir.ts";

const sound = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");

async function newStore(name: string): Promise<string> {
  const path = join(tempDir(name), "store");
  expect((await bobbin(["store", "init", path])).exit).toBe(0);
  return path;
}

describe("an empty argument", () => {
  const commands: readonly (readonly string[])[] = [
    ["fsck", ""],
    ["fsck", sound, ""],
    ["fsck", sound, "--user", ""],
    ["fsck", sound, "--mailbox", "user/ann", "--mailbox="],
    ["fsck", sound, "--archive-partition", ""],
    ["ls", ""],
    ["ls", "cyrus:"],
    ["ls", sound, ""],
    ["ls", sound, "ann", ""],
    ["cat", sound, ""],
    ["diff", sound, ""],
    ["diff", sound, sound, "ann", ""],
    ["dlist", ""],
    ["replicate", "--all", "--mirror", "--from", "", "--to", "STORE"],
    ["replicate", "--all", "--from", sound, "--to="],
    ["replicate", "", "--from", sound, "--to", "STORE"],
    ["replicate", "ann", "--as", "", "--from", sound, "--to", "STORE"],
    ["replicate", "ann", "--partition", "", "--from", sound, "--to", "STORE"],
    ["store", "init", ""],
    ["store", "init", "store:"],
    ["store", "info", "STORE", ""],
    ["store", "rename", "STORE", "user/ann/A", ""],
    ["store", "delete", "STORE", ""],
    ["store", "gc", ""],
    ["passwd", "--users-file", "", "--allow", "*", "ann"],
    ["passwd", "--users-file", "users", "--allow", "", "ann"],
    ["serve", "", "--users-file", "users"],
    ["serve", "STORE", "--users-file", ""],
  ];

  test("is a usage error for each command, and nothing is made or read", async () => {
    const store = await newStore("target");
    for (const command of commands) {
      const cwd = tempDir("cwd");
      const args = command.map((arg) => (arg === "STORE" ? store : arg));
      const { exit, stderr } = await bobbin(args, { cwd });
      expect({ command, exit, made: readdirSync(cwd) }).toEqual({ command, exit: 64, made: [] });
      expect(stderr).toMatch(/empty|Cannot make a store/);
    }
  }, 60_000);
});

describe("a partition that is not there", () => {
  test("is no place in which fsck finds nothing wrong", async () => {
    const gone = join(tempDir("partition"), "not-mounted");
    for (const option of ["--archive-partition", "--meta-partition"]) {
      const { exit, stderr } = await bobbin(["fsck", option, gone, sound]);
      expect([exit, stderr]).toEqual([66, expect.stringContaining(gone)]);
    }
  });
});

describe("a place without users", () => {
  test("is refused by every command that reads it, and no dump is left", async () => {
    const [store, folder] = [await newStore("b"), tempDir("other")];
    mkdirSync(join(folder, "deep", "folder"), { recursive: true });
    writeFileSync(join(folder, "deep", "hosts"), "x");
    const dump = join(tempDir("dump"), "all.dlist");
    for (const command of [
      ["ls", folder],
      ["ls", folder, "ann"],
      ["cat", folder, "0".repeat(40)],
      ["diff", folder, store],
      ["diff", store, folder],
      ["fsck", folder],
      ["replicate", "--all", "--from", folder, "--to", store],
      ["replicate", "--all", "--mirror", "--from", folder, "--to", store],
      ["replicate", "--all", "--dry-run", "--from", folder, "--to", store],
      ["replicate", "ann", "--from", folder, "--to", store],
      ["replicate", "--all", "--from", folder, "--to", `dump:${dump}`],
    ]) {
      const { exit, stderr } = await bobbin(command);
      expect({ command, exit, stderr }).toMatchObject({ command, exit: 66 });
      expect(stderr).toMatch(/^bobbin: (User ann: )?Cannot find any (user or shared )?mailbox/);
    }
    expect(existsSync(dump)).toBe(false);
  }, 60_000);

  test("is taken with --allow-empty; an empty store is one without it", async () => {
    const [store, empty] = [await newStore("b"), await newStore("a")];
    const all = (from: string, ...more: string[]) =>
      bobbin(["replicate", "--all", "--from", from, "--to", store, ...more]);
    expect((await all(tempDir("new"), "--allow-empty")).exit).toBe(0);
    expect((await all(empty)).exit).toBe(0);
    expect((await bobbin(["ls", empty])).exit).toBe(0);
  });
});

describe("--user and --mailbox of fsck", () => {
  const checked = async (...args: string[]) => {
    const { exit, stdout, stderr } = await bobbin(["--json", "fsck", sound, ...args]);
    return { exit, mailboxes: jsonLines(stdout).at(-1)?.["mailboxes"], stderr };
  };

  test("each that matches nothing is 66 by its name, beside others that match", async () => {
    for (const [args, missing] of [
      [["--mailbox", "user/dan/00-clean", "--mailbox", "user/dan/nope"], "user/dan/nope"],
      [["--user", "dann", "--user", "ann"], "dann"],
      [["--user", "dann", "--mailbox", "user/dan/00-clean"], "dann"],
      [["--user", "ann", "--mailbox", "user/dan/00-clean"], "user/dan/00-clean"],
    ] as const) {
      const { exit, stderr } = await checked(...args);
      expect({ args, exit }).toEqual({ args, exit: 66 });
      expect(stderr).toMatch(new RegExp(`^bobbin: Cannot find .*\\b${missing}\\b`));
    }
  });

  test("both together are only these mailboxes of these users", async () => {
    expect(await checked("--user", "ann", "--mailbox", "user/ann/Sent")).toMatchObject({
      ...{ exit: 0, mailboxes: 1 },
    });
    expect(await checked("--mailbox", "user/ann/Sent", "--mailbox", "user.ann")).toMatchObject({
      ...{ exit: 0, mailboxes: 2 },
    });
  });
});

describe("a place inside a spool", () => {
  test("is named and not walked, and the target takes the right one afterwards", async () => {
    const above = tempDir("above");
    const [inner, target] = [join(above, "bobbin"), await newStore("b")];
    const run = async (...args: string[]) => (await bobbin(args)).exit;
    expect(await run("store", "init", inner)).toBe(0);
    expect(await run("replicate", "bob", "--from", sound, "--to", inner)).toBe(0);
    mkdirSync(join(above, "mail", "stage."), { recursive: true });
    for (const command of ["ls", "fsck"]) {
      const { exit, stdout, stderr } = await bobbin([command, above]);
      expect({ command, isRight: exit === 1 || exit === 2 }).toEqual({ command, isRight: true });
      expect(stdout + stderr).toMatch(
        /it is a store, .*\n(.*\n)*.*it is a partition of a server, /,
      );
    }
    expect(await run("replicate", "--all", "--from", above, "--to", target)).toBe(2);
    expect(await run("replicate", "--all", "--from", inner, "--to", target)).toBe(0);
    expect(await run("diff", inner, target)).toBe(0);
  });
});
