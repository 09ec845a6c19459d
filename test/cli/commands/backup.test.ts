import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { has } from "../../support/needs.ts";
import { applyTo, newStorePlace, put } from "../../support/replication.ts";
import { record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

const spool = `cyrus:${join(unpackFixture("cyrus-spools/legacy-paths"), "spool")}`;

/** An account without rights. */
const NOBODY = 65_534;

async function backUp(root: string, ...more: string[]) {
  const run = ["backup", "run", "ann", "bob", "--from", spool, "--to", root];
  return bobbin(["--json", ...run, ...more]);
}

function summaryOf(stdout: string) {
  return jsonLines(stdout).at(-1);
}

test("an archive is made, listed, verified, compacted and rebuilt", async () => {
  const folder = tempDir("backups");
  const root = join(folder, "b");
  const metrics = join(folder, "bobbin.prom");
  const dry = await backUp(root, "--metrics-file", metrics, "--dry-run");
  expect([dry.exit, existsSync(root), existsSync(metrics)]).toEqual([0, false, false]);
  const first = await backUp(root, "--metrics-file", metrics);
  const stepsOf = (stdout: string) =>
    jsonLines(stdout)
      .filter(({ type }) => type === "step")
      .map((step) => JSON.stringify(step))
      .sort();
  expect(stepsOf(dry.stdout)).toEqual(stepsOf(first.stdout));
  expect([first.exit, summaryOf(first.stdout)]).toMatchObject([0, { users: 2, messages: 32 }]);
  expect(statSync(metrics).mode & 0o777).toBe(0o644);
  const told = readFileSync(metrics, "utf8");
  expect(told).toMatch(/^bobbin_backup_new_messages\{user="ann"\} 26$/m);
  expect(told).toMatch(/^bobbin_backup_findings\{user="bob"\} 0$/m);

  const again = await backUp(root, "--if-older", "20h");
  expect(summaryOf(again.stdout)).toMatchObject({ users: 0, notDue: 2, messages: 0, exit: 0 });
  const younger = await backUp(root, "--if-older", "0h");
  expect(summaryOf(younger.stdout)).toMatchObject({ users: 2, messages: 0, exit: 0 });

  const listed = jsonLines((await bobbin(["--json", "backup", "list", root])).stdout);
  expect(listed).toMatchObject([
    { type: "archive", user: "ann", path: join(root, "a/ann"), runs: 2, messages: 26 },
    { type: "archive", user: "bob", path: join(root, "b/bob"), runs: 2, messages: 6 },
    { type: "summary", archives: 2, runs: 4, messages: 32, failed: 0, exit: 0 },
  ]);
  const runs = jsonLines(
    (await bobbin(["--json", "backup", "list", "--runs", root, "ann"])).stdout,
  );
  expect(runs).toMatchObject([
    { type: "run", user: "ann", messages: 26, findings: 0 },
    { type: "run", user: "ann", messages: 0, findings: 0 },
    { type: "summary", runs: 2 },
  ]);

  const early = await bobbin(["ls", `backup:${root}@2020-01-01T10:00`]);
  expect([early.exit, early.stderr]).toEqual([66, expect.stringContaining("It begins at 20")]);
  const then = listed[0]?.["lastRun"];
  const asOf = await bobbin(["--json", "backup", "list", `${root}@${then}`, "ann"]);
  expect(jsonLines(asOf.stdout)[0]).toMatchObject({ user: "ann", messages: 26, runs: 2 });
  const before = await bobbin(["backup", "list", `${root}@2001-01-01`]);
  expect([before.exit, before.stderr]).toEqual([66, expect.stringContaining("no run had ended")]);

  const sound = await bobbin(["--json", "backup", "verify", root]);
  expect(summaryOf(sound.stdout)).toMatchObject({ messages: 32, messagesRead: 32, exit: 0 });
  const verify = ["--json", "backup", "verify", "--sample", "5%", "--seed", "7", root];
  const part = jsonLines((await bobbin([...verify, "ann", "nobody"])).stdout);
  expect(part).toMatchObject([
    { type: "error", code: "not_found" },
    { type: "sample", path: join(root, "a/ann"), members: [0], ofMembers: 1 },
    { messages: 26, sample: { percent: 5, seed: "7", members: 1, ofMembers: 1 }, exit: 2 },
  ]);
  const notBoth = await bobbin(["backup", "list", root, "ann", "--all"]);
  expect([notBoth.exit, notBoth.stderr]).toEqual([64, expect.stringContaining("name users")]);
  const planned = await bobbin(["--json", "backup", "compact", "-n", "--force", root]);
  expect(summaryOf(planned.stdout)).toMatchObject({ archives: 2, compacted: 0, exit: 0 });
  const compacted = await bobbin(["--json", "backup", "compact", "--force", root]);
  expect(summaryOf(compacted.stdout)).toMatchObject({ archives: 2, compacted: 2, exit: 0 });

  rmSync(join(root, "a/ann/backupstate.sqlite3"));
  const lost = await bobbin(["backup", "verify", root]);
  expect([lost.exit, lost.stdout]).toEqual([1, expect.stringContaining("BK02")]);
  expect((await bobbin(["backup", "rebuild", join(root, "a/ann")])).exit).toBe(0);
  expect((await bobbin(["backup", "verify", root])).exit).toBe(0);
  expect((await bobbin(["diff", "--deep", spool, `backup:${root}`, "ann", "bob"])).exit).toBe(0);
}, 60_000);

test("an archive that cannot be read is named, and the others are done", async () => {
  const root = join(tempDir("backups"), "b");
  await backUp(root);
  const folder = join(root, "a/ann");
  const [data = ""] = readdirSync(folder).filter((name) => name.startsWith("backupdata"));
  writeFileSync(join(folder, data), "no archive at all");
  const { exit, stdout, stderr } = await bobbin(["backup", "compact", "--force", root]);
  expect([exit, stdout, stderr]).toEqual([
    ...[2, expect.stringContaining("b/bob: 0 messages"), expect.stringContaining("a/ann")],
  ]);
  // The run mends it, and the file of metrics tells of what can be read.
  const metrics = join(root, "m.prom");
  expect((await backUp(root, "--metrics-file", join(root, "no", "m.prom"))).exit).toBe(73);
  await backUp(root, "--metrics-file", metrics);
  expect(readFileSync(metrics, "utf8")).toContain('{user="bob"}');
  const other = `backup:${join(root, "new")}`;
  expect((await bobbin(["replicate", "ann", "--from", spool, "--to", other])).exit).toBe(0);
  expect((await bobbin(["diff", "--deep", spool, other, "ann"])).exit).toBe(0);
  const part = await bobbin([
    ...["replicate", "--mailbox", "user/ann", "--from", spool, "--to", other],
  ]);
  expect([part.exit, part.stderr]).toEqual([64, expect.stringContaining("all of a user")]);
  const restored = await bobbin(["backup", "restore", spool, "ann", "--to", `backup:${root}`]);
  expect([restored.exit, restored.stderr]).toEqual([64, expect.stringContaining("backup run")]);
  const nothing = await bobbin(["backup", "list", tempDir("nothing")]);
  expect([nothing.exit, nothing.stderr]).toEqual([66, expect.stringContaining("Cannot find an")]);
}, 60_000);

test("mail that came and went between two runs is told", async () => {
  const source = newStorePlace();
  const root = join(tempDir("backups"), "b");
  const metrics = join(root, "m.prom");
  const run = ["backup", "run", "fred", "--from", source.locator, "--to", root];
  await put(source, "user.fred", [record(1)]);
  await put(source, "user.fred.Sub", [record(1), record(2)]);
  expect((await bobbin(run)).exit).toBe(0);
  await put(source, "user.fred", [record(1), record(4)]);
  await applyTo(source, { kind: "unmailbox", name: "user.fred.Sub" });
  await source.close();
  const { exit, stdout } = await bobbin(["--json", ...run, "--metrics-file", metrics]);
  const lines = jsonLines(stdout);
  expect(lines.filter(({ type }) => type === "gap")).toMatchObject([
    { user: "fred", internalname: "user.fred", lastUid: 1, messages: 2 },
    { user: "fred", internalname: "user.fred.Sub", lastUid: 2, highestmodseq: 3 },
  ]);
  expect([exit, lines.at(-1)]).toMatchObject([0, { gaps: 2, messages: 1 }]);
  expect(readFileSync(metrics, "utf8")).toMatch(/^bobbin_backup_gaps\{user="fred"\} 2$/m);
  const listed = await bobbin(["--json", "backup", "list", "--runs", root]);
  expect(jsonLines(listed.stdout)).toMatchObject([{ gaps: 0 }, { gaps: 2 }, { runs: 2 }]);
}, 30_000);

test("backups go to a folder of archives, and to nothing else", async () => {
  const root = join(tempDir("backups"), "b");
  await backUp(root);
  const others: [string, string][] = [
    ["store:b", "give the path of a folder"],
    ["maildir:b", "give the path of a folder"],
    ["", "empty"],
    [join(spool.slice("cyrus:".length), "a/user/ann"), "a mailbox of Cyrus lies there"],
    [join(root, "a/ann"), "name the folder of all"],
  ];
  for (const [to, words] of others) {
    const { exit, stderr } = await backUp(to);
    expect([to, exit, stderr]).toEqual([to, 64, expect.stringContaining(words)]);
  }
  const nobody = ["backup", "run", "nobody", "--from", spool, "--to"];
  expect((await bobbin([...nobody, root])).exit).toBe(66);
  expect((await bobbin([...nobody, `${root}/new`])).exit).toBe(66);
  expect(readdirSync(root).sort()).toEqual(["a", "b"]);
  const socket = join(tempDir("sockets"), "s");
  using _server = Bun.listen({ unix: socket, socket: { data: () => undefined } });
  const special = await backUp(root, "--metrics-file", socket);
  expect([special.exit, statSync(socket).isSocket()]).toEqual([73, true]);
}, 60_000);

test.skipIf(!has("root"))(
  "of a folder that may not be read, the archive keeps its copy",
  async () => {
    const folder = unpackFixture("cyrus-spools/legacy-paths");
    const [mail, root] = [join(folder, "spool"), join(folder, "b")];
    const closed = join(mail, "a/user/ann/Two Words");
    mkdirSync(root);
    expect(Bun.spawnSync(["chown", "-R", String(NOBODY), folder]).success).toBe(true);
    const run = ["backup", "run", "ann", "--from", `cyrus:${mail}`, "--to", root];
    expect((await bobbin(run, { uid: NOBODY })).exit).toBe(0);
    chmodSync(closed, 0);
    const { exit, stderr } = await bobbin(run, { uid: NOBODY });
    expect([exit, stderr]).toEqual([
      2,
      expect.stringMatching(/user\/ann\/Two Words: .* cannot be read: EACCES/),
    ]);
    chmodSync(closed, 0o700);
    expect((await bobbin(["diff", "--deep", mail, `backup:${root}`, "ann"])).exit).toBe(0);
  },
  60_000,
);

test("an archive that has lost its data file is named, and nobody is taken for gone", async () => {
  const root = join(tempDir("backups"), "b");
  await backUp(root);
  for (const name of readdirSync(join(root, "a/ann"))) {
    if (name.startsWith("backupdata")) rmSync(join(root, "a/ann", name));
  }
  const verified = await bobbin(["--json", "backup", "verify", root]);
  expect([verified.exit, jsonLines(verified.stdout)[0]]).toMatchObject([1, { code: "BK01" }]);
  const lost = "has lost its data file backupdata-";
  for (const args of [
    ["backup", "list", root],
    ["ls", `backup:${root}`],
    ["diff", spool, `backup:${root}`],
    ["backup", "run", "ann", "bob", "--from", spool, "--to", root],
    ["backup", "compact", "--force", root],
  ]) {
    const { exit, stderr } = await bobbin(args);
    expect([args[1], [2, 65].includes(exit), stderr]).toEqual([
      ...[args[1], true, expect.stringContaining(lost)],
    ]);
  }
}, 60_000);
