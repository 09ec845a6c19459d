/**
 * Users whom one server knows under another form than the other: with and without their domain,
 * with `^` for a dot. A second run has nothing to do, or says why it cannot come to an end.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bobbin } from "../support/cli.ts";
import { type Lab, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { tempDir } from "../support/temp_dir.ts";

const PASSWORD = { env: { BOBBIN_PASSWORD: "labpass" } };
const FRED = "fred@example.com";

const run = (...args: readonly string[]) => bobbin(args, PASSWORD);
const exitOf = async (...args: readonly string[]) => (await run(...args)).exit;

describe.skipIf(!has("a Cyrus server"))("users of virtual domains", () => {
  let source: Lab;
  let target: Lab;
  const servers: Lab[] = [];
  const serverOf = ({ syncPort }: Lab) => `sync://admin@127.0.0.1:${syncPort}`;

  async function begin(...settings: readonly string[]): Promise<Lab> {
    const lab = await labUp(...settings.flatMap((line) => ["--set", line]));
    servers.push(lab);
    return lab;
  }

  beforeAll(async () => {
    source = await begin("virtdomains: userid");
    target = await begin("virtdomains: userid", "defaultdomain: example.com");
    await source.run("user", FRED);
    await source.run("fill", FRED, "8", "--seed", "3", "--avg-kb", "4");
  }, 120_000);
  afterAll(async () => {
    await Promise.all(servers.map((lab) => lab.down()));
  }, 60_000);

  test("a server whose default domain is theirs names them without it", async () => {
    const ends = ["--from", source.conf, "--to", serverOf(target)];
    expect(await exitOf("replicate", FRED, ...ends)).toBe(0);
    expect(await target.run("show", "mailboxes")).toContain('"user.fred.Sent"');
    const again = await run("replicate", FRED, ...ends, "--json");
    expect(again.stdout).toContain('"steps":0,');
    expect(again.exit).toBe(0);
    expect(await exitOf("diff", "--deep", source.conf, serverOf(target), FRED)).toBe(0);
    expect(await exitOf("replicate", FRED, "-n", "--check", ...ends)).toBe(0);
    // Back again under the name with the domain, messages too.
    const store = join(tempDir("back"), "store");
    await run("store", "init", store);
    for (const _ of ["first", "again"]) {
      expect(await exitOf("replicate", FRED, "--from", serverOf(target), "--to", store)).toBe(0);
    }
    expect(await exitOf("diff", "--deep", source.conf, store, FRED)).toBe(0);
    // Its files are asked for the same names as the server.
    expect(await exitOf("diff", "--deep", target.conf, store, FRED)).toBe(0);
    const onDisk = await run("replicate", FRED, "--from", target.conf, "--to", store, "--json");
    expect([onDisk.exit, onDisk.stdout]).toEqual([0, expect.stringContaining('"steps":0,')]);
    expect((await run("ls", target.conf, FRED)).stdout).toContain("fred@example.com/Sent");
    expect(await exitOf("diff", "--deep", target.conf, source.conf, FRED)).toBe(0);
  }, 180_000);

  test("a server without domains refuses them: no I/O error, and the reason", async () => {
    const plain = await begin("virtdomains: off");
    const refused = await run("replicate", FRED, "--from", source.conf, "--to", serverOf(plain));
    expect([refused.exit, refused.stderr]).toEqual([
      2,
      expect.stringContaining("virtdomains: off"),
    ]);
    // The other way the server takes the mailbox, and gives it to nobody.
    await plain.run("user", "jo@example.com", "--plain");
    for (const _ of ["first", "again"]) {
      const args = ["replicate", "jo@example.com", "--from", plain.conf, "--to", serverOf(source)];
      const lost = await run(...args);
      expect([lost.exit, lost.stderr]).toEqual([2, expect.stringContaining("does not list it")]);
    }
  }, 180_000);

  test("a dot of a user id may be written ^, as names of mailboxes have it", async () => {
    await source.run("user", "fred.doe", "--plain");
    const ends = ["--from", source.conf, "--to", serverOf(target)];
    expect(await exitOf("replicate", "fred^doe", ...ends)).toBe(0);
    const again = await run("replicate", "fred.doe", "fred^doe", ...ends);
    expect([again.exit, again.stdout]).toEqual([0, expect.stringContaining("1 user, 0 steps")]);
    expect(await exitOf("diff", source.conf, serverOf(target), "fred^doe")).toBe(0);
  }, 120_000);
});
