import { describe, expect, test } from "bun:test";
import { rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { latin1, utf8 } from "../../../../src/core/bytes.ts";
import { sieveFilesOf } from "../../../../src/formats/sieve/script_files.ts";
import { readScriptFolder } from "../../../../src/places/cyrus/server/sieve_scripts.ts";
import { granted } from "../../../support/places.ts";
import { tempDir } from "../../../support/temp_dir.ts";

const KEEP_SHA1 = "b2dd3f554458b386d6bff783949208105c5fab1c"; // as sync_server answered for it

describe("readScriptFolder()", () => {
  test("reads the scripts of releases before 3.6, and which one is active", async () => {
    const folder = tempDir("sieve");
    writeFileSync(join(folder, "main.script"), "keep;\r\n");
    writeFileSync(join(folder, "grüße.script"), "stop;\r\n");
    writeFileSync(join(folder, "main.bc"), "bytecode");
    symlinkSync("main.bc", join(folder, "defaultbc"));
    for (const name of ["main.script", "grüße.script", "main.bc"]) {
      utimesSync(join(folder, name), 1_700_000_000, 1_700_000_000.9);
    }
    const files = sieveFilesOf(granted(readScriptFolder(folder)));
    expect(files).toEqual([
      {
        filename: latin1(utf8("grüße.script")),
        lastUpdate: 1_700_000_000,
        guid: Bun.SHA1.hash("stop;\r\n", "hex"),
        isActive: false,
      },
      { filename: "main.script", lastUpdate: 1_700_000_000, guid: KEEP_SHA1, isActive: false },
      {
        filename: "main.bc",
        lastUpdate: 1_700_000_000,
        guid: Bun.SHA1.hash("bytecode", "hex"),
        isActive: true,
      },
    ]);
    rmSync(join(folder, "main.bc"));
    expect(sieveFilesOf(granted(readScriptFolder(folder))).at(-1)).toEqual({
      ...{ filename: "main.bc", lastUpdate: 0, guid: "0".repeat(40), isActive: true },
    });
  });

  test("finds none where there is no folder, and refuses what is no file", () => {
    expect(granted(readScriptFolder(join(tempDir("none"), "nope")))).toEqual([]);
    const folder = tempDir("sieve");
    symlinkSync("/etc/passwd", join(folder, "evil.script"));
    expect(readScriptFolder(folder)).toMatchObject({ kind: "refused", reason: "damaged" });
  });
});
