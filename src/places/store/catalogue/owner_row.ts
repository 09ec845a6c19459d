/** The row of a catalogue that says whose it is, by the owner's key (model/names.ts). */
import type { Database } from "bun:sqlite";

const OWNER = "SELECT value FROM about WHERE key = 'owner'";

/** Gives each row of a query the owner's key as its column `owner`. */
export const OWNER_COLUMN = `(${OWNER}) AS owner`;

/** The key of the owner, whatever the row holds; undefined where there is no such row. */
export function ownerKeyIn(database: Database): string | undefined {
  const row = database.query<{ value: unknown }, []>(OWNER).get();
  return row === null ? undefined : `${row.value}`;
}

/** Writes the owner's key where there is none yet; true where there was none. */
export function noteOwnerKey(database: Database, key: string): boolean {
  return database.query("INSERT OR IGNORE INTO about VALUES ('owner', ?)").run(key).changes > 0;
}
