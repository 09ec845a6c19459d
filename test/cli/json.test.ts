/** `--json`: what a script may rely on, however a command ends. */

import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020";
import { anyLine, jsonSchema } from "../../src/cli/json/json_schema.ts";
import { LINES } from "../../src/cli/json/lines.ts";
import { JSON_LINES } from "../../src/cli/manual/json_lines.ts";
import { jsonLine } from "../../src/core/json.ts";
import { bobbin, bobbinPath, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { requireSummary } from "../support/json_schema.ts";
import { newStore } from "../support/new_store.ts";
import { fill } from "../support/store_fixture.ts";
import { tempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

const spool = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const damaged = join(unpackFixture("cyrus-spools/damaged"), "spool");

/** A store of one user whose catalogue somebody else is writing. */
function lockedStore(): { readonly root: string; readonly lock: Database } {
  const { root, store } = newStore();
  fill(store, "user.fred", 1);
  store.close();
  const lock = new Database(join(root, "user/f/fred/.catalogue.sqlite"));
  lock.run("BEGIN IMMEDIATE");
  return { root, lock };
}

// A server that takes connections and says nothing: whoever asks it waits.
let connections = 0;
const silent = createServer(() => {
  connections += 1;
});
const listening = new Promise<number>((resolve) =>
  silent.listen(0, "127.0.0.1", () => {
    const address = silent.address();
    resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
  }),
);
afterAll(() => silent.close());

/** True where a process has a file of this name open. */
function hasOpen(pid: number, name: string): boolean {
  return Bun.spawnSync(["ls", "-l", `/proc/${pid}/fd`])
    .stdout.toString()
    .includes(name);
}

/** True where a process has taken SIGINT and SIGTERM: from then on they end it with a summary. */
function hears(pid: number): boolean {
  const [, caught = "0"] =
    /^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  const wanted = (1n << 1n) | (1n << 14n); // signal n is bit n - 1
  return (BigInt(`0x${caught}`) & wanted) === wanted;
}

describe("a usage error", () => {
  test.each([
    [["fsck", "--nonsense", spool], "Unknown option '--nonsense'", "help fsck"],
    [["fsck", "--quik", spool], "Unknown option '--quik'", "Did you mean --quick?"],
    [["nonsense"], "Unknown command 'nonsense'", "`bobbin help`"],
    [["store"], "A command is missing", "help store"],
    [["ls"], "Missing required argument 'place'", "help ls"],
    [["fsck", "--jobs", "many", spool], "argument 'many' is invalid", "help fsck"],
    [["repl"], "Unknown command 'repl'", "Is replicate meant?"],
    [["store", "inti"], "Unknown command 'inti'", "Did you mean init?"],
    [["ls", ""], "Cannot take an empty <place>", "shell"],
  ] as const)(
    "%j is an object too, with its hint, and the summary comes",
    async (args, says, hint) => {
      const { exit, stdout, stderr } = await bobbin([...args, "--json"]);
      expect(exit).toBe(64);
      expect(jsonLines(stdout)).toEqual([
        {
          ...{ type: "error", code: "usage", text: expect.stringContaining(says) },
          hint: expect.stringContaining(hint),
        },
        expect.objectContaining({ type: "summary", exit: 64 }),
      ]);
      expect(stderr).toContain(says);
      expect(stderr).toContain(hint);
    },
  );
});

describe.each(["SIGINT", "SIGTERM"] as const)("%s", (signal) => {
  /** Ends a command when `isBegun`, and gives its last object. */
  async function ended(args: readonly string[], isBegun: (pid: number) => boolean) {
    const child = Bun.spawn([bobbinPath(), ...args, "--json"], {
      env: { ...process.env, BOBBIN_PASSWORD: "labpass" },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    await until(`${args.join(" ")} waits`, () => isBegun(child.pid));
    child.kill(signal);
    const stdout = await new Response(child.stdout).text();
    const exit = await child.exited;
    expect(exit).toBe(signal === "SIGINT" ? 130 : 143);
    const lines = jsonLines(stdout);
    requireSummary(lines, exit);
    return lines.at(-1);
  }

  test("ends a command that waits for a server with its summary", async () => {
    const place = `sync://a@127.0.0.1:${await listening}`;
    for (const [command = "", ...args] of [
      ["ls", place],
      ["diff", spool, place],
      ["replicate", "ann", "--from", spool, "--to", place],
      ["dlist", "talk", place],
    ]) {
      const before = connections;
      const last = await ended([command, ...args], () => connections > before);
      expect(String(last?.["command"])).toStartWith(command);
    }
  }, 60_000);

  test("ends a command that waits for its stdin with its summary", async () => {
    const account = ["--users-file", join(tempDir("users"), "users"), "--allow", "ann", "ann"];
    for (const args of [
      ["dlist", "-"],
      ["passwd", ...account, "--password-file", "-"],
      ["ls", spool, "--users-from", "-"],
      ["diff", "dump:-", spool],
    ]) {
      expect(await ended(args, hears)).toMatchObject({ command: args[0] });
    }
  }, 60_000);

  test("ends dlist of a file with what was printed until then", async () => {
    const path = join(tempDir("log"), "csync-1");
    const count = 20_000;
    writeFileSync(path, `---------- a\n\n${"<1795385626<GET META anne\n".repeat(count)}`);
    const last = await ended(["dlist", path], (pid) => hasOpen(pid, path));
    expect(last).toMatchObject({ command: "dlist", broken: 0 });
    expect(Number(last?.["lines"])).toBeLessThan(count);
  }, 60_000);

  test("ends cat, which has no summary, without a byte", async () => {
    const before = connections;
    const place = `sync://a@127.0.0.1:${await listening}`;
    const child = Bun.spawn([bobbinPath(), "cat", place, "ann/INBOX/1"], {
      env: { ...process.env, BOBBIN_PASSWORD: "labpass" },
      ...{ stdout: "pipe", stderr: "pipe" },
    });
    await until("cat has connected", () => connections > before);
    child.kill(signal);
    const said = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
    expect([...said, await child.exited]).toEqual(["", "", signal === "SIGINT" ? 130 : 143]);
  }, 60_000);

  test("ends a command that waits for a lock with its summary", async () => {
    const { root, lock } = lockedStore();
    for (const [args, counts] of [
      [["store", "gc", root], { poolFiles: 0, failed: 0 }],
      [["store", "reconstruct", root], { changed: 0, left: 0 }],
      [["store", "delete", root, "user/fred"], {}],
    ] as const) {
      expect(await ended(args, (pid) => hasOpen(pid, ".catalogue.sqlite"))).toMatchObject({
        command: args.slice(0, 2).join(" "),
        ...counts,
      });
    }
    lock.close();
  }, 60_000);
});

describe("bobbin generate json-schema", () => {
  test("is taken by a validator, which takes the same lines and refuses others", async () => {
    const { exit, stdout } = await bobbin(["generate", "json-schema"]);
    expect([exit, stdout]).toEqual([0, jsonSchema()]);
    const validate = new Ajv2020({ validateFormats: false, allowUnionTypes: true }).compile(
      JSON.parse(stdout),
    );
    const runs = [
      ["fsck", damaged],
      ["ls", spool],
      ["ls", spool, "ann"],
      ["ls", spool, "ann", "INBOX"],
      ["ls", spool, "nobody"],
      ["replicate", "ann", "-n", "--from", spool, "--to", newStore().root],
      ["replicate", "dan", "--from", damaged, "--to", newStore().root],
      ["diff", spool, damaged, "ann", "dan"],
      ["store", "info", newStore().root],
    ];
    const kinds = new Set<unknown>();
    for (const args of runs) {
      for (const line of jsonLines((await bobbin([...args, "--json"])).stdout)) {
        kinds.add(line["type"]);
        expect([line, validate(line)]).toEqual([line, true]);
        for (const wrong of [
          { ...line, unknown: 1 },
          { ...line, type: "unknown" },
          { ...line, [Object.keys(line)[1] ?? ""]: { of: "no such form" } },
        ]) {
          expect([wrong, validate(wrong), anyLine.safeParse(wrong).success]).toEqual([
            ...[wrong, false, false],
          ]);
        }
      }
    }
    expect([...kinds].sort()).toEqual([
      ...["difference", "error", "finding", "mailbox", "message", "shared", "step", "summary"],
      "user",
    ]);
  }, 60_000);

  test("has every kind that the manual lists, and no other", () => {
    const kinds = LINES.flatMap(({ shape }) => {
      const { type } = shape;
      return "options" in type ? type.options : [type.value];
    });
    expect([...new Set([...kinds, "summary"])].sort()).toEqual(Object.keys(JSON_LINES).sort());
  });

  test("keeps 64-bit numbers exact, and refuses what has lost bits", () => {
    const line = { type: "finding", code: "IX08", severity: "error", text: "t", repair: "r" };
    const takes = (found: unknown) => anyLine.safeParse({ ...line, found }).success;
    for (const exact of [2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n, -(2n ** 63n)]) {
      const [printed = {}] = jsonLines(jsonLine({ ...line, found: exact }));
      expect([BigInt(String(printed["found"])), takes(printed["found"])]).toEqual([exact, true]);
    }
  });
});

describe("errors that are alike", () => {
  test("are told three times and then counted, and each with -v and with --json", async () => {
    const users = Array.from({ length: 12 }, (_, at) => `missing${at}`);
    const run = (...more: string[]) =>
      bobbin(["diff", spool, damaged, ...users, "--no-progress", ...more]);
    const few = (await run()).stderr.split("\n").filter((line) => line.startsWith("bobbin: "));
    expect(few).toHaveLength(4);
    expect(few.at(-1)).toMatch(/^bobbin: 9 more like «.*missing0.*»: missing3, .* … \(-v tells/);
    const each = (await run("-v")).stderr.match(/^bobbin: User missing/gm);
    expect(each).toHaveLength(12);
    const objects = jsonLines((await run("--json")).stdout);
    expect(objects.filter(({ type }) => type === "error")).toHaveLength(12);
  });
});

describe("--quiet and --summary", () => {
  test("say what is wrong and no more, or the last line too", async () => {
    const said = async (...more: string[]) => {
      const to = newStore().root;
      const run = await bobbin(["replicate", "ann", "--from", spool, "--to", to, ...more]);
      return [run.exit, run.stdout + run.stderr];
    };
    expect(await said("--quiet")).toEqual([0, ""]);
    expect(await said("--summary")).toEqual([0, expect.stringMatching(/^1 user, .*\n$/)]);
    const { exit, stdout } = await bobbin(["fsck", damaged, "--quiet", "--user", "dan"]);
    expect([exit, stdout]).toEqual([1, expect.stringContaining("MS04")]);
    expect(stdout).not.toMatch(/ read, /);
  }, 60_000);
});
