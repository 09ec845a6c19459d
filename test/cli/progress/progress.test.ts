/** How far a command has come, as a terminal shows it and as --json tells it. */
import { afterEach, beforeAll, describe, expect, jest, test } from "bun:test";
import { join } from "node:path";
import { processOutput } from "../../../src/cli/output.ts";
import { startProgress } from "../../../src/cli/progress/progress.ts";
import { bobbin, bobbinOnTerminal } from "../../support/cli.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { tempDir } from "../../support/temp_dir.ts";

const SPOOL = join(unpackFixture("cyrus-spools/uuid-paths"), "spool");
const store = `${tempDir("progress")}/store`;

beforeAll(async () => {
  expect((await bobbin(["store", "init", store])).exit).toBe(0);
});

describe("progress", () => {
  afterEach(() => void jest.useRealTimers());

  test("replicate and diff have a bar on a terminal, and no step is lost in it", async () => {
    const run = ["replicate", "ann", "--from", SPOOL, "--to", store, "--rate", "15kB/s"];
    const first = await bobbinOnTerminal(run);
    expect(first.exit).toBe(0);
    expect(first.shown).toMatch(/\d+% {2}0\/1 users {2}[\d.]+ \w+\/s/);
    expect(first.shown).toMatch(/\/s {2}[\d.]+ m?s left/); // it takes four seconds
    // Each line begins where the bar was taken away before it, or after another.
    expect(first.shown.match(/(\n|\x1b\[2K)ann: create user\/ann/g)?.length).toBeGreaterThan(10);
    expect(first.shown).not.toMatch(/[^\nK]ann: create/);
    const diff = ["diff", SPOOL, store, "ann", "--deep"];
    expect((await bobbinOnTerminal(diff)).shown).toMatch(/\d+% {2}0\/1 users/);
    for (const silent of ["--no-progress", "--quiet"]) {
      expect((await bobbinOnTerminal([silent, ...diff])).shown).not.toContain("%");
    }
    expect((await bobbin(diff)).stderr).not.toContain("%");
  }, 60_000);

  test("a name with what formats take for their own is shown as it is", async () => {
    const name = "100%s%d{bar}{left}";
    const run = ["replicate", name, "dan", "--from", SPOOL, "--to", store];
    const { exit, shown } = await bobbinOnTerminal(run);
    expect(exit).toBe(2);
    expect(shown).toContain(`User ${name}: There is no ${name} at `);
    expect(shown).toMatch(/\d+% {2}1\/2 users/);
    const told = await bobbin(run);
    expect(told.stderr).toContain(`User ${name}: There is no ${name} at `);
  }, 60_000);

  test("a dumb terminal gets no bar, no colour and no escape", async () => {
    const run = ["replicate", "bob", "--from", SPOOL, "--to", store];
    const { exit, shown } = await bobbinOnTerminal(run, { env: { TERM: "dumb" } });
    expect([exit, shown.includes("bob: create user/bob")]).toEqual([0, true]);
    expect(shown).not.toMatch(/\x1b|%/);
    const damaged = join(unpackFixture("cyrus-spools/damaged"), "spool");
    // Each waits some seconds before its second look at what is damaged: so all at once.
    const [usual, dumb, plain] = await Promise.all(
      [{}, { TERM: "dumb" }, { NO_COLOR: "1" }].map((env: Record<string, string>) =>
        bobbinOnTerminal(["fsck", damaged], { env }),
      ),
    );
    expect(usual?.shown).toContain("\x1b[31m");
    expect([dumb?.exit, dumb?.shown.includes("\x1b")]).toEqual([usual?.exit, false]);
    expect([plain?.exit, plain?.shown.includes("\x1b[31m")]).toEqual([usual?.exit, false]);
  }, 60_000);

  test("tables fit COLUMNS on a terminal, and are whole in a pipe", async () => {
    const env = { COLUMNS: "60", TERM: "dumb" };
    const ls = ["ls", SPOOL, "ann", "INBOX"];
    const { shown } = await bobbinOnTerminal(ls, { env });
    const widths = shown.split("\r\n").map((line) => Bun.stringWidth(line));
    expect([Math.max(...widths) <= 60, shown.includes("…")]).toEqual([true, true]);
    const piped = await bobbin(ls, { env });
    expect(piped.stdout).toMatch(/ [0-9a-f]{40} /);
    expect(piped.stdout).not.toContain("…");
  }, 60_000);

  test("--json tells it now and then, unless --no-progress", async () => {
    jest.useFakeTimers();
    for (const wanted of [true, false]) {
      const told: unknown[] = [];
      const options = { json: true, loudness: "errors", progress: wanted } as const;
      const output = { ...processOutput(options), object: (one: unknown) => told.push(one) };
      const progress = startProgress(output, "users", { everyMs: 20 });
      progress.update(2.5, 8, 1000);
      jest.advanceTimersByTime(100);
      progress.stop();
      expect(told.length > 0).toBe(wanted);
      if (wanted) {
        expect(told[0]).toEqual({
          ...{ type: "progress", unit: "users", done: 2, total: 8, percent: 31.2, bytes: 1000 },
        });
      }
    }
  });
});
