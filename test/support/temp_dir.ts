/**
 * Temporary folders of the tests. bunfig.toml preloads this file, so that its `afterAll` runs once,
 * when the last test of the run has ended (`process.on("exit")` does not fire under `bun test`).
 */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made: string[] = [];

/** A fresh empty folder under the system's temporary folder, removed when the test run ends. */
export function tempDir(name = "test"): string {
  const path = mkdtempSync(join(tmpdir(), `bobbin-${name}-`));
  made.push(path);
  return path;
}

afterAll(
  () => {
    for (const path of made) rmSync(path, { recursive: true, force: true });
  },
  { timeout: 120_000 },
);
