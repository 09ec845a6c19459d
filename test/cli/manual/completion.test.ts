/** Tab in real shells, and what the program answers them. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin } from "../../support/cli.ts";
import { readOnlyFixture } from "../../support/fixtures.ts";
import { has } from "../../support/needs.ts";
import { programOf, type Shell, tabShell } from "../../support/tab.ts";
import { tempDir } from "../../support/temp_dir.ts";

let store = "";
let usersFile = "";

beforeAll(async () => {
  const folder = tempDir("completion");
  store = join(folder, "store");
  usersFile = join(folder, "accounts");
  const spool = join(readOnlyFixture("cyrus-spools/cyrus-3.10"), "spool");
  await bobbin(["store", "init", store]);
  const { exit } = await bobbin(["replicate", "--all", "--from", spool, "--to", store]);
  expect(exit).toBe(0);
  const other = ["cal", "--as", "cal@example.com", "--from", spool, "--to", store];
  expect((await bobbin(["replicate", ...other])).exit).toBe(0);
  await bobbin(["passwd", "--users-file", usersFile, "--allow", "*", "repl"], {
    env: { BOBBIN_PASSWORD: "x" },
  });
});

/** What may follow these words, of which the last is begun. */
async function candidates(...words: readonly string[]): Promise<readonly string[]> {
  const given = [...words.slice(0, -1), `:${words.at(-1)}`];
  const { exit, stdout, stderr } = await bobbin(["generate", "complete", "--", ...given]);
  expect({ words, exit, stderr }).toEqual({ words, exit: 0, stderr: "" });
  return stdout.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\t")[0] ?? ""]));
}

describe("bobbin generate complete", () => {
  test("tells commands, options, and the values of options", async () => {
    expect(await candidates("re")).toEqual(["replicate"]);
    expect(await candidates("store", "i")).toEqual(["init", "info"]);
    expect(await candidates("store", "init", "--f")).toEqual(["--flat"]);
    expect(await candidates("ls", "--js")).toEqual(["--json"]);
    expect(await candidates("fsck", "--engine", "w")).toEqual(["wasm"]);
    expect(await candidates("fsck", "--engine=w")).toEqual(["--engine=wasm"]);
    expect(await candidates("generate", "completion", "z")).toEqual(["zsh"]);
    expect(await candidates("help", "MS1")).toEqual(["MS10", "MS11", "MS12", "MS13"]);
    expect(await candidates("help", "store", "und")).toEqual(["undelete"]);
    expect(await candidates("ls", "--", "--js")).toEqual([]);
  });

  test("tells places of the kinds that a command takes, and paths", async () => {
    expect(await candidates("diff", "sy")).toEqual(["sync://", "syncs://"]);
    expect(await candidates("fsck", "sy")).toEqual([]);
    expect(await candidates("ls", `store:${store.slice(0, -2)}`)).toEqual([`store:${store}/`]);
    expect(await candidates("replicate", "--to", `${store}/b`)).toEqual([`${store}/bobbin.json`]);
  });

  test("tells users, mailboxes and accounts from where they lie", async () => {
    expect(await candidates("ls", store, "")).toEqual([
      ...["ann", "bob", "cal", "cal@example.com"],
    ]);
    expect(await candidates("replicate", "--from", `store:${store}`, "b")).toEqual(["bob"]);
    expect(await candidates("ls", "--shared", store, "")).toEqual(["shared"]);
    expect(await candidates("ls", store, "ann", "Tw")).toEqual(["Two Words"]);
    expect(await candidates("store", "delete", store, "user/bob/")).toEqual([
      ...["user/bob/Synced", "user/bob/Work"],
    ]);
    expect(await candidates("fsck", store, "--mailbox", "user/ann/Ar")).toEqual([
      ...["user/ann/Archive", "user/ann/Archive/2026"],
    ]);
    await bobbin(["store", "delete", store, "user/bob/Synced"]);
    expect(await candidates("store", "undelete", store, "user/b")).toEqual(["user/bob/Synced"]);
    expect(await candidates("cat", store, "user/cal/S")).toEqual(["user/cal/Sent/"]);
    expect(await candidates("passwd", "--users-file", usersFile, "")).toEqual(["repl"]);
  });

  test("says nothing where a place cannot be read, and asks no server", async () => {
    expect(await candidates("ls", "/nowhere", "")).toEqual([]);
    expect(await candidates("ls", "sync://ann@192.0.2.1", "")).toEqual([]);
    expect(await candidates("passwd", "--users-file", "/nowhere", "")).toEqual([]);
  });
});

const SHELLS = ["bash", "zsh", "zsh, sourced", "fish"] as const;

describe.each(SHELLS)("Tab in %s", (shell: Shell) => {
  const program = programOf(shell);
  const isThere = program === "bash" || has(program);

  test.skipIf(!isThere)("completes commands, options, places, users and mailboxes", async () => {
    const { run, shows, close } = await tabShell(shell);
    try {
      const begun = store.slice(0, -3);
      expect(await run("bobbin repl\t--two\tx")).toEqual(["replicate", "--two-way", "x"]);
      expect(await run("bobbin store und\t")).toEqual(["store", "undelete"]);
      expect(await run("bobbin fsck --engine w\t")).toEqual(["fsck", "--engine", "wasm"]);
      expect(await run(`bobbin ls ${begun}\t`)).toEqual(["ls", `${store}/`]);
      expect(await run(`bobbin ls store:${begun}\t bo\t`)).toEqual([
        "ls",
        `store:${store}/`,
        "bob",
      ]);
      expect(await run(`bobbin ls ${store} ann Tw\t`)).toEqual(["ls", store, "ann", "Two Words"]);
      expect(await run(`bobbin ls ${store} ann Entw\t`)).toEqual(["ls", store, "ann", "Entwürfe"]);
      expect(await run(`bobbin cat ${store} user/bob/W\t7`)).toEqual([
        ...["cat", store, "user/bob/Work/7"],
      ]);
      expect(await run(`bobbin ls ${store} cal@e\t`)).toEqual(["ls", store, "cal@example.com"]);
      await shows("bobbin store ", "reconstruct");
      await shows(`bobbin ls ${store} `, "cal");
    } finally {
      await close();
    }
  });
});
