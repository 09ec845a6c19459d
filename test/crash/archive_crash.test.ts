/**
 * Archives against sudden death: the binary is killed at every call by which it changes them, and
 * the power is cut at every moment. Whatever is found holds all that was committed, and the same
 * command goes on from there.
 */
import { describe, expect, test } from "bun:test";
import { has } from "../support/needs.ts";
import {
  command,
  copyOf,
  expectDone,
  expectWhole,
  putCopy,
  SCENARIOS,
  theHistory,
} from "./archive_stage.ts";
import { type FileCall, fileCallsOf, runToEnd, runWith } from "./injection.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const KILLED = 137;
const SAMPLED = 2;

/** Calls by which a command changes files, or makes them durable. */
const CHANGES = new Set([
  ...["write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "rename", "renameat2"],
  ...["unlink", "unlinkat", "mkdir", "rmdir", "link"],
]);

function changes({ call, text }: FileCall): boolean {
  return call.startsWith("open") ? /O_CREAT|O_TRUNC/.test(text) : CHANGES.has(call);
}

describe.if(has("strace"))("archives", () => {
  for (const [name, make] of Object.entries(SCENARIOS)) {
    test(`${name}: kill -9 at a call loses nothing, and the next goes on`, async () => {
      const scenario = make(await theHistory());
      const root = copyOf(scenario.base);
      const run = (under: readonly string[]) => {
        putCopy(scenario.base, root);
        return runToEnd([...under, ...command(scenario.args(root))]);
      };
      const { calls, ended } = await fileCallsOf(run, root);
      expect([ended.exit, ended.stderr]).toMatchObject([0, expect.any(String)]);
      await expectDone(root, scenario);
      const writes = calls.filter(changes);
      expect(writes.length).toBeGreaterThan(8);
      let kills = 0;
      for (const call of isLong ? writes : sampled(writes, name.length)) {
        const { exit } = await runWith(run, { call, effect: "signal=KILL", root });
        if (exit !== KILLED) expect([call.text, exit]).toEqual([call.text, 0]);
        kills += exit === KILLED ? 1 : 0;
        try {
          await expectWhole(root, scenario, exit === 0);
          const next = await runToEnd(command(scenario.args(root)));
          if (next.exit !== 0) throw new Error(`exit ${next.exit}: ${next.stderr}`);
          await expectDone(root, scenario);
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          throw new Error(`killed at ${call.nth}. ${call.text}: ${why}`, { cause: error });
        }
      }
      if (isLong) console.log(`${name}: killed at ${kills} of ${writes.length} calls`);
      expect(kills).toBeGreaterThan(0);
    }, 600_000);
  }
});

function sampled(calls: readonly FileCall[], seed: number): FileCall[] {
  const step = Math.max(1, Math.floor(calls.length / SAMPLED));
  return calls.filter((_, at) => at % step === seed % step);
}
