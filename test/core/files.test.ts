/** What is absent, and what only cannot be looked at. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isStill, NO_FILE, stampAt, watched } from "../../src/core/file_stamp.ts";
import { glance, isThere, obstacleAt } from "../../src/core/files.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("what lies at a path", () => {
  const folder = tempDir("files");
  const at = (path: string) => join(folder, path);
  writeFileSync(at("file"), "");
  mkdirSync(at("folder"));
  symlinkSync("/no/such/disk", at("away"));
  symlinkSync("loop", at("loop"));
  symlinkSync("folder", at("link"));

  test("isThere() is false only where nothing is", () => {
    for (const path of ["none", "none/x", "file/x", "away/x", "folder/x"])
      expect({ path, isThere: isThere(at(path)) }).toEqual({ path, isThere: false });
    for (const path of ["file", "folder", "away", "loop", "loop/x", "link"])
      expect({ path, isThere: isThere(at(path)) }).toEqual({ path, isThere: true });
  });

  test("glance(), stampAt() and watched() take what they may not look at for no error", () => {
    expect(glance(at("file"))?.isFile()).toBe(true);
    for (const path of ["none", "file/x", "loop/x"]) expect(glance(at(path))).toBeUndefined();
    expect(glance(at("link"), { followsLinks: true })?.isDirectory()).toBe(true);
    for (const [path, stamp] of [
      ["file/x", NO_FILE],
      ["loop/x", "ELOOP"],
    ] as const) {
      expect(stampAt(at(path))).toBe(stamp);
      expect(watched(at(path))).toEqual({ path: at(path), stamp });
      expect(isStill(watched(at(path)))).toBe(true);
    }
  });

  test("obstacleAt() names what stands in the place of a folder, or of one above it", () => {
    for (const path of ["none", "none/x/y", "folder", "folder/x", "link/x"])
      expect({ path, other: obstacleAt(at(path)) }).toEqual({ path, other: undefined });
    for (const path of ["file", "file/x/y", "away", "away/x", "loop"]) {
      const other = at(path.split("/")[0] ?? "");
      expect({ path, other: obstacleAt(at(path)) }).toEqual({ path, other });
    }
  });
});
