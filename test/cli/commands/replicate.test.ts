/**
 * `bobbin replicate` and `bobbin diff`, the built binary: exit codes, words, objects, and a run
 * that is killed.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { bobbin, bobbinPath, jsonLines } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { type TestServer, testServer } from "../../support/serve.ts";
import { randomOf } from "../../support/spool/random.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { treeState } from "../../support/tree_state.ts";
import { until } from "../../support/until.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const SPOOL = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const DAMAGED = join(unpackFixture("cyrus-spools/damaged"), "spool");
const PASSWORD = { env: { BOBBIN_PASSWORD: "labpass" } };

async function newStore(): Promise<string> {
  const root = join(tempDir("replica"), "store");
  expect((await bobbin(["store", "init", root])).exit).toBe(0);
  return `store:${root}`;
}

describe("bobbin replicate", () => {
  test("--as takes no name that no user can have, and writes nothing under it", async () => {
    const dump = join(tempDir("as"), "dump");
    for (const to of [await newStore(), `dump:${dump}`]) {
      const args = ["replicate", "ann", "--as", "a/b", "--from", SPOOL, "--to", to];
      const { exit, stderr } = await bobbin(args);
      expect([exit, stderr]).toEqual([64, expect.stringContaining("a/b")]);
    }
    expect(existsSync(dump)).toBe(false);
  });

  test("brings every user once, and the second run has nothing to do", async () => {
    const store = await newStore();
    const first = await bobbin(["replicate", "--all", "--from", SPOOL, "--to", store]);
    expect(first.exit).toBe(0);
    expect(first.stdout).toMatch(/^ann: create user\/ann\/Entwürfe \(1 record, .* of messages\)$/m);
    expect(first.stdout).toMatch(/^4 users, 53 steps done, \d+ messages sent \(.*\)$/m);
    const again = await bobbin(["replicate", "--all", "--from", SPOOL, "--to", store, "--json"]);
    expect(again.exit).toBe(0);
    expect(jsonLines(again.stdout)).toEqual([
      expect.objectContaining({ type: "summary", users: 4, steps: 0, messages: 0, exit: 0 }),
    ]);
    // The spool has no seen states and no quotas, so none are lost.
    expect(again.stderr).toBe("");
    const diff = await bobbin(["diff", SPOOL, store, "--deep"]);
    expect([diff.exit, diff.stdout]).toEqual([0, "4 users, 53 mailboxes: 0 differences\n"]);
    expect((await bobbin(["fsck", store])).exit).toBe(0);
  }, 60_000);

  test("a dry run ends as its run does, and counts the steps that it lists", async () => {
    const [a, b] = [await newStore(), await newStore()];
    for (const store of [a, b]) {
      expect((await bobbin(["replicate", "ann", "--from", SPOOL, "--to", store])).exit).toBe(0);
    }
    const root = a.slice("store:".length);
    await bobbin(["store", "delete", root, "user/ann/Archive", "--tree"]);
    await bobbin(["store", "delete", root, "user/ann/Sent"]);
    const seen: unknown[] = [];
    for (const mode of [[], ["--mirror"], ["--two-way"], ["--mirror", "--allow-delete", "100"]]) {
      const args = ["replicate", "ann", "--from", a, "--to", b, "--json", ...mode];
      const [dry, run] = [await bobbin([...args, "-n"]), await bobbin(args)];
      const [plan, done] = [dry, run].map(({ stdout }) => jsonLines(stdout));
      const [planned, counted] = [plan, done].map((objects) => objects?.at(-1));
      const { differences, failures, left, braked } = planned ?? {};
      expect(counted).toMatchObject({ differences, failures, left, braked });
      const listed = plan?.filter(({ type, step }) => type === "step" && step !== "decide");
      expect(planned?.["steps"]).toBe(listed?.length);
      if (left === 0) expect(counted?.["steps"]).toBe(planned?.["steps"]);
      else expect([counted?.["steps"], planned?.["steps"]]).toEqual([0, left]);
      expect(dry.exit).toBe(run.exit);
      seen.push(run.exit);
    }
    expect(seen).toEqual([1, 77, 0, 0]);
  }, 60_000);

  test("--as onto somebody else is refused, onto the user himself it is nothing", async () => {
    const store = await newStore();
    const into = (user: string, ...more: readonly string[]) =>
      bobbin(["replicate", user, "--from", SPOOL, "--to", store, ...more]);
    const facts = async () => (await bobbin(["ls", store, "--json"])).stdout;
    expect((await into("bob", "--as", "zoe")).exit).toBe(0);
    expect((await into("ann")).exit).toBe(0);
    const before = await facts();
    for (const args of [
      ["bob", "--as", "zoe"],
      ["ann", "--as", "ann"],
      ["ann", "--as", "zoe"],
    ]) {
      const [user = "", ...as] = args;
      const [dry, run] = [await into(user, "-n", ...as), await into(user, ...as)];
      const exit = args[0] === "ann" && args[2] === "zoe" ? 77 : 0;
      expect([args, dry.exit, run.exit]).toEqual([args, exit, exit]);
      expect(await facts()).toBe(before);
    }
    expect((await into("ann", "--as", "zoe")).stderr).toContain("--into-existing");
    expect((await into("ann", "--as", "zoe", "--into-existing")).exit).toBe(1);
    expect(await facts()).not.toBe(before);
  }, 60_000);

  test("--mailbox brings only these, deletes no others, and finds a renamed one", async () => {
    const store = await newStore();
    const root = store.slice("store:".length);
    const into = (...args: readonly string[]) =>
      bobbin(["replicate", "--from", SPOOL, "--to", store, "--json", ...args]);
    const names = async () =>
      jsonLines((await bobbin(["ls", store, "ann", "--json"])).stdout).flatMap(
        ({ mailbox }) => mailbox ?? [],
      );
    const both = ["--mailbox", "user/ann/Archive", "--mailbox", "user.ann.Sent"];
    expect((await into(...both)).exit).toBe(0);
    expect(await names()).toEqual(["user/ann/Archive", "user/ann/Sent"]);
    expect((await into("ann", "--mirror", "--mailbox", "user/ann")).exit).toBe(0);
    expect(await names()).toHaveLength(3);
    await bobbin(["store", "rename", root, "user/ann/Sent", "user/ann/Away"]);
    expect((await into("--all", "--mailbox", "*/Sent")).exit).toBe(0);
    expect(await names()).toEqual(["user/ann", "user/ann/Archive", "user/ann/Sent"]);
    const below = await into("--all", "-n", "--mailbox", "user/%/Archive/*");
    const steps = jsonLines(below.stdout).filter(({ type }) => type === "step");
    expect(steps.length).toBeGreaterThan(0);
    expect(steps.every(({ mailbox }) => /^user\/\w+\/Archive\//.test(`${mailbox}`))).toBe(true);
    for (const [exit, ...args] of [
      [66, "--mailbox", "user/ann/Nothing"],
      [66, "--mailbox", "user/ann", "--mailbox", "user/ann/Nothing"],
      [64, "--mailbox", "user/*/Sent"],
      [64, "ann", "--two-way", "--mailbox", "user/ann"],
    ] as const) {
      expect([args, (await into(...args)).exit]).toEqual([args, exit]);
    }
  }, 60_000);

  test("--all lists what only B has; one braked of many makes the exit code 77", async () => {
    const [a, b] = [await newStore(), await newStore()];
    expect((await bobbin(["replicate", "--all", "--from", SPOOL, "--to", b])).exit).toBe(0);
    expect((await bobbin(["replicate", "bob", "--from", SPOOL, "--to", a])).exit).toBe(0);
    const args = ["replicate", "--all", "--from", a, "--to", b, "--json"];
    for (const more of [["-n"], []]) {
      const { exit, stdout } = await bobbin([...args, ...more]);
      const users = jsonLines(stdout).filter(({ type }) => type === "user");
      expect([exit, users.map((one) => one["user"] ?? one["toplevel"]).sort()]).toEqual([
        1,
        ["ann", "dan", "shared"],
      ]);
    }
    for (const more of [["-n"], []]) {
      const { exit, stdout } = await bobbin([...args, "--mirror", ...more]);
      expect([exit, jsonLines(stdout).at(-1)]).toMatchObject([77, { braked: 3, users: 4 }]);
    }
  }, 60_000);

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s ends a run with true counts",
    async (signal) => {
      const store = await newStore();
      const args = ["replicate", "ann", "--from", SPOOL, "--to", store, "--json"];
      const child = Bun.spawn([bobbinPath(), ...args, "--rate", "10KB"], { stdout: "pipe" });
      let stdout = "";
      let isTold = false; // a second signal would end it without a word
      for await (const bytes of child.stdout) {
        stdout += Buffer.from(bytes).toString();
        if (isTold || (stdout.match(/"type":"step"/g)?.length ?? 0) < 3) continue;
        child.kill(signal);
        isTold = true;
      }
      const exit = signal === "SIGINT" ? 130 : 143;
      expect(await child.exited).toBe(exit);
      const { steps = 0, left = 0, ...summary } = jsonLines(stdout).at(-1) ?? {};
      expect([steps, left, summary]).toEqual([
        ...[expect.any(Number), expect.any(Number)],
        expect.objectContaining({ exit, failedUsers: 1, failures: 0 }),
      ]);
      const rest = jsonLines((await bobbin([...args, "-n"])).stdout).at(-1);
      expect(rest).toMatchObject({ steps: left });
      const all = jsonLines((await bobbin([...args])).stdout).at(-1);
      expect(all).toMatchObject({ steps: left, exit: 0 });
      expect(Number(steps)).toBeGreaterThan(0);
    },
    60_000,
  );

  test("a dry run changes no byte of either side; --check says that steps remain", async () => {
    const store = await newStore();
    const root = store.slice("store:".length);
    const args = ["replicate", "ann", "--from", SPOOL, "--to", store];
    expect((await bobbin(["replicate", "bob", ...args.slice(2)])).exit).toBe(0);
    const before = [treeState(SPOOL), treeState(root)];
    const dry = await bobbin([...args, "-n", "--json"]);
    expect(dry.exit).toBe(0);
    expect((await bobbin([...args, "--check"])).exit).toBe(1);
    expect([treeState(SPOOL), treeState(root)]).toEqual(before);
    const done = await bobbin([...args, "--json"]);
    const stepsOf = (stdout: string): unknown[] =>
      jsonLines(stdout).filter(({ type }) => type === "step");
    expect(stepsOf(done.stdout)).toEqual(stepsOf(dry.stdout));
    expect(stepsOf(done.stdout).length).toBeGreaterThan(10);
    expect((await bobbin([...args, "--check"])).exit).toBe(0);
  }, 60_000);

  test("what only B has is listed; --mirror brakes with 77, and deletes when allowed", async () => {
    const [small, large] = [await newStore(), await newStore()];
    await bobbin(["replicate", "bob", "--from", SPOOL, "--to", small]);
    await bobbin(["replicate", "bob", "--from", SPOOL, "--to", large]);
    await bobbin(["replicate", "ann", "--from", SPOOL, "--to", large]);
    const all = ["--from", small, "--to", large];
    const merge = await bobbin(["replicate", "ann", "bob", ...all]);
    expect([merge.exit, merge.stdout]).toEqual([1, expect.stringContaining("only the target has")]);
    const brake = await bobbin(["replicate", "--all", "--mirror", ...all]);
    expect(brake.exit).toBe(77);
    expect(brake.stderr).toContain("User ann: ann would be deleted, with 14 mailboxes");
    const alone = await bobbin(["replicate", "ann", "--mirror", ...all]);
    expect([alone.exit, alone.stderr]).toEqual([77, expect.stringContaining("--allow-delete")]);
    const dry = await bobbin(["replicate", "ann", "--mirror", "-n", ...all]);
    expect([dry.exit, dry.stdout]).toEqual([77, expect.stringContaining("ann: delete user ann")]);
    const allowed = await bobbin([
      "replicate",
      "--all",
      "--mirror",
      "--allow-delete",
      "100",
      ...all,
    ]);
    expect(allowed.exit).toBe(0);
    expect((await bobbin(["diff", small, large])).exit).toBe(0);
  }, 60_000);

  test("--two-way makes both sides the same, says what was decided, and is done", async () => {
    const [a, b] = [await newStore(), await newStore()];
    for (const store of [a, b]) await bobbin(["replicate", "ann", "--from", SPOOL, "--to", store]);
    await bobbin(["replicate", "bob", "--from", SPOOL, "--to", b]);
    const rename = ["store", "rename", a, "user/ann/Sent", "user/ann/Posted"];
    expect((await bobbin(rename)).exit).toBe(0);
    const args = ["replicate", "--all", "--two-way", "--from", a, "--to", b];
    const before = [a, b].map((store) => treeState(store.slice("store:".length)));
    const dry = await bobbin([...args, "--check", "--json"]);
    expect(dry.exit).toBe(1);
    expect([a, b].map((store) => treeState(store.slice("store:".length)))).toEqual(before);
    const words = await bobbin([...args, "-n"]);
    expect(words.stdout).toContain("ann: at B: rename user/ann/Sent to user/ann/Posted\n");
    expect(words.stdout).toContain("bob: at A: create user/bob");
    const decided = /^ann: decided: mailbox user\/ann\/Posted: (.*)$/m.exec(words.stdout)?.[1];
    expect(decided).toMatch(/A's is kept, which changed it last \(modseq \d+ and \d+\)$/);
    const done = await bobbin([...args, "--json"]);
    expect([done.exit, jsonLines(done.stdout).slice(0, -1)]).toEqual([
      0,
      expect.arrayContaining([
        expect.objectContaining({ type: "step", at: "B", step: "rename" }),
        expect.objectContaining({ type: "step", step: "decide", kind: "mailbox" }),
      ]),
    ]);
    expect((await bobbin([...args, "--check"])).exit).toBe(0);
    expect((await bobbin(["diff", a, b, "--deep"])).exit).toBe(0);
    for (const store of [a, b]) expect((await bobbin(["fsck", store])).exit).toBe(0);
  }, 60_000);

  test("--as brings a user under another name, and the second run has nothing to do", async () => {
    const store = await newStore();
    const args = ["replicate", "bob", "--as", "carl", "--from", SPOOL, "--to", store];
    expect((await bobbin(args)).exit).toBe(0);
    expect((await bobbin(["ls", store, "carl"])).stdout).toContain("user/carl");
    expect((await bobbin([...args, "--check"])).exit).toBe(0);
    expect((await bobbin(["fsck", store])).exit).toBe(0);
  }, 60_000);

  test("--rate slows the run down, and --timeout ends it with what was brought kept", async () => {
    const store = await newStore();
    const args = ["replicate", "ann", "--from", SPOOL, "--to", store];
    const slow = await bobbin([...args, "--rate", "20kB/s", "--timeout", "1"]);
    expect([slow.exit, slow.stderr]).toEqual([75, expect.stringContaining("the time is up")]);
    const started = performance.now();
    expect((await bobbin([...args, "--rate", "40kB/s"])).exit).toBe(0);
    expect(performance.now() - started).toBeGreaterThan(500);
    expect((await bobbin(["diff", SPOOL, store, "ann"])).exit).toBe(0);
  }, 60_000);

  test("a damaged mailbox fails alone, with exit code 2", async () => {
    const store = await newStore();
    const run = await bobbin(["replicate", "dan", "--from", DAMAGED, "--to", store, "--json"]);
    expect(run.exit).toBe(2);
    const lines = jsonLines(run.stdout);
    const errors = lines.filter(({ type }) => type === "error");
    expect(errors).toContainEqual(
      expect.objectContaining({
        ...{ name: "user.dan.20-header-flip", mailbox: "user/dan/20-header-flip" },
        ...{ internalname: "user.dan.20-header-flip", user: "dan", code: "bad_data" },
      }),
    );
    const rotten = { mailbox: "user/dan/13-guid-recrc", uid: 2 };
    expect(errors).toContainEqual(expect.objectContaining(rotten));
    expect(run.stderr).toContain("user/dan/");
    expect(run.stderr).not.toMatch(/Cannot .*user\.dan/);
    const summary = lines.at(-1);
    expect(summary).toMatchObject({ type: "summary", failures: errors.length, exit: 2 });
    expect((await bobbin(["ls", store, "dan"])).stdout).toContain("user/dan/00-clean");
    expect((await bobbin(["fsck", store])).exit).toBe(0);
  }, 60_000);

  test("a setting of all users that cannot be read is named once, by diff and ls too", async () => {
    const [server, store] = [unpackFixture("cyrus-spools/uuid-paths"), await newStore()];
    const conf = join(server, "imapd.conf");
    writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", server));
    writeFileSync(join(server, "conf", "annotations.db"), "no database");
    const ends = ["--from", conf, "--to", store];
    for (const args of [
      ["replicate", "--all", ...ends, "-n"],
      ["replicate", "--all", ...ends],
      ["replicate", "--all", "--mirror", ...ends],
      ["diff", conf, store],
      ["ls", conf],
    ]) {
      const { exit, stderr } = await bobbin(args);
      expect([args[0], exit, stderr.match(/annotations\.db/g)?.length]).toEqual([args[0], 2, 1]);
    }
  }, 60_000);

  test("refuses what it cannot do with the exit code for it", async () => {
    const store = await newStore();
    const to = ["--from", SPOOL, "--to", store];
    for (const [exit, ...args] of [
      [64, "replicate", ...to],
      [64, "replicate", "ann", "--all", ...to],
      [64, "replicate", "ann", "--from", store, "--to", SPOOL],
      [64, "replicate", "ann", ...to, "--allow-delete", "101"],
      [64, "replicate", "ann", ...to, "--rate", "fast"],
      [64, "replicate", "ann", "bob", ...to, "--as", "carl"],
      [64, "replicate", "ann", "--two-way", ...to],
      [64, "replicate", "ann", "--two-way", "-n", "--from", store, "--to", SPOOL],
      [64, "replicate", "ann", "--two-way", "--from", store, "--to", "dump:-"],
      [64, "replicate", "ann", "--two-way", "--mirror", "--from", store, "--to", store],
      [64, "replicate", "ann", "--two-way", "--as", "carl", "--from", store, "--to", store],
      [66, "replicate", "nobody", "--two-way", "--from", store, "--to", store],
      [66, "replicate", "nobody", ...to],
      [66, "replicate", "ann", "--from", SPOOL, "--to", "store:/does/not/exist"],
      [66, "diff", SPOOL, store, "nobody"],
      [69, "replicate", "ann", "--from", SPOOL, "--to", "sync://admin@127.0.0.1:1"],
    ] as const) {
      expect([args, (await bobbin([...args], PASSWORD)).exit]).toEqual([args, exit]);
    }
  }, 60_000);

  test("a run that is killed at any time converges when it is run again", async () => {
    const random = randomOf(20260101);
    for (let round = 0; round < (isLong ? 200 : 4); round++) {
      const store = await newStore();
      const args = ["replicate", "ann", "bob", "--from", SPOOL, "--to", store];
      const child = Bun.spawn([bobbinPath(), ...args], { stdout: "ignore", stderr: "ignore" });
      await Bun.sleep(60 + random.below(500));
      child.kill("SIGKILL");
      await child.exited;
      expect((await bobbin(args)).exit).toBe(0);
      expect((await bobbin(["diff", SPOOL, store, "ann", "bob", "--deep"])).exit).toBe(0);
      expect((await bobbin(["fsck", store])).exit).toBe(0);
      rmSync(store.slice("store:".length), { recursive: true });
    }
  }, 1_800_000);
});

describe("bobbin replicate with a server that says nothing", () => {
  test("--timeout covers the opening of both places", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const [silent, store] = [`sync://admin@127.0.0.1:${address.port}`, await newStore()];
    for (const args of [
      ["ann", "--from", silent, "--to", store],
      ["ann", "--from", SPOOL, "--to", silent],
      ["ann", "--from", SPOOL, "--to", silent, "-n"],
      ["--all", "--two-way", "--from", store, "--to", silent],
    ]) {
      const { exit, stderr } = await bobbin(["replicate", "--timeout", "1", ...args], PASSWORD);
      const said = expect.stringContaining(`Cannot open ${silent}: the time is up`);
      expect([exit, stderr]).toEqual([75, said]);
    }
    server.close();
  }, 60_000);
});

describe("bobbin replicate to a dump", () => {
  test("a dry run makes none; the run after a killed one makes it whole", async () => {
    const path = join(tempDir("dump"), "ann.dlist");
    const args = ["replicate", "ann", "--from", SPOOL, "--to", `dump:${path}`];
    const dry = await bobbin([...args, "-n"]);
    expect([dry.exit, dry.stdout]).toEqual([0, expect.stringContaining("ann: create user/ann")]);
    expect((await bobbin([...args.slice(0, -1), "dump:-", "--check", "--json"])).exit).toBe(1);
    expect(readdirSync(dirname(path))).toEqual([]);
    const slow = [bobbinPath(), ...args, "--rate", "10kB/s"];
    const child = Bun.spawn(slow, { stdout: "ignore", stderr: "ignore" });
    await until("a dump begun", () => readdirSync(dirname(path)).length > 0);
    child.kill("SIGKILL");
    await child.exited;
    expect(readdirSync(dirname(path))).toEqual(["ann.dlist.part"]);
    expect((await bobbin(args)).exit).toBe(0);
    expect(readdirSync(dirname(path))).toEqual(["ann.dlist"]);
    expect((await bobbin(["diff", SPOOL, `dump:${path}`, "ann"])).exit).toBe(0);
  }, 60_000);

  test("replaces an earlier dump when everybody was brought, and no other file", async () => {
    const path = join(tempDir("dump"), "d.dlist");
    const dump = (...args: readonly string[]) =>
      bobbin(["replicate", "--from", SPOOL, "--to", `dump:${path}`, ...args]);
    const users = async () => (await bobbin(["ls", `dump:${path}`])).stdout.match(/^[a-z]+/gm);
    writeFileSync(path, ""); // as mktemp makes it
    expect((await dump("ann")).exit).toBe(0);
    expect(await users()).toEqual(["ann"]);
    expect((await dump("bob", "-n")).exit).toBe(0);
    const failed = await dump("bob", "nobody");
    expect([failed.exit, failed.stderr]).toEqual([2, expect.stringContaining("stays as it was")]);
    expect(await users()).toEqual(["ann"]);
    expect((await dump("bob")).exit).toBe(0);
    expect(await users()).toEqual(["bob"]);
    writeFileSync(path, "From: somebody\r\n\r\n");
    for (const more of [[], ["-n"]]) expect((await dump("ann", ...more)).exit).toBe(73);
    rmSync(path);
    symlinkSync("/dev/full", path);
    expect((await dump("ann")).exit).toBe(73);
    expect(readdirSync(dirname(path))).toEqual(["d.dlist"]);
  }, 60_000);
});

describe("bobbin replicate to a sync server", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  test("brings users there and back again, and compares them", async () => {
    const peer = `sync://admin@127.0.0.1:${server.port}`;
    const there = ["replicate", "ann", "bob", "--from", SPOOL, "--to", peer];
    const first = await bobbin(there, PASSWORD);
    expect([first.exit, first.stderr]).toEqual([0, expect.not.stringContaining("bobbin:")]);
    const again = await bobbin([...there, "--json"], PASSWORD);
    expect(jsonLines(again.stdout).at(-1)).toMatchObject({ steps: 0, messages: 0, exit: 0 });
    const store = await newStore();
    const back = ["replicate", "ann", "bob", "--from", peer, "--to", store];
    expect((await bobbin(back, PASSWORD)).exit).toBe(0);
    expect((await bobbin(["diff", SPOOL, peer, "ann", "bob", "--deep"], PASSWORD)).exit).toBe(0);
    expect((await bobbin(["diff", SPOOL, store, "ann", "bob", "--deep"])).exit).toBe(0);
  }, 60_000);

  test("lists what the account may touch, and brings all of it", async () => {
    const at = (account: string) => `sync://${account}@127.0.0.1:${server.port}`;
    const fill = ["replicate", "ann", "--as", "anne", "--from", SPOOL, "--to", at("admin")];
    expect((await bobbin(fill, PASSWORD)).exit).toBe(0);
    const lists = ["replicate", "shared", "--shared", "--from", SPOOL, "--to", at("admin")];
    expect((await bobbin(lists, PASSWORD)).exit).toBe(0);
    for (const [account, owners] of [
      ["anne", ["anne"]],
      ["lists", ["shared"]],
      ["admin", ["ann", "anne", "bob", "shared"]],
    ] as const) {
      const store = await newStore();
      const all = ["replicate", "--all", "--from", at(account), "--to", store];
      expect((await bobbin(all, PASSWORD)).exit).toBe(0);
      for (const place of [store, at(account)]) {
        const { stdout } = await bobbin(["ls", place, "--json"], PASSWORD);
        const listed = jsonLines(stdout).flatMap(({ type, user, toplevel }) =>
          type === "summary" ? [] : [user ?? toplevel],
        );
        expect([account, listed.sort()]).toEqual([account, [...owners]]);
      }
      expect((await bobbin(["diff", at(account), store], PASSWORD)).exit).toBe(0);
    }
  }, 120_000);
});
