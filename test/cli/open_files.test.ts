import { expect, test } from "bun:test";
import { openFilesLimit, shareFiles } from "../../src/cli/open_files.ts";

test("openFilesLimit() is this process's", () => {
  expect(openFilesLimit()).toBeGreaterThan(0);
});

test.each([
  [74, { sessions: 1, owners: 2 }],
  [128, { sessions: 16, owners: 5 }],
  [1024, { sessions: 256, owners: 64 }],
  [20_000, { sessions: 6581, owners: 64 }],
])("shareFiles() of %i", (limit, shared) => {
  expect(shareFiles(limit)).toEqual(shared);
});

test("shareFiles() refuses what is enough for nobody", () => {
  expect(() => shareFiles(64)).toThrow("Cannot serve with no more than 64 open files");
});
