import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parsePlace } from "../../src/places/locator.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("parsePlace() of a backup", () => {
  const root = tempDir("locator");
  mkdirSync(join(root, "ann@example.com"));
  writeFileSync(join(root, "ann@example.com", "backupdata-1795345419.tar.gz"), "");

  test.each([
    ["2026-11-20", Date.UTC(2026, 10, 20)],
    ["2026-11-20T08:30:01", Date.UTC(2026, 10, 20, 8, 30, 1)],
    ["2026-11-20 08:30", Date.UTC(2026, 10, 20, 8, 30)],
    ["2026-11-20T08:30:00.250+01:00", Date.UTC(2026, 10, 20, 7, 30, 0, 250)],
    ["1795345419", 1_795_345_419_000],
  ])("reads %s as the moment %p", (text, at) => {
    const path = join(root, "ann@example.com");
    expect(parsePlace(`backup:${path}@${text}`)).toEqual({
      ...{ kind: "backup", path, at, text: `backup:${path}@${text}` },
    });
  });

  test("takes an @ of a user id for part of the path, and a path alone for an archive", () => {
    const path = join(root, "ann@example.com");
    const place = { kind: "backup", path, text: `backup:${path}` } as const;
    expect(parsePlace(`backup:${path}`)).toEqual(place);
    expect(parsePlace(path)).toEqual(place);
    const next = join(root, "new@example.com");
    expect(parsePlace(`backup:${next}`)).toEqual({ ...place, path: next, text: `backup:${next}` });
    expect(parsePlace(root)).toEqual({ ...place, path: root, text: `backup:${root}` });
  });

  test.each(["yesterday", "2026-13-01", "2026-11-20T25:00", "20", "2026-11-20T08"])(
    "refuses %s, which is no moment",
    (moment) => {
      const place = `backup:${join(root, "ann@example.com")}@${moment}`;
      expect(() => parsePlace(place)).toThrow(/this is no date and no time/);
    },
  );

  test("refuses no path at all", () => {
    expect(() => parsePlace("backup:")).toThrow("the path is empty");
  });
});
