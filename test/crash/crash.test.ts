/**
 * The store against sudden death: a change is killed at every call that touches the disk, and the
 * power is cut at every moment of it. Whatever is found afterwards must open, be sound to the last
 * byte, and be either as before the change or as after it; after it, if the change was
 * acknowledged.
 */
import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { has } from "../support/needs.ts";
import { verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";
import { SCENARIOS } from "./driver.ts";
import { type Forgets, PowerCut } from "./power_cut.ts";
import { baseStore, command, cpTree, expectOneOf, stageOf } from "./stage.ts";
import { type FileEvent, runInjected } from "./trace.ts";

const { BOBBIN_TEST_SIZE } = process.env;
const isLong = BOBBIN_TEST_SIZE === "long";

/** Calls at which a change is killed. */
const CALLS = [
  ...["pwrite64", "fsync", "fdatasync", "syncfs", "link", "rename", "unlink", "unlinkat", "mkdir"],
  ...["ftruncate", "copy_file_range", "rmdir"],
];

/** The calls that are killed by default; the long run takes every one. */
const SAMPLE = [
  { call: "pwrite64", when: 9 },
  { call: "rename", when: 1 },
];

function countCalls(events: readonly FileEvent[], kinds: readonly string[]): number {
  return events.filter((event) => kinds.includes(event.kind)).length;
}

describe.if(has("strace"))("a change of the store", () => {
  for (const scenario of Object.keys(SCENARIOS)) {
    test(`${scenario}: changes what it should, and doing it again changes nothing`, () => {
      const stage = stageOf(scenario);
      if (scenario !== "gc") expect(stage.after).not.toEqual(stage.before);
      expect(countCalls(stage.events, ["sync", "sync_all"])).toBeGreaterThan(0);
      const again = join(tempDir("crash"), "again");
      cpTree(baseStore(), again);
      for (let round = 0; round < 2; round++) {
        const run = Bun.spawnSync(command(again, scenario));
        expect([run.stdout.toString(), run.stderr.toString()]).toEqual(["ack\n", ""]);
      }
      expect(verifyStore(again)).toEqual(stage.after);
    });

    test(`${scenario}: a power cut leaves it undone or done, at every moment`, () => {
      const stage = stageOf(scenario);
      const root = rootOf(stage.events);
      const random = isLong ? 10 : 1;
      const found = join(tempDir("cut"), "found");
      const disk = new PowerCut(stage.base, root);
      let acknowledged = false;
      for (const [at, event] of stage.events.entries()) {
        if (event.kind === "said") acknowledged ||= event.text.includes("ack");
        disk.take(event);
        const ways: (Forgets | undefined)[] = [undefined, { kind: "all" }, { kind: "bytes" }];
        for (let seed = 0; seed < random; seed++)
          ways.push({ kind: "some", seed: at * 100 + seed });
        // By default a part of the moments: after what changes something, all unsynced bytes go.
        const isSampled = isLong || at % 12 === 0;
        if (!isSampled && (event.kind !== "sync" || at % 2 === 0)) continue;
        for (const forgets of isSampled ? ways : ways.slice(1, 2)) {
          rmSync(found, { recursive: true, force: true });
          disk.leave(found, forgets);
          try {
            expectOneOf(verifyStore(found), stage, acknowledged);
          } catch (error) {
            throw new Error(
              `${error instanceof Error ? error.message : error}: after event ${at} of ` +
                `${stage.events.length} (${describeEvent(event)}), ` +
                `forgetting ${JSON.stringify(forgets)}`,
              { cause: error },
            );
          }
        }
      }
      expect(acknowledged).toBe(true);
    }, 600_000);

    test(`${scenario}: kill -9 at a call leaves it done or undone, to be done again`, () => {
      const stage = stageOf(scenario);
      let kills = 0;
      for (const call of CALLS) {
        for (let when = 1; when < 400; when++) {
          if (!isLong && !SAMPLE.some((one) => one.call === call && one.when === when)) continue;
          const root = join(tempDir("kill"), "store");
          cpTree(baseStore(), root);
          const { ended, said, stderr } = runInjected(
            command(root, scenario),
            call,
            `signal=KILL:when=${when}`,
          );
          expect([ended, stderr]).not.toEqual(["failed", stderr]);
          expectOneOf(verifyStore(root), stage, said.includes("ack"));
          if (ended === "well") break;
          kills++;
          const run = Bun.spawnSync(command(root, scenario));
          expect([call, when, run.stdout.toString(), run.stderr.toString()]).toEqual([
            call,
            when,
            "ack\n",
            "",
          ]);
          expect(verifyStore(root)).toEqual(stage.after);
          rmSync(root, { recursive: true });
        }
      }
      expect(kills).toBeGreaterThan(isLong ? 10 : 0);
    }, 600_000);
  }
});

/** The folder that a trace is about: that of its first path. */
function rootOf(events: readonly FileEvent[]): string {
  for (const event of events) {
    if ("path" in event) return /^.*?\/target/.exec(event.path)?.[0] ?? "";
  }
  return "";
}

function describeEvent(event: FileEvent): string {
  return "path" in event ? `${event.kind} ${event.path}` : event.kind;
}
