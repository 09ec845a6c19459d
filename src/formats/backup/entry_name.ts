/** What the name of an entry in a per-user backup says (backup-format.md 2). */
import { type Guid, isGuid } from "../../model/guid.ts";
import { isUniqueid } from "../../model/mailbox.ts";

export type EntryName =
  /** A message, once for each user. The GUID of a very old one is no SHA-1 (`isLegacyUuid`). */
  | { readonly kind: "message"; readonly guid: Guid }
  /** A file `cyrus.NAME` of a mailbox; of several the last counts. */
  | { readonly kind: "folder"; readonly uniqueid: string; readonly name: string }
  /** The entry links a mailbox's name to its uniqueid, or says that the name is gone. */
  | { readonly kind: "link"; readonly mailbox: string }
  /** A file of the user; of several the last counts. */
  | { readonly kind: "meta"; readonly name: string }
  /** What earlier releases of upstream wrote: it is kept in no index, and compaction drops it. */
  | { readonly kind: "history" };

/** Files of a mailbox that Bobbin writes, by the NAME of `cyrus.NAME`. */
export const FOLDER_FILE = {
  index: "index",
  header: "header",
  annotations: "annotations",
  mailboxAnnotations: "mailbox_annotations",
  /** What those cannot hold of a mailbox: a MAILBOX line without records (formats/sync). */
  state: "x-mailbox",
} as const;

/** Files of a user that Bobbin writes; those with an `x-` are unknown to upstream. */
export const META_FILE = {
  seen: "seen",
  subscriptions: "sub",
  sieve: "x-sieve",
  quotas: "x-quota",
  /** The end of a run: run_mark.ts. */
  run: "x-run",
} as const;

/** A part that becomes the key of a row, and never a path. */
const PART = /^[^/\0]+$/;

/** Undefined for a name that no entry of a backup has, or that has a part of the wrong form. */
export function parseEntryName(name: string): EntryName | undefined {
  const [first, second = "", third, ...more] = name.split("/");
  if (more.length > 0 || (third !== undefined && first !== "folders" && first !== "imap")) {
    return undefined;
  }
  switch (first) {
    case "files":
      return isGuid(second) ? { kind: "message", guid: second } : undefined;
    case "folders": {
      const [, file = ""] = /^cyrus\.(.+)$/s.exec(third ?? "") ?? [];
      const isSound = isUniqueid(second) && PART.test(file);
      return isSound ? { kind: "folder", uniqueid: second, name: file } : undefined;
    }
    case "imap":
      return third === "" && PART.test(second) ? { kind: "link", mailbox: second } : undefined;
    case "meta":
      return PART.test(second) ? { kind: "meta", name: second } : undefined;
    case "annot":
    case "sieve":
      return { kind: "history" };
    default:
      return undefined;
  }
}

/** The inverse of `parseEntryName`, for what is written. */
export function printEntryName(name: Exclude<EntryName, { kind: "history" }>): string {
  switch (name.kind) {
    case "message":
      return `files/${name.guid}`;
    case "folder":
      return `folders/${name.uniqueid}/cyrus.${name.name}`;
    case "link":
      return `imap/${name.mailbox}/`;
    case "meta":
      return `meta/${name.name}`;
  }
}

/** The uniqueid to which a link leads; "" where the name is gone, undefined where it leads away. */
export function parseLinkTarget(linkname: string): string | undefined {
  const target = linkname.replace(/^folders\//, "");
  return target === "" || isUniqueid(target) ? target : undefined;
}
