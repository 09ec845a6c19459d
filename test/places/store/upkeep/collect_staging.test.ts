import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collectStaging } from "../../../../src/places/store/upkeep/gc.ts";
import { newStore } from "../../../support/new_store.ts";
import { guidOf, message, stageWhole } from "../../../support/store_fixture.ts";

const STORE = join(import.meta.dir, "../../../../src/places/store/store.ts");

describe("collectStaging()", () => {
  test("removes what a session left, by whatever number its process went", () => {
    const { root, store } = newStore();
    for (const name of ["1-deadbeef", `${process.pid}-deadbeef`]) {
      mkdirSync(join(root, ".staging", name));
      writeFileSync(join(root, ".staging", name, guidOf(message(1))), message(1));
    }
    const [one, two] = [store.stage(), store.stage()];
    stageWhole(one, message(1), guidOf(message(1)));
    expect(collectStaging(root)).toBe(2);
    expect(one.has(guidOf(message(1))) && readdirSync(one.folder)).toEqual([guidOf(message(1))]);
    for (let times = 0; times < 2; times++) one.close();
    expect([collectStaging(root), readdirSync(join(root, ".staging")).length]).toEqual([0, 1]);
    two.close();
    store.close();
  });

  test("waits for the end of another process that stages", async () => {
    const { root, store } = newStore();
    store.close();
    const script = `
      const { Store } = await import(${JSON.stringify(STORE)});
      globalThis.kept = new Store(${JSON.stringify(root)}).stage();
      process.stdout.write("staged");
      setInterval(() => globalThis.kept.bytes, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    try {
      await child.stdout.getReader().read();
      expect(collectStaging(root)).toBe(0);
      child.kill("SIGKILL");
      await child.exited;
      expect([collectStaging(root), readdirSync(join(root, ".staging"))]).toEqual([1, []]);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
