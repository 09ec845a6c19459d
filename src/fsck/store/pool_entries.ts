/** What lies in the pool of one owner. */
import { join } from "node:path";
import { isGuid } from "../../model/guid.ts";
import { POOL_FOLDER, poolPath } from "../../places/store/layout.ts";
import { entriesIn, foldersIn } from "../../storage/disk.ts";

export interface PoolEntry {
  /** Below the owner's folder. */
  readonly path: string;
  /** Of the message that it is to hold; undefined for a file whose name is none of a message. */
  readonly guid: string | undefined;
}

/** Every file of the pool in the owner's folder; folders and links there are strays (row ST15). */
export function* poolEntries(folder: string): Generator<PoolEntry, void> {
  const pool = join(folder, POOL_FOLDER);
  for (const prefix of foldersIn(pool)) {
    for (const entry of entriesIn(join(pool, prefix))) {
      if (entry.isDirectory() || entry.isSymbolicLink()) continue;
      const { name } = entry;
      const path = `${POOL_FOLDER}/${prefix}/${name}`;
      yield { path, guid: isGuid(name) && path === poolPath(name) ? name : undefined };
    }
  }
}
