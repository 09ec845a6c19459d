/**
 * Mailboxes of a store whose journal has something that is not yet done to their files, as a kill
 * leaves them. fsck does none of it; it checks such a mailbox with the journal laid over its files.
 */
import { basename, dirname, join, relative } from "node:path";
import { type MailboxPaths, mailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { isOfDatabase } from "../../places/store/catalogue/damage.ts";
import { readableMailboxes } from "../../places/store/catalogue/mailbox_rows.ts";
import {
  type UnsettledMailbox,
  unsettledMailbox,
} from "../../places/store/commit/committed_files.ts";
import type { OwnerFolder } from "../../places/store/commit/owner_folder.ts";
import type { Store } from "../../places/store/store.ts";
import { createFile, makeFolder, statOf } from "../../storage/disk.ts";
import { makePrivateFolder, removePrivateFolder } from "../../storage/private_folder.ts";
import { type Finding, placed } from "../finding.ts";
import type { LaidOver } from "../spool/check_spool.ts";
import type { FolderIdentity, Listing } from "../spool/listed.ts";

/** The mailboxes of a store by its catalogues, which know better than the folders. */
export interface MailboxesInStore {
  /** By uniqueid, which is what a mailbox's folder is called. */
  readonly names: ReadonlyMap<string, FolderIdentity>;
  /** What is to be checked: less what the journal takes away, and with what it will bring. */
  readonly asCommitted: (found: readonly MailboxPaths[]) => readonly MailboxPaths[];
  readonly laidOver: (paths: MailboxPaths) => LaidOver | undefined;
  /** Reads the catalogues again. */
  readonly relist: () => Promise<Listing>;
}

/**
 * Reads every catalogue of the store once. One that cannot be read is the store check's to report.
 */
export function mailboxesInStore(store: Store): MailboxesInStore {
  const { names, unsettled } = readCatalogues(store);
  return {
    names,
    relist: async () => listingOf(readCatalogues(store)),
    asCommitted: (found) => {
      const met = new Set(found.map((paths) => paths.relative));
      const coming = [...unsettled].filter(([path, { stays }]) => stays && !met.has(path));
      return [
        ...found.filter((paths) => unsettled.get(paths.relative)?.stays !== false),
        ...coming.map(([path]) => mailboxPaths({ data: store.root }, path)),
      ];
    },
    laidOver: (paths) => {
      const known = unsettled.get(paths.relative);
      return known === undefined ? undefined : layOver(known.folder, paths);
    },
  };
}

interface Catalogues {
  readonly names: ReadonlyMap<string, FolderIdentity>;
  /** Folders of mailboxes whose journal had something left, by their paths below the store. */
  readonly unsettled: ReadonlyMap<
    string,
    { readonly folder: OwnerFolder; readonly stays: boolean }
  >;
  /** Folders below the store of owners whose catalogue was read whole. */
  readonly owners: ReadonlySet<string>;
}

/**
 * A folder that the catalogue does not name is no mailbox: what it is, the store's own check tells.
 */
function listingOf({ names, owners }: Catalogues): Listing {
  return {
    at: (path) => names.get(basename(path)) ?? (owners.has(dirname(path)) ? undefined : "unknown"),
    folders: [], // a rename moves no folder
    checksUnlisted: false,
  };
}

function readCatalogues(store: Store): Catalogues {
  const owners = new Set<string>();
  const names = new Map<string, FolderIdentity>();
  const unsettled = new Map<string, { readonly folder: OwnerFolder; readonly stays: boolean }>();
  for (const owner of store.owners()) {
    try {
      const folder = store.find(owner);
      if (folder === undefined) continue;
      const mine = new Set<string>();
      const below = relative(store.root, folder.folder);
      const { rows, damaged } = folder.read(readableMailboxes);
      for (const { uniqueid, name, intermediate } of rows) {
        names.set(uniqueid, { name });
        if (!intermediate) mine.add(uniqueid);
      }
      for (const { uniqueid } of folder.pending()) {
        const path = join(below, uniqueid);
        unsettled.set(path, { folder, stays: mine.has(uniqueid) });
      }
      if (damaged.length === 0) owners.add(below);
    } catch (error) {
      if (!isOfDatabase(error)) throw error;
    }
  }
  return { names, unsettled, owners };
}

/** Undefined also where its files are unreadable or unfit: they are checked as they lie. */
function readUnsettled(folder: OwnerFolder, uniqueid: string): UnsettledMailbox | undefined {
  try {
    return unsettledMailbox(folder, uniqueid);
  } catch (error) {
    if (!isOfDatabase(error)) throw error;
    return undefined;
  }
}

/** Writes the files that the journal changes where only this process looks. */
function layOver(folder: OwnerFolder, paths: MailboxPaths): LaidOver | undefined {
  const uniqueid = basename(paths.relative);
  const mailbox = readUnsettled(folder, uniqueid);
  if (mailbox === undefined) return undefined;
  const top = makePrivateFolder();
  const aside = join(top, uniqueid);
  makeFolder(aside);
  for (const [name, bytes] of mailbox.files) {
    if (bytes !== undefined) createFile(join(aside, name), bytes);
  }
  const at = (name: "cyrus.index" | "cyrus.header" | "cyrus.cache" | "cyrus.annotations") =>
    join(mailbox.files.has(name) ? aside : mailbox.path, name);
  return {
    paths: {
      ...paths,
      // A mailbox that is just being made has no folder yet.
      data: statOf(mailbox.path) === undefined ? aside : mailbox.path,
      ...{ header: at("cyrus.header"), index: at("cyrus.index") },
      ...{ cache: at("cyrus.cache"), annotations: at("cyrus.annotations") },
    },
    stands: mailbox.stands,
    findings: (found) => found.flatMap((one) => inStore(one, aside, paths.data)),
    close: () => removePrivateFolder(top),
  };
}

/** A finding with the path that people know; owners and modes of files are not the store's. */
function inStore(found: Finding, aside: string, folder: string): Finding[] {
  const { path } = found.at;
  if (path === undefined || !path.startsWith(aside)) return [found];
  if (found.code === "PM01" || found.code === "PM02") return [];
  return [placed(found, { path: folder + path.slice(aside.length) })];
}
