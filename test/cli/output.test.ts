/** What a pipe gets, and what happens where nobody reads it. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { tempDir } from "../support/temp_dir.ts";

const SPOOL = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");

/** Runs `bobbin` with stdout a pipe whose reader has gone before it starts. */
async function unread(args: readonly string[]): Promise<{ exit: number; stderr: string }> {
  const script =
    'set -o pipefail; (trap : PIPE; while printf x 2>/dev/null; do :; done; exec "$@") | true';
  const child = Bun.spawn(["bash", "-c", script, "bash", bobbinPath(), ...args], {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  });
  const stderr = await new Response(child.stderr).text();
  return { exit: await child.exited, stderr };
}

describe("a pipe that nobody reads", () => {
  test("ends every command with exit code 74 and no word of it", async () => {
    const folder = tempDir("unread");
    const [store, users, dump] = ["store", "users", "ann.dlist"].map((name) => join(folder, name));
    const env = { BOBBIN_PASSWORD: "x" };
    const made = [
      ["store", "init", String(store)],
      ["passwd", "ann", "--users-file", String(users), "--allow", "ann"],
      ["replicate", "ann", "--from", SPOOL, "--to", `dump:${dump}`],
      ["replicate", "ann", "--from", SPOOL, "--to", String(store)],
    ];
    for (const args of made) expect((await bobbin(args, { env })).exit).toBe(0);
    const to = ["--from", SPOOL, "--to", String(store)];
    for (const args of [
      ["ls", SPOOL],
      ["ls", SPOOL, "ann"],
      ["ls", SPOOL, "ann", "INBOX"],
      ["ls", SPOOL, "--json"],
      ["cat", SPOOL, "user/ann/1"],
      ["fsck", SPOOL],
      ["fsck", SPOOL, "--json"],
      ["replicate", "bob", "-n", ...to],
      ["replicate", "bob", ...to],
      ["diff", SPOOL, String(store), "ann"],
      ["dlist", String(dump)],
      ["store", "info", String(store)],
      ["store", "info", String(store), "ann"],
      ["store", "gc", String(store)],
      ["passwd", "--list", "--users-file", String(users)],
      ["help"],
      ["help", "MS04"],
      ["ls", "--help"],
      ["generate", "man"],
      ["generate", "completion", "bash"],
      ["generate", "json-schema"],
      ["--version"],
      ["ls", "-V"],
    ]) {
      const { exit, stderr } = await unread(args);
      const isTold = /^bobbin: |EPIPE/m.test(stderr);
      expect({ args, exit, isTold }).toEqual({ args, exit: 74, isTold: false });
    }
  }, 60_000);
});

describe("--users-from", () => {
  const users = "# of the old server\nann\n\n  bob\r\nann\n";

  test("names the users of replicate, diff and ls, from a file or stdin", async () => {
    const folder = tempDir("users-from");
    const [store, file] = [join(folder, "store"), join(folder, "users")];
    await Bun.write(file, users);
    expect((await bobbin(["store", "init", store])).exit).toBe(0);
    const from = ["--users-from", file];
    const run = ["replicate", "--from", SPOOL, "--to", store];
    const brought = await bobbin([...run, ...from]);
    expect([brought.exit, brought.stdout]).toEqual([0, expect.stringMatching(/^2 users, /m)]);
    const diff = await bobbin(["diff", SPOOL, store, "--users-from", "-"], { stdin: users });
    expect([diff.exit, diff.stdout]).toEqual([0, expect.stringMatching(/^2 users, .*: 0 diff/m)]);
    const ls = await bobbin(["ls", store, ...from]);
    expect(ls.stdout.match(/^\w+/gm)).toEqual(["USER", "ann", "bob"]);
    const json = await bobbin(["ls", store, "--json", ...from]);
    expect([json.exit, json.stdout]).toEqual([0, expect.stringContaining('"users":2,')]);
  }, 30_000);

  test("tells of a user who is not there, and lists the others", async () => {
    const stdin = "ann\nnobody\n";
    const { exit, stdout, stderr } = await bobbin(["ls", SPOOL, "--users-from", "-"], { stdin });
    expect([exit, stderr]).toEqual([2, "bobbin: Cannot find user nobody\n"]);
    expect(stdout).toContain("ann ");
  });

  test.each([
    [66, ["ls", SPOOL, "--users-from", "-"], "# nobody\n"],
    [74, ["ls", SPOOL, "--users-from", "/none"], ""],
    [74, ["ls", SPOOL, "--users-from", "/"], ""],
    [64, ["ls", SPOOL, "ann", "--users-from", "-"], "bob"],
    [64, ["replicate", "--all", "--from", SPOOL, "--to", "dump:-", "--users-from", "-"], "bob"],
    [64, ["ls", SPOOL, "--users-from", "-", "--password-file", "-"], "bob"],
  ])("exit code %d: %j", async (exit, args, stdin) => {
    const result = await bobbin(args, { stdin });
    expect([result.exit, result.stdout]).toEqual([exit, ""]);
  });
});

describe("the help", () => {
  test("shows no defaults that are no values", async () => {
    for (const command of ["fsck", "serve", "passwd"]) {
      expect((await bobbin([command, "--help"])).stdout).not.toContain("default:");
    }
  });
});
