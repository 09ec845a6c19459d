/** `bobbin passwd`, the built binary: what it asks, lists, changes and refuses. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, bobbinOnTerminal, jsonLines } from "../../support/cli.ts";
import { tempDir } from "../../support/temp_dir.ts";

const env = { BOBBIN_PASSWORD: "secret" };

interface Written {
  readonly name: string;
  readonly allow: readonly string[];
  readonly argon2id: string;
}

/** A users file with ann and repl, and `bobbin passwd` for it. */
async function usersFile() {
  const path = join(tempDir("passwd"), "users");
  const run = (...args: string[]) => bobbin(["passwd", "--users-file", path, ...args], { env });
  expect((await run("repl", "--allow", "*")).exit).toBe(0);
  expect((await run("ann", "--allow", "ann", "--allow", "shared")).exit).toBe(0);
  const read = (): Written[] => JSON.parse(readFileSync(path, "utf8")).accounts;
  return { path, run, read };
}

describe("bobbin passwd", () => {
  test("--list names accounts and what each may touch, and no hash", async () => {
    const { run, read } = await usersFile();
    const { exit, stdout } = await run("--list");
    expect([exit, stdout]).toEqual([0, "ACCOUNT  MAY TOUCH\nrepl     *\nann      ann shared\n"]);
    const json = await run("--list", "--json");
    expect(jsonLines(json.stdout).slice(0, 2)).toEqual([
      { type: "account", account: "repl", allow: ["*"] },
      { type: "account", account: "ann", allow: ["ann", "shared"] },
    ]);
    for (const { argon2id } of read()) expect(json.stdout).not.toContain(argon2id);
    expect((await run("--list", "ann")).exit).toBe(64);
  });

  test("--keep-password changes what an account may touch, and nothing else", async () => {
    const { run, read } = await usersFile();
    const [, before] = read();
    expect((await run("ann", "--keep-password", "--allow", "bob")).exit).toBe(0);
    expect(read()[1]).toEqual({ ...(before as Written), allow: ["bob"] });
    expect((await run("nobody", "--keep-password", "--allow", "bob")).exit).toBe(66);
    expect((await run("ann", "--keep-password")).exit).toBe(64);
    expect(read().map(({ name }) => name)).toEqual(["repl", "ann"]);
  });

  test.each([
    ["a*", "patterns match nobody"],
    ["?nn", "patterns match nobody"],
    ["user/ann", "it is a mailbox"],
    ["ann/Sent", "it is a mailbox"],
    ["fred^doe", "has a dot where"],
    [" ann", "begins or ends with a blank"],
    ["100%", 'the character "%" is not allowed'],
    ["@example.org", "no user is called so"],
    ["ann@", "no user is called so"],
  ])("refuses to allow %p, which would match nobody", async (word, why) => {
    const path = join(tempDir("passwd"), "users");
    const { exit, stderr } = await bobbin(["passwd", "x", "--users-file", path, "--allow", word]);
    expect([exit, stderr]).toEqual([64, expect.stringContaining(`Cannot allow «${word}»: `)]);
    expect(stderr).toContain(why);
  });

  test("takes the names that users have", async () => {
    const { run, read } = await usersFile();
    const names = ["fred.doe", "ann@example.org", "jörg", "o'neil", "user.ann"];
    const made = await run("x", ...names.flatMap((name) => ["--allow", name]));
    expect([made.exit, read()[2]?.allow]).toEqual([0, names]);
    expect(made.stderr).toContain("user.ann is a user of that name; ann is written so");
  });

  test.each([
    ["--delete", "--keep-password"],
    ["--list", "--delete"],
    ["--delete", "--allow=ann"],
    ["--password-file=x", "--keep-password"],
  ])("refuses %s with %s", async (one, other) => {
    const { run, read } = await usersFile();
    expect((await run("ann", one, other)).exit).toBe(64);
    expect(read()).toHaveLength(2);
  });

  test("a terminal is asked twice, and two passwords change nothing", async () => {
    const { path, read } = await usersFile();
    const typed = async (words: readonly string[]) => {
      const rest = [...words];
      const answer = (text: string) => (/: $/.test(text) ? `${rest.shift()}\r` : undefined);
      const args = ["passwd", "ann", "--users-file", path];
      return bobbinOnTerminal(args, { answer, env: { BOBBIN_PASSWORD: "" } });
    };
    const before = read();
    const interrupted = await bobbinOnTerminal(["passwd", "ann", "--users-file", path], {
      answer: (text) => (text.endsWith(": ") ? "thr\x03" : undefined),
      env: { BOBBIN_PASSWORD: "" },
    });
    expect([interrupted.exit, read()]).toEqual([130, before]);
    const different = await typed(["one", "two"]);
    expect([different.exit, read()]).toEqual([64, before]);
    expect(different.shown).toContain("are not the same");
    expect((await typed([""])).exit).toBe(64);
    const same = await typed(["three", "three"]);
    expect(same.exit).toBe(0);
    expect(same.shown).toMatch(/New password for ann: \s+The same again: /);
    expect(same.shown).not.toContain("three");
    expect(await Bun.password.verify("three", read()[1]?.argon2id ?? "")).toBe(true);
  });
});
