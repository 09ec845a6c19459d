/** Lists the folder of a mailbox (spool-format 6.4). */

import { lstatSync, readdirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../../core/errors.ts";
import { leadsToFolder } from "../../../core/files.ts";

/** An entry whose name is not that of a message. */
export interface OtherEntry {
  readonly name: string;
  readonly kind: "file" | "symlink" | "special";
  readonly stat: Stats;
}

export type FolderListing =
  | {
      readonly state: "listed";
      /** UIDs of the entries named `<uid>.`, ascending. */
      readonly uids: Uint32Array;
      /** All other entries except subfolders and links to folders, by name. */
      readonly others: readonly OtherEntry[];
    }
  | { readonly state: "missing" }
  | { readonly state: "unreadable"; readonly errno: string };

/** `<uid>.` without leading zeros; longer numbers are no UIDs. */
const MESSAGE_NAME = /^[1-9][0-9]{0,9}\.$/;
const UID_MAX = 0xffff_ffff;

/** The UID that names a message file, or undefined when the name is no message's. */
function uidOfName(name: string): number | undefined {
  if (!MESSAGE_NAME.test(name)) return undefined;
  const uid = Number(name.slice(0, -1));
  return uid <= UID_MAX ? uid : undefined;
}

/** Lists `folder`. Only entries whose names are not those of messages are looked at one by one. */
export function listFolder(folder: string): FolderListing {
  try {
    return listed(folder, readdirSync(folder));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno === "ENOENT" ? { state: "missing" } : { state: "unreadable", errno };
  }
}

function listed(folder: string, names: readonly string[]): FolderListing {
  const uids = new Uint32Array(names.length);
  let count = 0;
  const others: OtherEntry[] = [];
  for (const name of names) {
    const uid = uidOfName(name);
    if (uid !== undefined) {
      uids[count] = uid;
      count += 1;
      continue;
    }
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isDirectory()) continue;
    if (stat.isSymbolicLink() && leadsToFolder(path)) continue;
    const kind = stat.isFile() ? "file" : stat.isSymbolicLink() ? "symlink" : "special";
    others.push({ name, kind, stat });
  }
  others.sort((left, right) => (left.name < right.name ? -1 : 1));
  return { state: "listed", uids: uids.subarray(0, count).sort(), others };
}
