/**
 * Where things lie in a store, and how names become paths (design.md, section 3).
 *
 *     STORE/user/f/fred@example.com/     a user's folder; shared/l/lists for a shared top level
 *         .catalogue.sqlite  .pool/3f/3fa9…  .trash/<time>/…  <uniqueid>/cyrus.index …
 *
 * Only user ids, shared top levels, uniqueids and GUIDs ever take part in a path, and each only in
 * the form this file gives it. Mailbox names never do.
 */
import { AppError } from "../../core/errors.ts";
import { isUniqueid } from "../../model/mailbox.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import { firstLetter, folderName } from "../../storage/folder_name.ts";

export const CATALOGUE_FILE = ".catalogue.sqlite";
export const POOL_FOLDER = ".pool";
export const TRASH_FOLDER = ".trash";
/** Where the files of mailboxes from other owners lie until the journal moves them in. */
export const ARRIVING_FOLDER = ".arriving";
export const STAGING_FOLDER = ".staging";
export const REGISTRY_FILE = "uniqueids.sqlite";
export const SETTINGS_FILE = "bobbin.json";
export const RESERVE_FILE = ".reserve";

const GUID = /^[0-9a-f]{40}$/;

/** The folder of `owner` below the store, with or without the level of first letters. */
export function ownerFolder(owner: Owner, hashed: boolean): string {
  const name = folderName(ownerName(owner));
  const top = owner.kind === "user" ? "user" : "shared";
  return hashed ? `${top}/${firstLetter(name)}/${name}` : `${top}/${name}`;
}

/** `uniqueid` as the name of a folder, or a refusal. Nothing else a peer sends becomes one. */
export function mailboxFolder(uniqueid: string): string {
  if (!isUniqueid(uniqueid)) {
    throw new AppError("refused", `Cannot keep a mailbox with the uniqueid "${uniqueid}"`, {
      context: { uniqueid },
      hint: "A uniqueid is 1 to 64 letters, digits and dashes, and does not begin with a dash.",
    });
  }
  return uniqueid;
}

/** The place of a message in the user's pool, from its GUID in lower-case hex. */
export function poolPath(guid: string): string {
  if (!GUID.test(guid))
    throw new AppError("refused", `Cannot keep a message with the GUID "${guid}"`);
  return `${POOL_FOLDER}/${guid.slice(0, 2)}/${guid}`;
}

/** `7.` for UID 7: the name of a message in its mailbox folder. */
export function messageFile(uid: number): string {
  return `${uid}.`;
}
