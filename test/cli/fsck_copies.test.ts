/** Copies and leftovers beside sound mailboxes: what is blamed, at which path, and what is not. */
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { tempDir } from "../support/temp_dir.ts";

interface Server {
  readonly folder: string;
  readonly conf: string;
}

function server(): Server {
  const folder = unpackFixture("cyrus-spools/legacy-paths");
  const conf = join(folder, "imapd.conf");
  writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", folder));
  return { folder, conf };
}

/** `DB05 critical /p2/b/user/bob/cyrus.header`, each once. */
async function found(folder: string, ...places: readonly string[]) {
  const { exit, stdout } = await bobbin(["--json", "fsck", ...places]);
  const lines = jsonLines(stdout);
  const findings = lines
    .filter(({ type, severity }) => type === "finding" && severity !== "info")
    .map(({ code, severity, path }) => `${code} ${severity} ${String(path).replace(folder, "")}`);
  return { exit, findings: [...new Set(findings)].sort(), mailboxes: lines.at(-1)?.["mailboxes"] };
}

function age(path: string): void {
  utimesSync(path, 1.7e9, 1.7e9);
}

describe.concurrent("copies of mailboxes", () => {
  for (const partition of ["a2", "z2"]) {
    test(`on partition ${partition} are blamed, and shown by their folder`, async () => {
      const { folder, conf } = server();
      const copy = join(folder, partition, "b/user/bob");
      mkdirSync(join(copy, ".."), { recursive: true });
      cpSync(join(folder, "spool/b/user/bob"), copy, { recursive: true, preserveTimestamps: true });
      rmSync(join(copy, "1."));
      age(copy);
      const text = readFileSync(conf, "utf8");
      const setting = `partition-${partition}: ${folder}/${partition}\n`;
      // Before and after the partition that mailboxes.db names.
      writeFileSync(conf, partition === "a2" ? setting + text : text + setting);
      const { exit, findings } = await found(folder, conf, "--user", "bob");
      expect(exit).toBe(1);
      expect(findings).toContain(`DB05 critical /${partition}/b/user/bob/cyrus.header`);
      expect(findings.filter((one) => one.includes("/spool/"))).toEqual([]);
      const { stdout } = await bobbin(["fsck", conf, "--user", "bob"]);
      expect(stdout).toContain(copy);
    });
  }

  test("are none on two servers, two stores, or one of each", async () => {
    const [one, two] = [server(), server()];
    const stores = [join(tempDir("s1"), "s"), join(tempDir("s2"), "s")];
    for (const store of stores) {
      await bobbin(["store", "init", store]);
      expect((await bobbin(["replicate", "bob", "--from", one.conf, "--to", store])).exit).toBe(0);
    }
    for (const places of [[one.conf, two.conf], stores, [one.conf, ...stores]]) {
      expect(await found("", ...places)).toMatchObject({ exit: 0, findings: [] });
    }
    // Two bare folders may be partitions of one server.
    const folders = [one, two].map(({ folder }) => join(folder, "spool/b"));
    expect(await found("", ...folders)).toMatchObject({ exit: 1 });
  });
});

describe.concurrent("leftovers", () => {
  test("in an archive partition are a warning at their own path", async () => {
    const { folder, conf } = server();
    const setting = `archivepartition-default: ${folder}/arch\narchive_enabled: yes\n`;
    appendFileSync(conf, setting);
    mkdirSync(join(folder, "arch"));
    const before = await found(folder, conf);
    expect(before).toMatchObject({ exit: 0 });
    for (const box of ["g/user/gone", "a/user/ann"]) {
      const left = join(folder, "arch", box);
      mkdirSync(left, { recursive: true, mode: 0o700 });
      cpSync(join(folder, "spool/a/user/ann/1."), join(left, "1."));
      age(left);
    }
    expect(await found(folder, conf)).toEqual({
      exit: 1,
      mailboxes: before.mailboxes,
      findings: ["MS08 warning /arch/g/user/gone", "MS10 warning /arch/a/user/ann/1."],
    });
  });

  test("of a mailbox that was never made in a store are no damage", async () => {
    const { conf } = server();
    const store = join(tempDir("store"), "s");
    await bobbin(["store", "init", store]);
    await bobbin(["replicate", "bob", "--from", conf, "--to", store]);
    const owner = join(store, "user/b/bob");
    const [first = ""] = readdirSync(join(owner, ".pool"), {
      recursive: true,
      encoding: "utf8",
    }).filter((name) => /[0-9a-f]{40}$/.test(name));
    for (const name of ["neverborn", "empty"]) mkdirSync(join(owner, name), { mode: 0o700 });
    linkSync(join(owner, ".pool", first), join(owner, "neverborn", "1."));
    age(join(owner, "neverborn"));
    expect(await found(store, store)).toMatchObject({ exit: 0, findings: [] });
    const { stdout } = await bobbin(["--json", "fsck", store]);
    expect(stdout).toContain("ST04");
    expect((await bobbin(["store", "gc", store])).exit).toBe(0);
  });
});
