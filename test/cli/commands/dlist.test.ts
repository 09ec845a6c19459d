/** `bobbin dlist`, as the built binary. */

import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { bobbin, bobbinPath, jsonLines } from "../../support/cli.ts";
import { newStore } from "../../support/new_store.ts";
import { type TestServer, testServer } from "../../support/serve.ts";
import { fill } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

let server: TestServer | undefined;
afterAll(() => server?.stop());

/** A dump of two users, made by `bobbin replicate`. */
async function dumpOfTwo(): Promise<string> {
  const { root, store } = newStore();
  for (const name of ["user.anne", "user.bob"]) fill(store, name, 3);
  store.close();
  const path = `${tempDir("dump")}/two.dlist`;
  const to = `dump:${path}`;
  const made = await bobbin([
    "replicate",
    "anne",
    "bob",
    "--jobs",
    "1",
    "--from",
    root,
    "--to",
    to,
  ]);
  expect([made.exit, made.stderr]).toEqual([0, ""]);
  return path;
}

describe("bobbin dlist FILE", () => {
  test("bobbin dlist prints a sound dump, and one that was cut up to the damage", async () => {
    const path = await dumpOfTwo();
    const sound = await bobbin(["dlist", path]);
    expect(sound.exit).toBe(0);
    expect(sound.stdout).toContain("  MBOXNAME user.anne\n");
    expect(sound.stdout).toContain("APPLY MESSAGE (%{default ");
    expect(sound.stderr).toMatch(/Sound: \d+ commands, complete: anne, bob/);
    const whole = readFileSync(path);
    const piped = Bun.spawn([bobbinPath(), "dlist", "-"], { stdin: whole, stderr: "ignore" });
    expect(await new Response(piped.stdout).text()).toBe(sound.stdout);
    const after = whole.indexOf("MBOXNAME user.bob");
    writeFileSync(path, whole.subarray(0, after));
    const cut = await bobbin(["dlist", "--json", path]);
    const lines = jsonLines(cut.stdout);
    expect(cut.exit).toBe(1);
    expect(lines.at(-2)).toMatchObject({ type: "damage", offset: expect.any(Number) });
    expect(lines.at(-1)).toMatchObject({ type: "summary", owners: [{ user: "anne" }], exit: 1 });
    expect(Number(lines.at(-1)?.["damagedAt"])).toBeLessThan(after);
    const ls = await bobbin(["ls", `dump:${path}`, "anne"]);
    expect([ls.exit, ls.stdout.includes("user/anne")]).toEqual([0, true]);
    expect((await bobbin(["ls", `dump:${path}`, "bob"])).exit).toBe(65);
  }, 60_000);

  test("a cut dump brings the users complete before the cut, with exit code 2", async () => {
    const path = await dumpOfTwo();
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.indexOf("MBOXNAME user.bob")));
    const { root } = newStore();
    const run = await bobbin(["replicate", "--all", "--from", `dump:${path}`, "--to", root]);
    expect([run.exit, run.stderr]).toEqual([2, expect.stringMatching(/is damaged at byte \d+/)]);
    expect((await bobbin(["ls", root, "anne"])).stdout).toContain("user/anne");
    const alone = await bobbin(["replicate", "bob", "--from", `dump:${path}`, "--to", root]);
    expect([alone.exit, alone.stderr]).toEqual([65, expect.stringMatching(/is damaged at byte/)]);
    expect((await bobbin(["ls", root, "bob"])).exit).toBe(66);
    expect((await bobbin(["fsck", root])).exit).toBe(0);
  }, 60_000);

  test("a dump goes through a pipe, with what is said of it on stderr", async () => {
    const { root, store } = newStore();
    fill(store, "user.anne", 3);
    store.close();
    const piped = newStore();
    const command =
      `"$B" replicate anne --from "$A" --to dump:- | ` +
      `"$B" replicate --all --from dump:- --to "$C" && "$B" diff "$A" "$C" --deep`;
    const env = { ...process.env, A: root, B: bobbinPath(), C: piped.root };
    const child = Bun.spawn(["bash", "-o", "pipefail", "-c", command], {
      env,
      stdout: "pipe",
      stderr: "ignore",
    });
    expect(await new Response(child.stdout).text()).toContain("1 user, 1 mailbox: 0 differences");
    expect(await child.exited).toBe(0);
  }, 60_000);

  test("bobbin dlist prints a telemetry log and finds what cannot be read in it", async () => {
    const path = `${tempDir("log")}/csync-1`;
    writeFileSync(
      path,
      "---------- admin\n\n" +
        "<1795385626<GET META anne\n>1795385627>* LSUB (user.anne)\nOK success\n" +
        "<1795385628<APPLY SUB %[\n<1795385629<AUTHENTICATE PLAIN c2VjcmV0\n",
    );
    const { exit, stdout } = await bobbin(["dlist", path]);
    expect(exit).toBe(1);
    expect(stdout.split("\n")).toEqual([
      "2026-11-22T22:13:46Z C GET META anne",
      "2026-11-22T22:13:47Z S * LSUB (user.anne)",
      "2026-11-22T22:13:47Z S OK success",
      expect.stringMatching(/^2026-11-22T22:13:48Z C APPLY cannot be read: expected/),
      "2026-11-22T22:13:49Z C AUTHENTICATE PLAIN …",
      "",
    ]);
    writeFileSync(path, "neither\n");
    expect((await bobbin(["dlist", path])).exit).toBe(65);
    expect((await bobbin(["dlist", `${path}.none`])).exit).toBe(66);
  });
});

describe("bobbin dlist talk", () => {
  test("bobbin dlist talk signs in, sends what is typed and shows what comes", async () => {
    server = await testServer();
    const child = Bun.spawn(
      [bobbinPath(), "dlist", "talk", `sync://admin@127.0.0.1:${server.port}`],
      {
        env: { ...process.env, BOBBIN_PASSWORD: "labpass" },
        stdin: new Blob(["GET USER {{anne}}\nFOO\nAUTHENTICATE PLAIN c2VjcmV0\nEXIT\n"]),
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(await child.exited).toBe(0);
    expect(stderr).toMatch(/^Signed in to test, bobbin/);
    expect(stdout).toContain("C GET USER {{anne}}\nS OK success\nC FOO\nS BAD ");
    expect(stdout).toContain("C AUTHENTICATE PLAIN …\nS BAD");
    expect(stdout).toMatch(/C EXIT\nS OK [^\n]*\n$/);
    expect(stdout + stderr).not.toMatch(/labpass|c2VjcmV0/);
  });
});
