import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin } from "../../support/cli.ts";
import { readOnlyFixture } from "../../support/fixtures.ts";
import { newStore } from "../../support/new_store.ts";
import { fill, stateOf } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const spool = (): string => join(readOnlyFixture("cyrus-spools/uuid-paths-3.12"), "spool");

function lastLine(stdout: string): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "{}");
}

describe("bobbin store", () => {
  test("a store is made, filled and checked; a second run has nothing to do", async () => {
    const root = join(tempDir("cli"), "store");
    expect((await bobbin(["store", "init", root])).exit).toBe(0);
    expect((await bobbin(["store", "init", root])).exit).toBe(73);
    const bring = ["replicate", "--all", "--from", spool(), "--to", root];
    const planned = await bobbin([...bring, "-n", "--check"]);
    expect([planned.exit, planned.stdout]).toEqual([1, expect.stringContaining("create")]);
    const done = await bobbin([...bring, "--json"]);
    expect(done.exit).toBe(0);
    expect(done.stderr).toBe("");
    const summary = lastLine(done.stdout);
    expect(summary).toMatchObject({ type: "summary", failedUsers: 0, differences: 0, exit: 0 });
    expect(Number(summary["messages"])).toBeGreaterThan(0);
    const again = await bobbin([...bring, "--json"]);
    expect([again.exit, lastLine(again.stdout)["steps"]]).toEqual([0, 0]);
    expect((await bobbin(["fsck", root])).exit).toBe(0);
    const info = await bobbin(["--json", "store", "info", root]);
    expect(lastLine(info.stdout)).toMatchObject({ format: 1, pending: 0, exit: 0 });
  }, 60_000);

  test("folders are renamed, swapped, deleted and undeleted by external names", async () => {
    const { root, store } = newStore();
    for (const name of ["", ".A", ".A.X", ".B"]) fill(store, `user.fred${name}`, 1);
    store.close();
    const run = async (...args: string[]): Promise<number> =>
      (await bobbin(["store", ...args])).exit;
    expect(await run("rename", root, "user/fred/A", "user/fred/C")).toBe(0);
    expect(await run("rename", root, "user/fred/C", "user/fred/B", "--swap")).toBe(0);
    expect(await run("rename", root, "user/fred/B", "user/anne/B")).toBe(77);
    expect(await run("rename", root, "user/fred/None", "user/fred/D")).toBe(66);
    expect(await run("rename", root, "user/fred/B", "user/fred/C")).toBe(77);
    expect(await run("delete", root, "user/fred/B", "--tree")).toBe(0);
    expect(await run("delete", root, "user/fred/B")).toBe(66);
    const info = await bobbin(["--internal", "store", "info", root, "fred"]);
    expect(info.stdout.split("\n").map((line) => line.split("  ")[0])).toEqual([
      ...["user.fred", "user.fred.C", "user.fred.B", "user.fred.B.X", ""],
    ]);
    expect(await run("undelete", root, "user/fred/B")).toBe(0);
    expect(await run("gc", root)).toBe(0);
    expect(await run("reconstruct", root)).toBe(0);
    expect((await bobbin(["fsck", root])).exit).toBe(0);
  }, 60_000);

  test("what was deleted is found by uniqueid and comes back under another name", async () => {
    const { root, store } = newStore();
    for (const name of ["user.fred", "user.fred.B", "lists", "lists.a"]) fill(store, name, 1);
    const userid = Buffer.from("jörg").toString("latin1");
    fill(store, `user.${userid}`, 1);
    store.close();
    const run = async (...args: string[]): Promise<(number | string)[]> => {
      const { exit, stdout, stderr } = await bobbin(["store", ...args]);
      return [exit, stdout + stderr];
    };
    const { uniqueid } = stateOf("user.fred.B", []);
    await run("delete", root, "user/fred/B");
    await run("delete", root, "lists/a");
    expect(await run("undelete", root, uniqueid, "--as", "user/anne/C")).toEqual([
      ...[77, expect.stringContaining("Cannot rename user/fred/B to user/anne/C: it belongs")],
    ]);
    expect(await run("undelete", root, uniqueid, "--as", "user/fred/C")).toEqual([
      ...[0, "brought back user/fred/C\n"],
    ]);
    const kept = "DELETED/user/fred/C/6B0DE715";
    expect(await run("rename", root, "user/fred/C", kept)).toEqual([0, expect.anything()]);
    expect(await run("undelete", root, "user/fred/C")).toEqual([
      ...[66, expect.stringContaining(`Cyrus keeps it as ${kept}: \`bobbin store rename\``)],
    ]);
    expect(await run("rename", root, kept, "user/fred/C")).toEqual([0, expect.anything()]);
    expect(await run("undelete", root, "none")).toEqual([66, expect.stringContaining("none")]);
    expect(await run("info", root, "lists")).toEqual([66, expect.stringContaining("--shared")]);
    expect(await run("info", root, "lists", "--shared")).toEqual([
      ...[0, expect.stringMatching(/^lists {4}\S+\nlists\/a {2}\S+ {2}deleted /)],
    ]);
    expect(await run("info", root)).toEqual([
      0,
      expect.stringContaining("jörg            1 mailbox\n"),
    ]);
    expect(await run("info", root, "jörg")).toEqual([0, expect.stringMatching(/^user\/jörg /)]);
    expect((await bobbin(["fsck", root])).exit).toBe(0);
  }, 60_000);
});
