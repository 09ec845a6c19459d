import { describe, expect, test } from "bun:test";
import { initStore } from "../../../src/places/store/settings.ts";
import { openStorePlace } from "../../../src/places/store/store_place.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { conforms } from "../conformance.ts";

for (const indexVersion of [17, 20] as const) {
  let root = "";
  conforms(`a store of index version ${indexVersion}`, {
    open: () => {
      root = `${tempDir("place")}/store`;
      initStore(root, { indexVersion });
      return Promise.resolve(openStorePlace(root));
    },
    reopen: () => Promise.resolve(openStorePlace(root)),
  });
}

describe("initStore()", () => {
  test("initStore() refuses a folder that holds something, and readSettings() one that is no store", () => {
    const root = tempDir("init");
    initStore(`${root}/a`);
    expect(() => initStore(`${root}/a`)).toThrow(/it holds/);
    expect(() => openStorePlace(root)).toThrow(/there is no bobbin.json/);
  });
});
