/**
 * A bare spool as a place: the folder of a partition, or of one mailbox. What Cyrus keeps beside
 * the mailboxes (mailboxes.db, annotations.db, seen, subscriptions, quotas) is not here and not
 * made up.
 */
import { join } from "node:path";
import { externalName } from "../../model/names.ts";
import { ok, refused } from "../../model/outcome.ts";
import { ALL_HELD, type Holds } from "../place.ts";
import { currentOf } from "./current.ts";
import type { CyrusSource } from "./cyrus_source.ts";
import { mailboxName, readSpool } from "./layout/spool.ts";
import { nameOfRelative, uniqueidByPath } from "./layout/spool_names.ts";
import { directoryOf, type ListedMailbox } from "./listed_mailboxes.ts";
import type { PartitionRoots } from "./mailbox/mailbox_files.ts";
import { headerFileOf } from "./mailbox/mailbox_reading.ts";
import { accessError } from "./refused_access.ts";

/** What Cyrus keeps outside of the mailboxes' folders is not below a partition. */
const HELD_BY_FOLDERS: Holds = {
  ...ALL_HELD,
  mailboxAnnotations: false,
  seen: false,
  subscriptions: false,
  sieveFiles: false,
  quotas: [],
};

/** Made by the filesystem in its root, for itself. */
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
 * Every mailbox below the roots. A folder that cannot be looked into counts as a mailbox that
 * cannot be read; throws AppError where its path does not tell whose it is, for then any user's may
 * be missing.
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
      // Of two mailboxes neither uniqueid is that of the name.
      facts: uniqueid === undefined || other !== undefined ? {} : { uniqueid },
      ...(other !== undefined && {
        flaw:
          `both ${join(roots.data, other.relative)} and ${paths.data} are called ` +
          `${externalName(name)}`,
      }),
    });
  }
  return [...byName.values()];
}
