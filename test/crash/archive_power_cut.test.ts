/**
 * Archives when the power is cut, at every moment of a command: what no sync has promised is lost,
 * all of it or any part. What was committed is there, and the same command goes on from there.
 */
import { describe, expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { has } from "../support/needs.ts";
import { tempDir } from "../support/temp_dir.ts";
import { command, copyOf, expectWhole, SCENARIOS, theHistory } from "./archive_stage.ts";
import { type Forgets, PowerCut } from "./power_cut.ts";
import { traceFiles } from "./trace.ts";

const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
/** Of so many moments one is tried in the short run, and the last. */
const STEP = isLong ? 1 : 40;

describe.if(has("strace"))("archives", () => {
  for (const [name, make] of Object.entries(SCENARIOS)) {
    test(`${name}: a power cut loses nothing that was committed`, async () => {
      const scenario = make(await theHistory());
      const root = copyOf(scenario.base);
      const base = `${root}-base`;
      cpSync(root, base, { recursive: true });
      const log = join(tempDir("trace"), "log");
      const events = traceFiles(command(scenario.args(root)), root, log);
      const disk = new PowerCut(base, root);
      const found = join(tempDir("cut"), "found");
      for (const [at, event] of events.entries()) {
        disk.take(event);
        const isLast = at === events.length - 1;
        if (at % STEP > 0 && !isLast) continue;
        const ways: Forgets[] = [{ kind: "all" }, { kind: "bytes" }, { kind: "some", seed: at }];
        for (const forgets of isLong || isLast ? ways : ways.slice(0, 1)) {
          rmSync(found, { recursive: true, force: true });
          disk.leave(found, forgets);
          try {
            await expectWhole(found, scenario, isLast);
          } catch (error) {
            const why = error instanceof Error ? error.message : String(error);
            const when = `after event ${at} of ${events.length}, ${JSON.stringify(forgets)}`;
            throw new Error(`${when}: ${why}`, { cause: error });
          }
        }
      }
      expect(events.some(({ kind }) => kind === "sync")).toBe(true);
    }, 600_000);
  }
});
