/** What is absent is told from what cannot be looked at or made, which is an error by its name. */
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, statOf } from "../../src/storage/disk.ts";
import { tempDir } from "../support/temp_dir.ts";

test("statOf() finds nothing where nothing is, and throws where it cannot tell", () => {
  const folder = tempDir("disk");
  const at = (path: string) => join(folder, path);
  writeFileSync(at("file"), "");
  mkdirSync(at("folder"));
  symlinkSync("folder", at("link"));
  symlinkSync("none", at("away"));
  symlinkSync("loop", at("loop"));
  const followed = { followsLinks: true };
  for (const path of ["none", "file/x", "away/x"]) expect(statOf(at(path))).toBeUndefined();
  expect(statOf(at("away"), followed)).toBeUndefined();
  expect(statOf(at("link"))?.isSymbolicLink()).toBe(true);
  expect(statOf(at("link"), followed)?.isDirectory()).toBe(true);
  for (const look of [() => statOf(at("loop/x")), () => statOf(at("loop"), followed)])
    expect(look).toThrow(/^Cannot look at .*loop.*ELOOP \(/);
});

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
