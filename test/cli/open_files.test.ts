import { expect, test } from "bun:test";
import { openFilesLimit, shareFiles } from "../../src/cli/open_files.ts";

test("openFilesLimit() is this process's", () => {
  expect(openFilesLimit()).toBeGreaterThan(0);
});

test.each([
  [74, { sessions: 2, owners: 2 }],
  [128, { sessions: 24, owners: 5 }],
  [1024, { sessions: 384, owners: 64 }],
  [20_000, { sessions: 9872, owners: 64 }],
])("shareFiles() of %i", (limit, shared) => {
  expect(shareFiles(limit)).toEqual(shared);
});

test("shareFiles() refuses what is enough for nobody", () => {
  expect(() => shareFiles(64)).toThrow("Cannot serve with no more than 64 open files");
});
