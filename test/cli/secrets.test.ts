/**
 * Passwords of two sync servers at once, as the built binary takes them: files, credentials, stdin,
 * a terminal.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, bobbinOnTerminal } from "../support/cli.ts";
import { type TestServer, testServer } from "../support/serve.ts";
import { tempDir } from "../support/temp_dir.ts";

const folder = tempDir("secrets");
const [good, bad] = [join(folder, "good"), join(folder, "bad")];
let server: TestServer;
/** Compares what two servers have of somebody whom neither knows: 66 once signed in to both. */
let diff: readonly string[];

beforeAll(async () => {
  writeFileSync(good, "labpass\n");
  writeFileSync(bad, "wrong\n");
  server = await testServer();
  const at = (host: string): string => `sync://admin@${host}:${server.port}`;
  diff = ["diff", at("127.0.0.1"), at("localhost"), "nobody"];
});
afterAll(() => server.stop());

describe("passwords of two sync servers", () => {
  test("a line on stdin is for both, and each may have a file of its own", async () => {
    const piped = await bobbin([...diff, "--password-file", "-"], { stdin: "labpass\n" });
    expect([piped.exit, piped.stderr]).toEqual([66, expect.stringContaining("There is no nobody")]);
    for (const [a, b, exit] of [
      [good, good, 66],
      [good, bad, 77],
      [bad, good, 77],
    ] as const) {
      const own = ["--a-password-file", a, "--b-password-file", b];
      expect([a, b, (await bobbin([...diff, ...own])).exit]).toEqual([a, b, exit]);
    }
    const other = ["--password-file", bad, "--a-password-file", good, "--b-password-file", good];
    expect((await bobbin([...diff, ...other])).exit).toBe(66);
    const [, from = "", to = ""] = diff;
    const ends = [
      "--from",
      from,
      "--from-password-file",
      good,
      "--to",
      to,
      "--to-password-file",
      good,
    ];
    expect((await bobbin(["replicate", "nobody", "-n", ...ends])).exit).toBe(66);
  });

  test("the credential for the host comes before the one for all", async () => {
    writeFileSync(join(folder, "bobbin.password.localhost"), "labpass\n");
    writeFileSync(join(folder, "bobbin.password"), "wrong\n");
    const env = { CREDENTIALS_DIRECTORY: folder };
    expect((await bobbin(diff, { env })).exit).toBe(77);
    writeFileSync(join(folder, "bobbin.password.127.0.0.1"), "labpass\n");
    expect((await bobbin(diff, { env })).exit).toBe(66);
  });

  test("a terminal is asked once for each, and shows nothing of it", async () => {
    const { exit, shown } = await bobbinOnTerminal(diff, {
      answer: (text) => (/Password for \S+: $/.test(text) ? "labpass\r" : undefined),
    });
    expect([exit, shown.match(/Password for \S+@(127.0.0.1|localhost)/g)?.length]).toEqual([66, 2]);
    expect(shown).not.toContain("labpass");
  });
});
