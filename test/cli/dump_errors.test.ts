/** A dump whose disk or output fails is an I/O error, and leaves no file that passes for a dump. */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { openStorePlace } from "../../src/places/store/store_place.ts";
import { initStore } from "../../src/places/store/store_settings.ts";
import { putExampleMail } from "../places/example_mail.ts";
import { bobbinPath } from "../support/cli.ts";
import { has } from "../support/needs.ts";
import { tempDir } from "../support/temp_dir.ts";

const ERRORS = [
  "pwrite64:ENOSPC",
  "pwrite64:EDQUOT",
  "pwrite64:EIO",
  "pread64:EIO",
  "fdatasync:EIO",
];
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";
const CALLS = isLong ? Array.from({ length: 60 }, (_, at) => at + 1) : [1, 2, 7];

let store = "";

beforeAll(async () => {
  store = `${tempDir("dumped")}/store`;
  initStore(store);
  const place = openStorePlace(store);
  await putExampleMail(place);
  await place.close();
});

async function run(under: readonly string[], target: string, stdout = "ignore") {
  const args = ["replicate", "--all", "--from", store, "--to", target];
  const output = stdout === "ignore" ? "ignore" : Bun.file(stdout);
  const child = Bun.spawn([...under, bobbinPath(), ...args], { stdout: output, stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  return { exit: await child.exited, said };
}

describe("a dump", () => {
  test("to /dev/full is an I/O error", async () => {
    const { exit, said } = await run([], "dump:-", "/dev/full");
    expect(exit).toBe(74);
    expect(said).toContain("ENOSPC");
    expect(said).not.toContain("bug");
  });

  test.skipIf(!has("strace"))("gets no name where any call for its file fails", async () => {
    const path = `${tempDir("dump")}/d.dlist`;
    let failed = 0;
    for (const error of ERRORS) {
      for (const call of CALLS) {
        const [name, errno] = error.split(":");
        const only = ["-P", `${path}.part`, "-e", `trace=${name}`];
        const inject = ["-e", `inject=${name}:error=${errno}:when=${call}`];
        const under = ["strace", "-f", "-qq", "-o", "/dev/null", ...only, ...inject];
        const { exit, said } = await run(under, `dump:${path}`);
        if (exit === 0) break; // there are not so many calls
        failed += 1;
        expect([error, call, exit, said]).toEqual([
          error,
          call,
          74,
          expect.stringContaining(`${errno}`),
        ]);
        expect([existsSync(path), existsSync(`${path}.part`)]).toEqual([false, false]);
      }
      if (existsSync(path)) await Bun.file(path).delete();
    }
    expect(failed).toBeGreaterThan(8);
  });
});
