/**
 * Each scenario of the driver, prepared once: the store before it, after it, and what it did to the
 * disk.
 */
import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { newStore } from "../support/new_store.ts";
import { type Contents, verifyStore } from "../support/store_verify.ts";
import { tempDir } from "../support/temp_dir.ts";
import { prepare } from "./driver.ts";
import { type FileEvent, traceFiles } from "./trace.ts";

const DRIVER = join(import.meta.dir, "driver.ts");

export interface Stage {
  /** The store before the change; nothing writes to it. */
  readonly base: string;
  readonly before: Contents;
  readonly after: Contents;
  readonly events: readonly FileEvent[];
}

export function command(root: string, scenario: string): string[] {
  return [process.execPath, "run", DRIVER, root, scenario];
}

const stages = new Map<string, Stage>();
let base: string | undefined;

export function baseStore(): string {
  if (base !== undefined) return base;
  const { root, store } = newStore();
  prepare(store);
  store.close();
  base = root;
  return root;
}

/** Does the change once, undisturbed, and keeps what it did to the disk. */
export function stageOf(scenario: string): Stage {
  const known = stages.get(scenario);
  if (known !== undefined) return known;
  const from = baseStore();
  const folder = tempDir("crash");
  const [start, target] = [join(folder, "start"), join(folder, "target")];
  cpTree(from, start);
  cpTree(from, target);
  const events = traceFiles(command(target, scenario), target, join(folder, "trace"));
  // The trace speaks of `target`, and so must whoever replays it.
  const stage = { base: start, before: contentsOf(from), after: contentsOf(target), events };
  stages.set(scenario, stage);
  return stage;
}

/** Copies with hard links kept, as they are. */
export function cpTree(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  const run = Bun.spawnSync(["cp", "-a", from, to]);
  if (run.exitCode !== 0) throw new Error(`cannot copy ${from}: ${run.stderr}`);
}

/** What a store holds, looked at in a copy so that it stays as it is. */
function contentsOf(root: string): Contents {
  const copy = join(tempDir("crash"), "copy");
  cpTree(root, copy);
  return verifyStore(copy);
}

export function expectOneOf(found: Contents, stage: Stage, acknowledged: boolean): void {
  const choices = acknowledged ? [stage.after] : [stage.before, stage.after];
  if (!choices.some((choice) => Bun.deepEquals(choice, found))) expect(found).toEqual(stage.after);
}
