/** Where the archive of an owner lies below a folder of archives. */
import { join } from "node:path";
import { type Owner, ownerName } from "../../model/names.ts";
import { firstLetter, folderName } from "../../storage/folder_name.ts";
import { isArchive } from "../backup_locator.ts";

/** `f/fred` for a user, `shared/l/lists` for a shared top level. */
function ownFolder(owner: Owner): string {
  const name = folderName(ownerName(owner));
  const path = `${firstLetter(name)}/${name}`;
  return owner.kind === "user" ? path : `shared/${path}`;
}

/**
 * The folder of the archive of `owner` below `root`, be it there or to be made: one that upstream
 * has made lies at `fred`.
 */
export function archiveFolder(root: string, owner: Owner): string {
  const own = join(root, ownFolder(owner));
  const upstreams = join(root, folderName(ownerName(owner)));
  const isUpstreams = owner.kind === "user" && !isArchive(own) && isArchive(upstreams);
  return isUpstreams ? upstreams : own;
}
