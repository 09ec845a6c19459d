/** The commands that only read, run by the owner of a store: they change no byte of it. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin, bobbinPath } from "../support/cli.ts";
import { newStore, storeAt } from "../support/new_store.ts";
import { fill, message, stateOf } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";
import { treeState } from "../support/tree_state.ts";
import { lowerSchema, storeWithHandover, storeWithJournal } from "../support/unsettled_store.ts";

/** A store of three users and one mailbox more, whose catalogues are of the first version. */
function storeOfOldSchema(): string {
  const { root, store } = newStore();
  fill(store, "user.fred", 4);
  fill(store, "user.fred.A", 2);
  fill(store, "user.anne", 1);
  store.close();
  for (const user of ["f/fred", "a/anne"]) {
    lowerSchema(join(root, "user", user, ".catalogue.sqlite"));
  }
  return root;
}

/** The same store after a writer has opened it and done what was left to do. */
function settled(root: string): string {
  const copy = join(tempDir("settled"), "store");
  expect(Bun.spawnSync(["cp", "-a", root, copy]).exitCode).toBe(0);
  const store = storeAt(copy, { access: "upgrade" });
  for (const owner of store.owners()) expect(store.find(owner)?.pending()).toEqual([]);
  expect(store.registry.handovers()).toEqual([]);
  store.close();
  return copy;
}

const STORES = [
  ["with a journal to be done", storeWithJournal],
  ["with a handover half done", storeWithHandover],
  ["of an older schema", storeOfOldSchema],
] as const;

describe("a store that its owner reads", () => {
  for (const [what, make] of STORES) {
    test(`${what} is shown as its last commit left it, and stays to the last byte`, async () => {
      const root = make();
      const done = settled(root);
      const before = treeState(root);
      const shown = async (...args: string[]) => {
        const { exit, stdout, stderr } = await bobbin(args.map((arg) => arg.replace("@", root)));
        const same = await bobbin(args.map((arg) => arg.replace("@", done)));
        expect([args, exit, stderr]).toEqual([args, 0, ""]);
        const hidden = stdout.replaceAll(root, "@").replace(/"pending":\d+/g, '"pending":0');
        expect(hidden).toBe(same.stdout.replaceAll(done, "@"));
        return stdout;
      };
      await shown("ls", "--json", "@");
      await shown("ls", "--json", "@", "fred");
      await shown("ls", "--json", "@", "anne");
      await shown("store", "info", "--json", "@");
      await shown("store", "info", "--json", "@", "fred");
      await shown("store", "info", "--json", "@", "anne");
      if (make !== storeWithHandover) {
        expect(await shown("cat", "@", "user/fred/4")).toBe(Buffer.from(message(4)).toString());
      } else {
        expect(await shown("cat", "@", "user/anne/A/2")).toBe(Buffer.from(message(2)).toString());
        expect((await bobbin(["cat", root, "user/fred/A/2"])).exit).toBe(66);
      }
      const compared = await bobbin(["diff", "--deep", root, done]);
      expect([compared.exit, compared.stdout]).toEqual([0, expect.any(String)]);
      const checked = await bobbin(["fsck", "--json", root]);
      const severities = checked.stdout
        .split("\n")
        .filter((line) => line.includes('"finding"'))
        .map((line) => (JSON.parse(line) as { severity: string }).severity);
      expect([checked.exit, [...new Set(severities)]]).toEqual([0, ["info"]]);
      const { mailboxes } = JSON.parse(checked.stdout.trim().split("\n").at(-1) ?? "");
      expect(mailboxes).toBe(3);
      const dry = ["replicate", "--all", "--mirror", "--check"];
      expect((await bobbin([...dry, "--from", root, "--to", done])).exit).toBe(0);
      expect((await bobbin([...dry, "--from", done, "--to", root])).exit).toBe(0);
      expect(treeState(root)).toEqual(before);
    }, 120_000);
  }

  test("fsck finds damage in a mailbox under its journal", async () => {
    const root = storeWithJournal();
    const [index = ""] = new Bun.Glob("user/f/fred/*/cyrus.index").scanSync({ cwd: root });
    const broken = Buffer.from(await Bun.file(join(root, index)).arrayBuffer());
    broken[300] = (broken[300] ?? 0) ^ 1;
    await Bun.write(join(root, index), broken);
    const { exit, stdout } = await bobbin(["fsck", "--json", root]);
    expect([exit, stdout]).toEqual([1, expect.stringContaining(index)]);
  });

  test("store verbs and replicate raise a schema and say so once for all users", async () => {
    for (const args of [
      ["store", "gc", "@"],
      ["replicate", "--all", "--from", "@source", "--to", "@"],
    ]) {
      const root = storeOfOldSchema();
      const source = settled(root);
      const { exit, stderr } = await bobbin(
        args.map((arg) => arg.replace("@source", source).replace("@", root)),
      );
      expect([exit, stderr.match(/Raising the schema of .* from 1 to 3/g)]).toEqual([
        0,
        [expect.any(String)],
      ]);
      expect((await bobbin(["ls", root, "fred"])).stderr).toBe("");
    }
  }, 60_000);

  test("a user can be brought to another name within one store", async () => {
    const root = storeWithJournal();
    const args = ["replicate", "fred", "--as", "carl", "--from", root, "--to", `${root}/.`];
    expect((await bobbin(args)).exit).toBe(0);
    expect((await bobbin(["cat", root, "user/carl/4"])).stdout).toBe(
      Buffer.from(message(4)).toString(),
    );
  });

  test("a temporary folder that cannot be had is no bug", async () => {
    const root = storeWithJournal();
    for (const args of [["ls"], ["fsck"], ["store", "info"]]) {
      const { exit, stderr } = await bobbin([...args, root], { env: { TMPDIR: "/nowhere" } });
      expect([exit, stderr]).toEqual([74, expect.stringMatching(/\/nowhere: ENOENT[\s\S]*TMPDIR/)]);
    }
  });

  test("a temporary folder that is full is no damage of the store", () => {
    const root = storeWithJournal();
    for (const command of ["ls", "fsck"]) {
      const shell = ["bash", "-c", 'ulimit -f 8; exec "$@"', "", bobbinPath(), command, root];
      const { exitCode, stdout, stderr } = Bun.spawnSync(shell);
      expect([exitCode, stdout.toString()]).toEqual([74, ""]);
      expect(stderr.toString()).toMatch(
        /(catalogue|uniqueids)\.sqlite.* to TMPDIR, .*: EFBIG[\s\S]*set TMPDIR/,
      );
    }
  });

  test("fsck goes on where the files of a mailbox do not take its journal", async () => {
    const root = storeWithJournal();
    const [inbox, other] = ["user.fred", "user.fred.A"].map((name) =>
      join(root, "user/f/fred", stateOf(name, []).uniqueid, "cyrus.index"),
    );
    expect(Bun.spawnSync(["cp", other ?? "", inbox ?? ""]).exitCode).toBe(0);
    const { exit, stdout } = await bobbin(["fsck", "--json", root]);
    expect([exit, stdout]).toEqual([1, expect.stringMatching(/"ST01".*Cannot replay the journal/)]);
    expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ mailboxes: 3 });
  });
});
