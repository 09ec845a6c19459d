/**
 * A bare spool as the source of a place: the folder of a partition, or of one mailbox. What Cyrus
 * keeps elsewhere (mailboxes.db, annotations.db, seen state, subscriptions, quotas) is not read and
 * not made up.
 */
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { externalName } from "../../model/names.ts";
import { ok, refused } from "../../model/outcome.ts";
import { ALL_HELD, type Holds } from "../place.ts";
import { currentOf } from "./current.ts";
import type { CyrusSource } from "./cyrus_source.ts";
import { mailboxName, readSpool } from "./layout/spool.ts";
import { isOneOwners, nameOfRelative, uniqueidByPath } from "./layout/spool_names.ts";
import { requireRoot } from "./layout/walk.ts";
import {
  directoryOf,
  type ListedMailbox,
  type MailboxDirectory,
  type MailboxFolder,
} from "./listed_mailboxes.ts";
import type { PartitionRoots } from "./mailbox/mailbox_files.ts";
import { headerFileOf } from "./mailbox/mailbox_reading.ts";
import { accessError } from "./refused_access.ts";

/** Below a partition there are only the files of mailboxes. */
const HELD_BY_FOLDERS: Holds = {
  ...ALL_HELD,
  mailboxAnnotations: false,
  seen: false,
  subscriptions: false,
  sieveFiles: false,
  quotas: [],
};

export interface SpoolOptions {
  /** A folder without mailboxes is a spool too; otherwise it is refused as not_found. */
  readonly allowEmpty?: boolean | undefined;
}

/** The spool below `roots`. */
export function spoolSource(
  roots: PartitionRoots,
  { allowEmpty = false }: SpoolOptions = {},
): CyrusSource {
  return {
    locator: `cyrus:${roots.data}`,
    holds: HELD_BY_FOLDERS,
    directory: currentOf(() => {
      const directory = listSpool(roots, allowEmpty);
      if (directory.owners.length === 0 && !allowEmpty) throw noSpool(roots);
      return directory;
    }),
    facts: async ({ facts }) => ok(facts),
    meta: async () => ok({ seen: [], subscriptions: [], sieve: [] }),
    annotations: async () => ok([]),
    quota: async () => ok(undefined),
    sieveScript: async () => refused("notSupported", `A bare spool holds no sieve scripts`),
  };
}

function noSpool({ data }: PartitionRoots): AppError {
  return new AppError("not_found", `Cannot find any mailbox below ${data}`, {
    hint:
      "Is its disk mounted? Give the folder of a partition, the imapd.conf of a server, or, for " +
      "archives of backups, backup:FOLDER",
  });
}

/**
 * Every mailbox below the roots. A folder that cannot be read, and what stands in the place of one,
 * counts as a mailbox that cannot be read; where its path does not tell whose it is, as one of
 * everybody's. Throws AppError where there is nothing else, or the root cannot be read.
 */
function listSpool(roots: PartitionRoots, allowEmpty: boolean): MailboxDirectory {
  requireRoot(roots);
  const byName = new Map<string, ListedMailbox>();
  const anybodys: ListedMailbox[] = [];
  const { mailboxes, unreadable, misplaced } = readSpool(roots);
  // Without any mailbox it is no spool, and may hold any files.
  const isSpool = mailboxes.length + unreadable.length > 0 || allowEmpty;
  for (const { relative, path, errno } of [...unreadable, ...(isSpool ? misplaced : [])]) {
    const name = nameOfRelative(relative);
    const isOwned = name !== undefined && isOneOwners(name);
    const uniqueid = uniqueidByPath(path);
    const listed = {
      name: isOwned ? name : relative,
      folder: { roots, relative },
      facts: uniqueid === undefined ? {} : { uniqueid },
      flaw: `${path} cannot be read: ${errno}`,
    };
    if (isOwned) byName.set(name, listed);
    else anybodys.push(listed);
  }
  for (const paths of mailboxes) {
    const header = headerFileOf(paths);
    const name = mailboxName(paths, header?.name ?? undefined);
    const other = byName.get(name)?.folder;
    if (other?.relative === paths.relative) continue; // a part of it cannot be read
    const uniqueid = header?.uniqueid ?? uniqueidByPath(paths.data);
    byName.set(name, {
      name,
      folder: { roots, relative: paths.relative },
      // Where two mailboxes have one name, neither uniqueid can be said to belong to it.
      facts: uniqueid === undefined || other !== undefined ? {} : { uniqueid },
      ...(other !== undefined && { flaw: sharedName(name, [folderOf(other), paths.data]) }),
    });
  }
  const [first] = unreadable;
  if (byName.size === 0 && first !== undefined) throw accessError(first.path, first.errno);
  return directoryOf([...byName.values()], { anybodys });
}

function folderOf({ roots, relative }: MailboxFolder): string {
  return join(roots.data, relative);
}

function sharedName(name: string, folders: readonly [string, string]): string {
  return `both ${folders.join(" and ")} are called ${externalName(name)}`;
}
