/**
 * Temporary folders of the tests. bunfig.toml preloads this file, so that its `afterAll` runs once,
 * when the last test of the run has ended (`process.on("exit")` does not fire under `bun test`).
 */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made: string[] = [];

/**
 * A fresh empty folder under the system's temporary folder or `parent`, removed when the test run
 * ends.
 */
export function tempDir(name = "test", parent = tmpdir()): string {
  const path = mkdtempSync(join(parent, `bobbin-${name}-`));
  made.push(path);
  return path;
}

function removeAll(): void {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
}

// Benches use the same helpers without a test runner, which would refuse `afterAll` to them.
if (process.env["NODE_ENV"] === "test") afterAll(removeAll, { timeout: 120_000 });
else process.on("exit", removeAll);
