import { describe, expect, test } from "bun:test";
import { initStore } from "../../../src/places/store/settings.ts";
import { openWorkerPlace } from "../../../src/places/store/worker_place.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { conforms } from "../conformance.ts";

const url = new URL("../../../src/worker.ts", import.meta.url);

let root = "";
conforms("a store with threads", {
  open: () => {
    root = `${tempDir("threads")}/store`;
    initStore(root);
    return Promise.resolve(openWorkerPlace(root, { url }));
  },
  reopen: () => Promise.resolve(openWorkerPlace(root, { url })),
});

describe("openWorkerPlace()", () => {
  test("openWorkerPlace() throws at once where there is no store", () => {
    expect(() => openWorkerPlace(tempDir("none"), { url })).toThrow(/there is no bobbin.json/);
  });
});
