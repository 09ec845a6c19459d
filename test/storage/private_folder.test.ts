/** What is kept below TMPDIR for one process goes with it, however it ends. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp_dir.ts";

const MODULE = join(import.meta.dir, "../../src/storage/private_folder.ts");

/** A process that makes a private folder, says so, and then does `after`. */
async function holder(tmp: string, after: string) {
  const script =
    `import { makePrivateFolder, removePrivateFolder } from ${JSON.stringify(MODULE)};` +
    `const folder = makePrivateFolder(); console.log(folder); ${after}`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    ...{ stdout: "pipe", stderr: "inherit", env: { ...process.env, TMPDIR: tmp } },
  });
  const { value } = await child.stdout.getReader().read();
  return {
    child,
    folder: Buffer.from(value ?? [])
      .toString()
      .trim(),
  };
}

describe("makePrivateFolder()", () => {
  test("removes what killed runs have left, and nothing of those that run", async () => {
    const tmp = tempDir("tmp");
    mkdirSync(join(tmp, "bobbin-private"));
    const live = await holder(tmp, "setInterval(() => undefined, 1000);");
    const killed = await holder(tmp, "setInterval(() => undefined, 1000);");
    killed.child.kill("SIGKILL");
    await killed.child.exited;
    expect(existsSync(killed.folder)).toBe(true);
    const next = await holder(tmp, "removePrivateFolder(folder);");
    expect(await next.child.exited).toBe(0);
    const isThere = [live, killed, next].map(({ folder }) => existsSync(folder));
    expect(isThere).toEqual([true, false, false]);
    live.child.kill("SIGKILL");
    await live.child.exited;
    const last = await holder(tmp, "process.exit(0);");
    await last.child.exited;
    expect(readdirSync(tmp)).toEqual(["bobbin-private"]);
  });
});
