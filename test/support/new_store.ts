/** A store in a temporary folder. */

import { Store, type StoreOptions } from "../../src/places/store/store.ts";
import { initStore } from "../../src/places/store/store_settings.ts";
import { NOW } from "./store_fixture.ts";
import { tempDir } from "./temp_dir.ts";

export interface StoreFixture {
  readonly root: string;
  readonly store: Store;
}

/** A new store in a temporary folder. */
export function newStore(
  options: StoreOptions = {},
  settings: Parameters<typeof initStore>[1] = {},
): StoreFixture {
  const root = `${tempDir("store")}/store`;
  initStore(root, settings);
  return { root, store: new Store(root, { now: () => NOW, ...options }) };
}

/** The store that is in `root` already. */
export function storeAt(root: string, options: StoreOptions = {}): Store {
  return new Store(root, { now: () => NOW, ...options });
}
