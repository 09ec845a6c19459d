/**
 * The store against calls that fail: a disk that is full from one call on, and a file system that
 * makes no hard links. Whatever the command said, the store is sound and as before or as after the
 * change.
 */
import { describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { poolPath } from "../../src/places/store/layout.ts";
import { has } from "../support/needs.ts";
import { newStore, storeAt } from "../support/new_store.ts";
import { apply, message, record, stateOf } from "../support/store_fixture.ts";
import { verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";
import { SCENARIOS } from "./driver.ts";
import { baseStore, command, cpTree, expectOneOf, stageOf } from "./stage.ts";
import { runInjected } from "./trace.ts";

const { BOBBIN_TEST_SIZE } = process.env;
const isLong = BOBBIN_TEST_SIZE === "long";

/** Calls that need room on the disk. */
const WRITING_CALLS = ["pwrite64", "openat", "link", "mkdir", "rename", "ftruncate"];

describe.if(has("strace"))("a disk that is full", () => {
  for (const scenario of isLong ? Object.keys(SCENARIOS) : ["append"]) {
    test(`${scenario}: full from any call on, it is refused or done, never half`, () => {
      const stage = stageOf(scenario);
      let failures = 0;
      for (const call of WRITING_CALLS) {
        // The first openat calls are those of the loader, which has no say in this.
        const first = call === "openat" ? 60 : 1;
        for (let when = first; when < first + 120; when += isLong ? 1 : 17) {
          const root = join(tempDir("full"), "store");
          cpTree(baseStore(), root);
          const fault = `error=ENOSPC:when=${when}+`;
          const { ended, said } = runInjected(command(root, scenario), call, fault);
          expectOneOf(verifyStore(root), stage, said.includes("ack"));
          if (ended === "well" && when > 30) break;
          if (ended === "failed") failures++;
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
      expect(failures).toBeGreaterThan(0);
    }, 600_000);
  }
});

describe.if(has("strace"))("a file system without hard links", () => {
  for (const errno of ["EPERM", "EXDEV"]) {
    test(`link fails with ${errno}: messages are copied, and all else is the same`, () => {
      for (const scenario of isLong ? ["append", "create", "many"] : ["append"]) {
        const stage = stageOf(scenario);
        const root = join(tempDir("links"), "store");
        cpTree(baseStore(), root);
        const { ended, said, stderr } = runInjected(
          command(root, scenario),
          "link",
          `error=${errno}`,
        );
        expect([ended, said, stderr]).toEqual(["well", ["ack"], ""]);
        expect(verifyStore(root)).toEqual(stage.after);
      }
    }, 60_000);
  }

  test("a store that was made there keeps copies, and holds the same", () => {
    const { root, store } = newStore();
    const settings = { ...store.settings, pool: "copy" };
    store.close();
    writeFileSync(join(root, "bobbin.json"), JSON.stringify(settings));
    const again = storeAt(root);
    const records = [record(1), record(2, {}, 1)];
    apply(again, { state: stateOf("user.fred", records), records }, [message(1)]);
    const folder = join(root, "user/f/fred");
    expect(lstatSync(join(folder, poolPath(record(1).guid))).nlink).toBe(1);
    again.close();
    expect(Object.keys(verifyStore(root))).toEqual(["user.fred"]);
  });
});

describe("one message many times", () => {
  test("65,001 copies: more links than an inode can have", () => {
    const count = isLong ? 65_001 : 66;
    const { root, store } = newStore();
    const records = Array.from({ length: count }, (_, at) => record(at + 1, {}, 1));
    apply(store, { state: stateOf("user.fred", records), records }, [message(1)]);
    store.close();
    const lines = verifyStore(root)["user.fred"]?.split("\n");
    expect(lines?.length).toBe(count);
  }, 600_000);
});

/** A file system of its own, so small that it really fills. */
describe.if(has("mounting a file system"))("a small file system", () => {
  test("fills up in the middle of things and is sound when there is room again", () => {
    const folder = join(tempDir("tmpfs"), "mount");
    mkdirSync(folder);
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=3m", "bobbin-test", folder]);
    expect([mounted.exitCode, mounted.stderr.toString()]).toEqual([0, ""]);
    try {
      const stage = stageOf("many");
      const base = lstatTotal(baseStore());
      let refusals = 0;
      for (let room = 0; room < 640; room += isLong ? 4 : 128) {
        const root = join(folder, "store");
        cpTree(baseStore(), root);
        const filler = join(folder, "filler");
        writeFileSync(filler, new Uint8Array(Math.max(0, 3 * 1024 * 1024 - base - room * 1024)));
        const run = Bun.spawnSync(command(root, "many"));
        rmSync(filler);
        if (run.exitCode !== 0) refusals++;
        expectOneOf(verifyStore(root), stage, run.stdout.toString().includes("ack"));
        expect(Bun.spawnSync(command(root, "many")).stdout.toString()).toBe("ack\n");
        expect(verifyStore(root)).toEqual(stage.after);
      }
      expect(refusals).toBeGreaterThan(0);
    } finally {
      Bun.spawnSync(["umount", folder]);
    }
  }, 600_000);
});

/** Bytes that a tree takes, in whole pages. */
function lstatTotal(path: string): number {
  const run = Bun.spawnSync(["du", "-s", "--block-size=1", path]);
  return Number(run.stdout.toString().split("\t")[0]);
}
