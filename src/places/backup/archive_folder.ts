/** Where the archive of an owner lies below a folder of archives. */
import { type Owner, ownerName } from "../../model/names.ts";
import { firstLetter, folderName } from "../../storage/folder_name.ts";

/** `f/fred` for a user, `shared/l/lists` for a shared top level. */
export function archiveFolder(owner: Owner): string {
  const name = folderName(ownerName(owner));
  const path = `${firstLetter(name)}/${name}`;
  return owner.kind === "user" ? path : `shared/${path}`;
}
