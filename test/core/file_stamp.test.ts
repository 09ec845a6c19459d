import { describe, expect, test } from "bun:test";
import { closeSync, linkSync, openSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { chmod, rename, utimes } from "node:fs/promises";
import { join } from "node:path";
import { isStill, NO_FILE, stampAt, stampOf, watched } from "../../src/core/file_stamp.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("stampAt()", () => {
  test("tells apart any two states of a file, and says what stands in the way", async () => {
    const folder = tempDir("stamp");
    const path = join(folder, "file");
    const stamps = [stampAt(path)];
    expect(stamps).toEqual([NO_FILE]);
    writeFileSync(path, "a");
    stamps.push(stampAt(path));
    truncateSync(path, 0);
    stamps.push(stampAt(path));
    await utimes(path, 1_700_000_000, 1_700_000_000.000001);
    stamps.push(stampAt(path));
    await utimes(path, 1_700_000_000, 1_700_000_000.000002);
    stamps.push(stampAt(path));
    await chmod(path, 0o400);
    stamps.push(stampAt(path));
    writeFileSync(join(folder, "other"), "");
    await rename(join(folder, "other"), path);
    stamps.push(stampAt(path));
    expect(new Set(stamps).size).toBe(stamps.length);
    expect(stampAt(path)).toBe(stampAt(path));
    expect(stampAt(join(path, "below"))).toBe(NO_FILE);
  });

  test("stampOf() is that of the file that is open, whatever lies at the path by now", async () => {
    const path = join(tempDir("stamp"), "file");
    writeFileSync(path, "a");
    const fd = openSync(path, "r");
    expect(stampOf(fd)).toBe(stampAt(path));
    await rename(path, `${path}.old`);
    writeFileSync(path, "a");
    expect(stampOf(fd)).toBe(stampAt(`${path}.old`));
    expect(stampOf(fd)).not.toBe(stampAt(path));
    closeSync(fd);
  });

  test("follows a link only where it is told to", () => {
    const path = join(tempDir("stamp"), "file");
    writeFileSync(path, "a");
    symlinkSync(path, `${path}.link`);
    expect(stampAt(`${path}.link`)).not.toBe(stampAt(path));
    expect(stampAt(`${path}.link`, { followsLinks: true })).toBe(stampAt(path));
    linkSync(path, `${path}.same`);
    expect(stampAt(`${path}.same`)).toBe(stampAt(path));
  });
});

describe("watched() and isStill()", () => {
  const LONG_AGO = 1_700_000_000;

  test("trusts the times of a file only once it has settled", async () => {
    const path = join(tempDir("stamp"), "file");
    expect(isStill(watched(path))).toBe(true);
    const missing = watched(path);
    writeFileSync(path, "a");
    expect(isStill(missing)).toBe(false);
    expect(isStill(watched(path))).toBe(false);
    await utimes(path, LONG_AGO, LONG_AGO);
    const settled = watched(path);
    expect(isStill(settled)).toBe(true);
    writeFileSync(path, "b");
    expect(isStill(settled)).toBe(false);
  });
});
