/**
 * A bare spool as the source of a place: the folder of a partition, or of one mailbox. What Cyrus
 * keeps elsewhere (mailboxes.db, annotations.db, seen state, subscriptions, quotas) is not read and
 * not made up.
 */
import { join } from "node:path";
import { externalName } from "../../model/names.ts";
import { ok, refused } from "../../model/outcome.ts";
import { ALL_HELD, type Holds } from "../place.ts";
import { currentOf } from "./current.ts";
import type { CyrusSource } from "./cyrus_source.ts";
import { mailboxName, readSpool } from "./layout/spool.ts";
import { nameOfRelative, uniqueidByPath } from "./layout/spool_names.ts";
import { directoryOf, type ListedMailbox, type MailboxFolder } from "./listed_mailboxes.ts";
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

/** The folder that a file system makes for itself in its root. */
const LOST_AND_FOUND = "lost+found";

/** The spool below `roots`. */
export function spoolSource(roots: PartitionRoots): CyrusSource {
  return {
    locator: `cyrus:${roots.data}`,
    holds: HELD_BY_FOLDERS,
    directory: currentOf(() => directoryOf(listSpool(roots))),
    facts: async ({ facts }) => ok(facts),
    meta: async () => ok({ seen: [], subscriptions: [], sieve: [] }),
    annotations: async () => ok([]),
    quota: async () => ok(undefined),
    sieveScript: async () => refused("notSupported", `A bare spool holds no sieve scripts`),
  };
}

/**
 * Every mailbox below the roots. A folder that cannot be read counts as a mailbox that cannot be
 * read. Throws AppError where the path of such a folder does not tell whose it is: mailboxes of any
 * user may be missing then.
 */
function listSpool(roots: PartitionRoots): ListedMailbox[] {
  const byName = new Map<string, ListedMailbox>();
  const { mailboxes, unreadable } = readSpool(roots);
  for (const { relative, errno } of unreadable) {
    if (relative === LOST_AND_FOUND) continue;
    const name = nameOfRelative(relative);
    const folder = join(roots.data, relative);
    if (name === undefined) throw accessError(folder, errno);
    const flaw = `${folder} cannot be read: ${errno}`;
    byName.set(name, { name, folder: { roots, relative }, facts: {}, flaw });
  }
  for (const paths of mailboxes) {
    const header = headerFileOf(paths);
    const name = mailboxName(paths, header?.name ?? undefined);
    const other = byName.get(name)?.folder;
    const uniqueid = header?.uniqueid ?? uniqueidByPath(paths.data);
    byName.set(name, {
      name,
      folder: { roots, relative: paths.relative },
      // Where two mailboxes have one name, neither uniqueid can be said to belong to it.
      facts: uniqueid === undefined || other !== undefined ? {} : { uniqueid },
      ...(other !== undefined && { flaw: sharedName(name, [folderOf(other), paths.data]) }),
    });
  }
  return [...byName.values()];
}

function folderOf({ roots, relative }: MailboxFolder): string {
  return join(roots.data, relative);
}

function sharedName(name: string, folders: readonly [string, string]): string {
  return `both ${folders.join(" and ")} are called ${externalName(name)}`;
}
