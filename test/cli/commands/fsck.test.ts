/** `bobbin fsck`, the built binary: its exit codes, its words and its objects. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../../src/core/errors.ts";
import { bobbin, bobbinPath, jsonLines } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { has } from "../../support/needs.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";

const NOBODY = 65534;
const sound = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const damaged = join(unpackFixture("cyrus-spools/damaged"), "spool");
const CLEAN = "uuid/k/f/kf22otzf5j234px0uw69jzzw";

describe("exit codes of bobbin fsck", () => {
  test("0 for a sound spool, and nothing on stderr", async () => {
    const { exit, stdout, stderr } = await bobbin(["fsck", sound]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).toContain("53 mailboxes, 211 messages");
    expect(stdout).toContain("nothing wrong");
  });

  test("1 for damage, with what it is and where", async () => {
    const { exit, stdout, stderr } = await bobbin(["fsck", damaged]);
    expect({ exit, stderr }).toEqual({ exit: 1, stderr: "" });
    expect(stdout).toMatch(/^user\/dan\/10-record-flip \(.*\/spool\/uuid\/.*\)$/m);
    expect(stdout).toMatch(/critical {2}IX03 {2}uid 2 {2}CRC of record 2 .*\(internaldate\)/);
  });

  test("--min-severity says what counts: 1 for a remark, 0 when only worse counts", async () => {
    const orphan = join(damaged, "uuid/b/p/bpk137e5cyoavf6mj6vnb0lz");
    expect((await bobbin(["fsck", orphan])).exit).toBe(0);
    expect((await bobbin(["fsck", orphan, "--min-severity", "info"])).exit).toBe(1);
    const odd = join(damaged, "uuid/d/q/dqgu938uvmjmxe8kdev1qwm5");
    expect((await bobbin(["fsck", odd])).exit).toBe(1);
    expect((await bobbin(["fsck", odd, "--min-severity", "error"])).exit).toBe(0);
  });

  test.skipIf(!has("root"))(
    "2 when a folder could not be read, while the rest was checked",
    async () => {
      const spool = tempDir("partial");
      chmodSync(spool, 0o755);
      cpSync(join(sound, "uuid"), join(spool, "uuid"), { recursive: true });
      Bun.spawnSync(["chown", "-R", String(NOBODY), spool]);
      mkdirSync(join(spool, "closed"));
      chmodSync(join(spool, "closed"), 0);
      const { exit, stdout } = await bobbin(["fsck", spool], { uid: NOBODY });
      expect(exit).toBe(2);
      expect(stdout).toContain("folder cannot be read: EACCES");
      expect(stdout).toContain("53 mailboxes");
    },
  );

  test.skipIf(!has("root"))("2 for files that may not be read, each with the reason", async () => {
    const mailbox = join(tempDir("closed"), "mailbox");
    cpSync(join(damaged, CLEAN), mailbox, { recursive: true });
    Bun.spawnSync(["chown", "-R", String(NOBODY), mailbox, join(mailbox, "..")]);
    for (const file of ["2.", "cyrus.cache"]) chmodSync(join(mailbox, file), 0);
    const { exit, stdout } = await bobbin(["fsck", mailbox], { uid: NOBODY });
    expect(exit).toBe(2);
    expect(stdout).toContain("things could not be looked at");
    expect(stdout).toContain("message cannot be read: EACCES");
    expect(stdout).toContain("cyrus.cache cannot be read: EACCES");
  });

  const usage: readonly (readonly string[])[] = [
    ["fsck"],
    ["fsck", sound, "--engine", "md4"],
    ["fsck", sound, "--jobs", "0"],
    ["fsck", sound, "--min-severity", "awful"],
    ["fsck", sound, "--no-such-option"],
    ["fsck", "ftp:/somewhere"],
    ["no-such-command"],
  ];
  for (const args of usage) {
    test(`64 for ${args.map((arg) => arg.replace(sound, "SPOOL")).join(" ")}`, async () => {
      const { exit, stderr, stdout } = await bobbin(args);
      expect({ exit, stdout }).toEqual({ exit: 64, stdout: "" });
      expect(stderr).not.toBe("");
    });
  }

  test("66 for a place, a user or a mailbox that is not there", async () => {
    for (const args of [
      ["/no/such/place"],
      ["cyrus:/no/such/place"],
      [sound, "--user", "nobody"],
      [sound, "--mailbox", "user/ann/Nope"],
      [tempDir("empty")],
    ]) {
      const { exit, stderr } = await bobbin(["fsck", ...args]);
      expect({ args, exit }).toEqual({ args, exit: 66 });
      expect(stderr).toMatch(/^bobbin: Cannot find /);
    }
  });

  test("74 when nobody takes the output any more", async () => {
    const command = `{ "$0" fsck "$1"; echo $? >&2; } | true`;
    const child = Bun.spawnSync(["sh", "-c", command, bobbinPath(), damaged]);
    expect(child.stderr.toString().trim()).toBe("74");
  });

  test.skipIf(!has("root"))("77 for a place that may not be read", async () => {
    const closed = tempDir("refused");
    chmodSync(closed, 0o700);
    const { exit, stderr } = await bobbin(["fsck", closed], { uid: NOBODY });
    expect(exit).toBe(77);
    expect(stderr).toContain("EACCES");
  });

  const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

  for (const [signal, exit] of Object.entries(SIGNALS)) {
    test(`${exit} at ${signal}, with true counts and nothing left in TMPDIR`, async () => {
      const store = join(tempDir("stop"), "store");
      await bobbin(["store", "init", store]);
      await bobbin(["replicate", "ann", "dan", "--from", sound, "--to", store]);
      for (const place of [manyMailboxes(), store]) {
        const TMPDIR = tempDir("copies");
        const child = Bun.spawn([bobbinPath(), "fsck", place, "--json"], {
          ...({ stdout: "pipe", stderr: "pipe" } as const),
          env: { ...process.env, TMPDIR },
        });
        const isAtWork = () => hasOpen(child.pid, place) || readdirSync(TMPDIR).length > 0;
        await until("fsck is at work", isAtWork);
        // From then on it answers this signal, and is ended when it has said that it counts.
        let [said, isTold] = ["", false];
        const asking = setInterval(() => child.kill("SIGUSR1"), 2);
        for await (const bytes of child.stderr) {
          said += Buffer.from(bytes).toString();
          if (isTold || !/ of \d+ messages/.test(said)) continue;
          clearInterval(asking);
          child.kill(signal as keyof typeof SIGNALS); // a second one would end it at once
          isTold = true;
        }
        clearInterval(asking);
        const summary = jsonLines(await new Response(child.stdout).text()).at(-1);
        expect([place, await child.exited]).toEqual([place, exit]);
        expect(summary).toMatchObject({ type: "summary", exit });
        expect(said).toContain(`Ended by ${signal}`);
        const { stdout } = await bobbin(["fsck", place, "--json"]);
        const whole = jsonLines(stdout).at(-1);
        expect(Number(summary?.["mailboxes"])).toBeLessThan(Number(whole?.["mailboxes"]));
        expect(readdirSync(TMPDIR)).toEqual([]);
      }
    }, 60_000);
  }
});

/** A spool that fsck reads for a while. */
function manyMailboxes(): string {
  const spool = join(tempDir("many"), "spool");
  mkdirSync(spool);
  for (let copy = 0; copy < 4; copy++) {
    const folder = join(spool, `${copy}`);
    cpSync(damaged, folder, { recursive: true });
    // With these a folder would be taken for the root of another spool, which is not walked.
    for (const name of ["stage.", "sync."])
      rmSync(join(folder, name), { recursive: true, force: true });
  }
  return spool;
}

describe("output of bobbin fsck", () => {
  test("--json is one object a line, findings first and the summary last", async () => {
    const { exit, stdout } = await bobbin(["fsck", damaged, "--json"]);
    const objects = jsonLines(stdout);
    const summary = objects.at(-1);
    expect(exit).toBe(1);
    expect(summary).toMatchObject({ type: "summary", exit: 1, mailboxes: 53, unstable: 0 });
    const findings = objects.filter(({ type }) => type === "finding");
    expect(findings.length).toBe(objects.length - 1);
    expect(findings).toContainEqual({
      type: "finding",
      code: "MS04",
      severity: "critical",
      text: "message is not what its GUID says",
      user: "dan",
      mailbox: "user/dan/01-body-flip",
      internalname: "user.dan.01-body-flip",
      uid: 2,
      path: join(damaged, "uuid/d/i/dilvmua10tkjdpwtj8zsse7o/2."),
      field: "guid",
      expected: "31ea5d43d3595febc845eafcaec48104ff427bb0",
      found: "37e875ac8093ee95e557ffb445065a361d6b2846",
      repair: "restore; never rewrite the GUID",
    });
  });

  test("an error under --json is an object too, and the summary still comes last", async () => {
    const { stdout } = await bobbin(["fsck", "/no/such/place", "--json"]);
    expect(jsonLines(stdout).map(({ type }) => type)).toEqual(["error", "summary"]);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ exit: 66 });
  });

  test("--user and --mailbox choose, by external and internal names", async () => {
    const lines = async (...args: string[]) => (await bobbin(["fsck", sound, ...args])).stdout;
    expect(await lines("--user", "bob")).toStartWith("1 mailbox,");
    expect(await lines("--mailbox", "user/ann/Entwürfe")).toStartWith("1 mailbox,");
    expect(await lines("--mailbox", "user.ann.Entw&APw-rfe")).toStartWith("1 mailbox,");
    expect(await lines("--mailbox", "user/ann/Lists/renamed", "--mailbox", "user/bob")).toStartWith(
      "2 m",
    );
  });

  test("--quick opens no message and finds what the index alone says", async () => {
    const { stdout } = await bobbin(["fsck", damaged, "--quick", "--json"]);
    const codes = new Set(jsonLines(stdout).map(({ code }) => code));
    expect(codes.has("IX03")).toBe(true);
    expect(codes.has("MS01")).toBe(true);
    expect(codes.has("MS04")).toBe(false);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ messagesRead: 0, bytesRead: 0 });
  });

  test("threads and one thread, and both engines, find the same", async () => {
    const findings = async (...args: string[]) => {
      const { stdout } = await bobbin(["fsck", damaged, "--json", ...args]);
      const lines = jsonLines(stdout).slice(0, -1);
      return lines
        .filter(({ type }) => type === "finding")
        .map((one) => JSON.stringify(one))
        .sort();
    };
    const [alone, four, wasm] = await Promise.all([
      findings(),
      findings("--jobs", "4"),
      findings("--jobs", "2", "--engine", "wasm"),
    ]);
    expect([four, wasm]).toEqual([alone, alone]);
  });

  test("names from headers cannot move the cursor", async () => {
    const spool = tempDir("names");
    const mailbox = join(spool, "user", "evil\u001b[2J\u202e");
    cpSync(join(damaged, CLEAN), mailbox, { recursive: true });
    writeFileSync(join(mailbox, "cyrus.header"), "broken");
    const { stdout, stderr } = await bobbin(["fsck", spool]);
    expect(stdout + stderr).not.toMatch(/[\u001b\u202e]/);
    expect(stdout).toContain("evil\\u{1b}[2J\\u{202e}");
  });

  test("archive and meta partitions are looked into", async () => {
    const root = tempDir("partitions");
    const [data, meta] = [join(root, "data"), join(root, "meta")];
    cpSync(join(damaged, CLEAN), join(data, "user/dan"), { recursive: true });
    mkdirSync(join(meta, "user/dan"), { recursive: true });
    const files = ["cyrus.header", "cyrus.index", "cyrus.cache", "cyrus.annotations"];
    for (const file of files) {
      Bun.spawnSync(["mv", join(data, "user/dan", file), join(meta, "user/dan", file)]);
    }
    expect((await bobbin(["fsck", data])).exit).toBe(1);
    expect((await bobbin(["fsck", data, "--meta-partition", meta])).exit).toBe(0);
    const archive = join(root, "archive");
    mkdirSync(join(archive, "user/dan"), { recursive: true });
    Bun.spawnSync(["mv", join(data, "user/dan/2."), join(archive, "user/dan/2.")]);
    const found = await bobbin([
      ...["fsck", data, "--meta-partition", meta, "--archive-partition", archive],
    ]);
    // It is there, but its record does not say that it was archived.
    expect(found.stdout).toContain("MS10");
  });
});

describe("the binary", () => {
  test("--version names version and commit", async () => {
    const { exit, stdout } = await bobbin(["--version"]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+ \(([0-9a-f]{12}|unknown)\)\n$/);
  });

  test.skipIf(!has("root"))(
    "runs from an empty folder, under another name, as any user",
    async () => {
      const folder = tempDir("copied");
      chmodSync(folder, 0o755);
      cpSync(bobbinPath(), join(folder, "b"));
      chmodSync(join(folder, "b"), 0o755);
      const spool = join(folder, "spool");
      cpSync(damaged, spool, { recursive: true });
      Bun.spawnSync(["chown", "-R", String(NOBODY), spool]);
      const run = (...args: string[]) =>
        Bun.spawnSync(
          [
            "setpriv",
            `--reuid=${NOBODY}`,
            "--clear-groups",
            join(folder, "b"),
            "fsck",
            spool,
            ...args,
          ],
          { cwd: folder, env: {} },
        );
      const direct = run("--engine", "wasm");
      expect(direct.exitCode).toBe(1);
      expect(run("--jobs", "3").exitCode).toBe(1);
      expect(direct.stdout.toString()).toContain("53 mailboxes");
    },
    30_000, // uniqueids that two mailboxes share are looked at for 4 s, in each of the runs
  );

  test("is deaf to bunfig.toml and .env of the folder it is run in", async () => {
    const folder = tempDir("hijack");
    writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    writeFileSync(join(folder, "evil.ts"), 'console.log("hijacked");\n');
    writeFileSync(join(folder, ".env"), "NO_COLOR=1\nBOBBIN_HIJACKED=1\n");
    symlinkSync(".env", join(folder, ".env.local"));
    const { exit, stdout, stderr } = await bobbin(["fsck", sound], { cwd: folder });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).not.toContain("hijacked");
  });
});

/** True while the process has a file below `folder` open. */
function hasOpen(pid: number, folder: string): boolean {
  if (!existsSync(`/proc/${pid}/fd`)) throw new Error("fsck ended before it was told to");
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(folder);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false; // closed meanwhile
      throw error;
    }
  });
}
