/** Folders that cannot be made are an error by their name, whatever stands in the way. */
import { expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../../src/storage/disk.ts";
import { tempDir } from "../support/temp_dir.ts";

test("makeFolder() makes what is missing, and says where nothing can be made", () => {
  const root = tempDir("folders");
  const path = join(root, "a/b");
  expect(makeFolder(path)).toEqual([join(root, "a"), path]);
  expect(makeFolder(path)).toEqual([]);
  symlinkSync("nowhere", join(root, "dangling"));
  for (const folder of [join(root, "dangling/a/b"), "/proc/a/b"]) {
    expect(() => makeFolder(folder)).toThrow(`Cannot make the folder at ${folder.slice(0, -2)}`);
  }
});
