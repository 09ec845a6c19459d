/**
 * Stores as a kill leaves them: with a journal that is not yet done to files, or half a handover.
 */

import { Database } from "bun:sqlite";
import { expect, spyOn } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { applyCommand } from "../../src/places/store/commit/store_commands.ts";
import { newStore } from "./new_store.ts";
import { apply, fill, message, record, stateOf } from "./store_fixture.ts";
import { tempDir } from "./temp_dir.ts";

const fred = { kind: "user", userid: "fred" } as const;
const anne = { kind: "user", userid: "anne" } as const;

/**
 * A store whose last change, message 4 of fred's INBOX, is in the journal and not yet in the files.
 */
export function storeWithJournal(): string {
  const { root, store } = newStore();
  fill(store, "user.fred", 3);
  fill(store, "user.fred.A", 2);
  fill(store, "user.anne", 1);
  const folder = store.make(fred);
  const settle = spyOn(folder, "settleIfFree").mockReturnValue(false);
  const next = record(4, { modseq: 90n });
  const all = [record(1), record(2), record(3), next];
  apply(store, { state: stateOf("user.fred", all), records: [next] }, [message(4)]);
  expect(folder.pending().length).toBeGreaterThan(0);
  settle.mockRestore();
  return killed(root, store);
}

/**
 * A store that was killed while fred's mailbox A went to anne, right before the source's commit. It
 * is hers by the commit at the target, where its folder is still to be moved in.
 */
export function storeWithHandover(): string {
  const { root, store } = newStore();
  fill(store, "user.fred", 1);
  fill(store, "user.fred.A", 2);
  fill(store, "user.anne", 1);
  const settle = spyOn(store.make(anne), "settleIfFree").mockReturnValue(false);
  const transfer = spyOn(store.registry, "transfer").mockImplementation(() => {
    throw new Error("killed");
  });
  const names = { oldName: "user.fred.A", newName: "user.anne.A" };
  const staging = store.stage();
  expect(() =>
    applyCommand({ kind: "rename", ...names, partition: "default" }, [], {
      ...{ store, staging, force: false },
    }),
  ).toThrow("killed");
  staging.close();
  settle.mockRestore();
  transfer.mockRestore();
  expect(store.registry.handovers()).toHaveLength(1);
  return killed(root, store);
}

/** A copy of the store with the logs of its databases, as one that is killed leaves them. */
function killed(root: string, store: { close: () => void }): string {
  const left = join(tempDir("killed"), "store");
  Bun.spawnSync(["cp", "-a", root, left]);
  store.close();
  expect(existsSync(join(left, "user/f/fred/.catalogue.sqlite-wal"))).toBe(true);
  return left;
}

/** Makes a catalogue one of the schema's first version, as the first release made them. */
export function lowerSchema(catalogue: string): void {
  const database = new Database(catalogue);
  database.run("ALTER TABLE redo DROP COLUMN unfit");
  database.run("ALTER TABLE mailbox DROP COLUMN annot_crc");
  database.run("ALTER TABLE mailbox DROP COLUMN annot_crc_of");
  database.run("PRAGMA user_version = 1");
  database.close();
}
