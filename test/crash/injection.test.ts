/**
 * Every command against calls that fail, one at a time: a disk, a limit or a permission is never a
 * bug of Bobbin's. A sample of calls and errors by default; in the long run each error at the first
 * of all calls that are alike.
 */
import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, bobbinPath, listeningPorts } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { has } from "../support/needs.ts";
import { randomOf } from "../support/spool/random.ts";
import { tempDir } from "../support/temp_dir.ts";
import {
  type Ended,
  ERRNOS,
  endOf,
  endTraced,
  type FileCall,
  fileCallsOf,
  type Runner,
  runToEnd,
  runWith,
  startCommand,
} from "./injection.ts";

const { BOBBIN_TEST_SIZE } = process.env;
const isLong = BOBBIN_TEST_SIZE === "long";

/** Runs of each command in the short run. */
const SAMPLE = 3;
const SEED = 20261130;

/** What a command may end with when a file call fails: never a bug, a signal, or no end at all. */
const GOOD_EXITS: ReadonlySet<number | undefined> = new Set([
  ...[0, 1, 2, 3, 64, 65, 66, 69, 73, 74, 75, 77, 78],
]);

/** What it ends with when none fails. */
const GOOD_ENDS: ReadonlySet<number | undefined> = new Set([0, 1]);

/** A server, stores and a dump below one folder; each command writes only below `work`. */
interface Stage {
  readonly root: string;
  readonly conf: string;
  readonly spool: string;
  /** Stores with and without the user. */
  readonly full: string;
  readonly empty: string;
  /** Backups of the user. */
  readonly archives: string;
  readonly dump: string;
  readonly password: string;
  /** Accounts of a server: `me` may touch everything. */
  readonly users: string;
  readonly work: string;
}

/** What lies in `work` before a command that writes: a store, backups, or nothing. */
type Before = "full" | "empty" | "archives" | "nothing" | "unused";

type Args = readonly string[];
type Command = readonly [
  name: string,
  before: Before,
  args: (stage: Stage) => Args,
  /** Commands that end with 0 where this one has, whatever has failed meanwhile. */
  proof?: (stage: Stage) => readonly Args[],
];

/** Backs up one user of a server. */
function backUp(conf: string, work: string): Args {
  return ["backup", "run", "bob", "--from", conf, "--to", join(work, "backup")];
}

const COMMANDS: readonly Command[] = [
  ["fsck of a server", "unused", ({ conf }) => ["fsck", conf, "--user", "bob"]],
  ["fsck of a spool", "unused", ({ spool }) => ["fsck", spool, "--user", "bob"]],
  ["fsck of a store", "unused", ({ full }) => ["fsck", full]],
  ["ls of a server", "unused", ({ conf }) => ["ls", conf, "bob"]],
  ["ls of a spool", "unused", ({ spool }) => ["ls", spool, "bob"]],
  ["ls of a mailbox in a store", "unused", ({ full }) => ["ls", full, "bob", "INBOX"]],
  ["ls of a dump", "unused", ({ dump }) => ["ls", `dump:${dump}`]],
  ["cat from a store", "unused", ({ full }) => ["cat", full, "user/bob/1"]],
  ["cat from a server", "unused", ({ conf }) => ["cat", conf, "user/bob/1"]],
  ["diff", "unused", ({ conf, full }) => ["diff", conf, full, "bob"]],
  [
    "replicate",
    "empty",
    ({ conf, work }) => replicate(conf, work),
    ({ conf, work }) => [
      ["diff", "--deep", conf, work, "bob"],
      ["fsck", work],
    ],
  ],
  [
    "replicate to a dump",
    "nothing",
    ({ full, work }) => replicate(full, `dump:${work}/dump`),
    ({ full, work }) => [["diff", "--deep", full, `dump:${work}/dump`, "bob"]],
  ],
  [
    "replicate from a dump",
    "empty",
    ({ dump, work }) => replicate(`dump:${dump}`, work),
    ({ dump, work }) => [
      ["diff", "--deep", `dump:${dump}`, work, "bob"],
      ["fsck", work],
    ],
  ],
  [
    "replicate both ways",
    "full",
    ({ full, work }) => [...replicate(full, work), "--two-way"],
    ({ full, work }) => [
      ["diff", "--deep", full, work, "bob"],
      ["fsck", work],
    ],
  ],
  [
    "replicate that deletes",
    "full",
    ({ empty, work }) => [...replicate(empty, work), "--mirror", "--allow-delete", "100"],
    ({ work }) => [
      ["fsck", work],
      ["ls", work, "ann"],
    ],
  ],
  [
    "backup run",
    "nothing",
    ({ conf, work }) => backUp(conf, work),
    // The archive is whole: nothing is left to do.
    ({ conf, work }) => [[...backUp(conf, work), "--quiet"]],
  ],
  ["backup list", "unused", ({ archives }) => ["backup", "list", archives]],
  ["backup verify", "unused", ({ archives }) => ["backup", "verify", archives]],
  [
    "backup compact",
    "archives",
    ({ work }) => ["backup", "compact", "--force", work],
    ({ conf, work }) => [
      ["diff", "--deep", conf, `backup:${work}`, "bob"],
      ["backup", "verify", work],
    ],
  ],
  [
    "backup rebuild",
    "archives",
    ({ work }) => ["backup", "rebuild", work],
    ({ conf, work }) => [
      ["diff", "--deep", conf, `backup:${work}`, "bob"],
      ["backup", "verify", work],
    ],
  ],
  [
    "backup restore",
    "empty",
    ({ archives, work }) => ["backup", "restore", join(archives, "b/bob"), "--to", work],
    ({ work }) => [["fsck", work]],
  ],
  ["dlist", "unused", ({ dump }) => ["dlist", dump]],
  [
    "store init",
    "nothing",
    ({ work }) => ["store", "init", join(work, "new")],
    ({ work }) => [["fsck", join(work, "new")]],
  ],
  ["store info", "unused", ({ full }) => ["store", "info", full]],
  [
    "store rename",
    "full",
    ({ work }) => ["store", "rename", work, "user/ann/Sent", "user/ann/Old"],
    ({ work }) => [
      ["ls", work, "ann", "Old"],
      ["fsck", work],
    ],
  ],
  [
    "store delete",
    "full",
    ({ work }) => ["store", "delete", work, "user/bob"],
    ({ work }) => [["fsck", work]],
  ],
  [
    "store gc",
    "full",
    ({ work }) => ["store", "gc", work],
    ({ full, work }) => [
      ["diff", "--deep", full, work],
      ["fsck", work],
    ],
  ],
  [
    "store reconstruct",
    "full",
    ({ work }) => ["store", "reconstruct", work],
    ({ full, work }) => [
      ["diff", "--deep", full, work],
      ["fsck", work],
    ],
  ],
  [
    "passwd",
    "nothing",
    ({ work, password }) => [
      ...["passwd", "--users-file", join(work, "users"), "--allow", "*"],
      ...["--password-file", password, "ann"],
    ],
  ],
];

function replicate(from: string, to: string, ...users: string[]): Args {
  return ["replicate", ...(users.length > 0 ? users : ["bob"]), "--from", from, "--to", to];
}

async function makeStage(): Promise<Stage> {
  const root = tempDir("injection");
  const at = (name: string): string => join(root, name);
  cpSync(unpackFixture("cyrus-spools/legacy-paths"), at("server"), { recursive: true });
  const conf = join(at("server"), "imapd.conf");
  const text = readFileSync(conf, "utf8").replaceAll("@DIR@", at("server"));
  writeFileSync(conf, text.replace(/^cyrus_user: .*$/m, "cyrus_user: root"));
  writeFileSync(at("password"), "secret\n", { mode: 0o600 });
  for (const args of [
    ["store", "init", at("full")],
    ["store", "init", at("empty")],
    replicate(conf, at("full"), "bob", "ann"),
    replicate(conf, `dump:${at("dump")}`),
    ["backup", "run", "bob", "--from", conf, "--to", at("archives")],
    [
      "passwd",
      "--users-file",
      at("users"),
      "--allow",
      "*",
      "--password-file",
      at("password"),
      "me",
    ],
  ]) {
    expect(await bobbin(args)).toMatchObject({ exit: 0, stderr: expect.any(String) });
  }
  return {
    ...{ root, conf, spool: join(at("server"), "spool"), full: at("full"), empty: at("empty") },
    ...{
      archives: at("archives"),
      dump: at("dump"),
      password: at("password"),
      users: at("users"),
      work: at("work"),
    },
  };
}

let stageOnce: Promise<Stage> | undefined;

/** The stage of all these tests, made once. */
function theStage(): Promise<Stage> {
  stageOnce ??= makeStage();
  return stageOnce;
}

function prepare(before: Before, stage: Stage): void {
  if (before === "unused") return;
  rmSync(stage.work, { recursive: true, force: true });
  if (before === "nothing") mkdirSync(stage.work);
  else cpSync(stage[before], stage.work, { recursive: true });
}

interface TryOptions {
  /** Commands that end with 0 where a run ended as it does without a fault. */
  readonly proof?: readonly Args[];
  /** Runs at a time. */
  readonly atATime?: number;
}

interface Trial {
  readonly call: FileCall;
  readonly errno: string;
}

/**
 * Calls of one name for files of one kind are alike: the folder of the stage that they are in, and
 * the last part of the path, without what numbers, GUIDs and uniqueids it has.
 */
function kindOf({ text }: FileCall): string {
  const plain = text.replace(/=.*$/s, "").replace(/[0-9a-f]{8,}|[0-9a-z]{20,}|\d+/g, "#");
  const [, call, place, file] = /(\w+)\(.*?…\/([^/>"]+)(?:[^>"]*\/)?([^/>"]*)/.exec(plain) ?? [];
  return call === undefined ? plain : `${call} ${place} ${file}`;
}

/** The trials of a command: of calls that are alike, the first. */
function trialsOf(calls: readonly FileCall[], random: () => number): readonly Trial[] {
  const byKind = Map.groupBy(calls, kindOf);
  const all = [...byKind.values()].flatMap(([call]) =>
    call === undefined ? [] : ERRNOS.map((errno) => ({ call, errno })),
  );
  if (isLong) return all;
  return Array.from({ length: SAMPLE }, () => all[Math.floor(random() * all.length)]).filter(
    (trial) => trial !== undefined,
  );
}

/** Runs `bobbin serve` over `work`, pushes a user to it, if it listens, and ends it. */
async function serveAPush(under: readonly string[], stage: Stage): Promise<Ended> {
  const { work, users, password, conf } = stage;
  const command = [bobbinPath(), "--json", "serve", work, "--users-file", users];
  const server = startCommand([...under, ...command, "--listen", "127.0.0.1:0"]);
  const [port] = await listeningPorts(server);
  const log = new Response(server.stderr).text();
  if (port !== undefined) {
    const push = replicate(conf, `sync://me@127.0.0.1:${port}`);
    const client = await bobbin([...push, "--password-file", password, "--timeout", "20"]);
    if (!GOOD_EXITS.has(client.exit))
      throw new Error(`the client: ${client.exit} ${client.stderr}`);
    endTraced(server.pid, under.length > 0);
  }
  return { exit: await endOf(server), stdout: "", stderr: await log };
}

/** Pushes a user to `bobbin serve`, which nothing fails for, and ends that. */
async function pushToServer(under: Args, stage: Stage): Promise<Ended> {
  const { work, users, password, conf } = stage;
  const serve = [bobbinPath(), "--json", "serve", work, "--users-file", users];
  const server = startCommand([...serve, "--listen", "127.0.0.1:0"]);
  const [port] = await listeningPorts(server);
  const push = replicate(conf, `sync://me@127.0.0.1:${port}`);
  const ended = await runToEnd([...under, bobbinPath(), ...push, "--password-file", password]);
  server.kill();
  await endOf(server);
  return { ...ended, stdout: ended.stdout.replaceAll(`:${port}`, "") };
}

/**
 * Errors that say what lies at a path: nothing, or a link. They are taken at their word, as absence
 * or as damage, so what a command leaves after them is not what it leaves else.
 */
const OF_PATHS: ReadonlySet<string> = new Set(["ENOTDIR", "ELOOP"]);

/** What neither the stderr of a command nor the log of a server may say. */
const BUG = /This is a bug|unexpected error|a promise inside Bobbin/;

describe.if(has("strace") && has("root"))("a file call that fails", () => {
  const random = randomOf(SEED).next;
  const made = theStage();

  /** What ended well although a call failed must have done all that it does else. */
  async function prove(what: string, proof: readonly Args[]): Promise<void> {
    for (const args of proof) {
      const { exit, stdout, stderr } = await bobbin(args);
      if (exit !== 0)
        throw new Error(`${what}: ${args.join(" ")}: exit ${exit}\n${stdout}${stderr}`);
    }
  }

  async function tryAll(name: string, run: Runner, options: TryOptions = {}): Promise<void> {
    const { proof = [], atATime = 1 } = options;
    const { root } = await made;
    const clean = await run([]);
    expect(GOOD_ENDS.has(clean.exit)).toBe(true);
    const { calls, ended } = await fileCallsOf(run, root);
    expect(calls.length).toBeGreaterThan(5);
    const isSteady = ended.stdout === clean.stdout;
    const exits = new Map<number | undefined, number>();
    const tryOne = async ({ call, errno }: Trial): Promise<void> => {
      const { exit, stdout, stderr, isHit } = await runWith(run, {
        ...{ call, effect: `error=${errno}`, root },
      });
      if (!isHit) return;
      exits.set(exit, (exits.get(exit) ?? 0) + 1);
      const isGood = GOOD_EXITS.has(exit) && !BUG.test(stderr);
      const what = `${errno} at ${call.text}: exit ${exit}`;
      if (!isGood) throw new Error(`${what}\n${stderr}`);
      if (exit !== clean.exit || OF_PATHS.has(errno)) return;
      if (isSteady && stdout !== clean.stdout) throw new Error(`${what}, and it says\n${stdout}`);
      await prove(what, proof);
    };
    const left = trialsOf(calls, random).values();
    const lane = async (): Promise<void> => {
      for (const trial of left) await tryOne(trial);
    };
    await Promise.all(Array.from({ length: atATime }, lane));
    const counted = [...exits].map(([exit, count]) => `${count} with exit ${exit}`).join(", ");
    if (isLong) console.log(`${name}: ${calls.length} calls; made to fail: ${counted}`);
    expect(exits.size).toBeGreaterThan(0);
  }

  for (const [name, before, args, proof] of COMMANDS) {
    test(`${name}: is never a bug, a signal or no end`, async () => {
      const stage = await made;
      const run: Runner = (under) => {
        prepare(before, stage);
        return runToEnd([...under, bobbinPath(), ...args(stage)]);
      };
      // Commands that write nothing do not stand in each other's way.
      const atATime = before === "unused" ? 2 : 1;
      await tryAll(name, run, { proof: proof?.(stage) ?? [], atATime });
    }, 7_200_000);
  }

  test("replicate to a server: is never a bug, a signal or no end", async () => {
    const stage = await made;
    const run: Runner = (under) => {
      prepare("empty", stage);
      return pushToServer(under, stage);
    };
    const proof = [
      ["diff", "--deep", stage.conf, stage.work, "bob"],
      ["fsck", stage.work],
    ];
    await tryAll("replicate to a server", run, { proof });
  }, 7_200_000);

  test("serve, to which a user is pushed: is never a bug, a signal or no end", async () => {
    const stage = await made;
    await tryAll("serve", (under) => {
      prepare("empty", stage);
      return serveAPush(under, stage);
    });
  }, 7_200_000);
});

describe("output that cannot be written", () => {
  const made = theStage();
  const plain: Command[] = [["--version"], ["--help"], ["fsck", "--help"]].map((args) => [
    args.join(" "),
    "unused",
    () => args,
  ]);
  for (const [name, before, argsOf] of [...plain, ...COMMANDS]) {
    test(`${name}: 74, and the reason`, async () => {
      const stage = await made;
      for (const form of before === "unused" ? [[], ["--json"]] : [[]]) {
        prepare(before, stage);
        const args = [...form, ...argsOf(stage)];
        const { exit, stdout } = await bobbin(args);
        if (exit === 64 || stdout === "") continue; // --json does not fit, or nothing is said
        expect(GOOD_ENDS.has(exit)).toBe(true);
        prepare(before, stage);
        const full = Bun.spawnSync(["sh", "-c", `"$0" "$@" >/dev/full`, bobbinPath(), ...args]);
        const said = full.stderr.toString().trimEnd().split("\n").at(-1);
        const why = "bobbin: Cannot write the output: ENOSPC (the disk is full)";
        expect([full.exitCode, said]).toEqual([74, why]);
      }
    }, 60_000);
  }
});
