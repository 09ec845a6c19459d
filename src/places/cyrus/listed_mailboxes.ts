/** The mailboxes of a Cyrus place: by name, by uniqueid, by owner. */

import type { ListedFacts } from "../../mailbox/mailbox_state.ts";
import type { DeletedMailbox } from "../../model/mailbox.ts";
import { externalName, type Owner, ownerKey, parseName } from "../../model/names.ts";
import { type Outcome, refused } from "../../model/outcome.ts";
import { type LockPaths, lockMailbox } from "../../storage/file_locks.ts";
import type { LockFiles, MailboxPlace } from "./layout/server_paths.ts";
import { type MailboxPaths, mailboxPaths, type PartitionRoots } from "./mailbox/mailbox_files.ts";
import { type MailboxSnapshot, takeSnapshot } from "./mailbox/snapshot.ts";

export interface ListedMailbox {
  /** Internal name. */
  readonly name: string;
  /** Where its files lie. Undefined for a name that only holds a place in the tree. */
  readonly folder: MailboxFolder | undefined;
  readonly facts: ListedFacts;
  /** How a server finds the folder. Undefined where only the folder is known. */
  readonly place?: MailboxPlace;
  /** Why the mailbox must not be read: another one claims its name or its folder. */
  readonly flaw?: string;
}

/** The folder of a mailbox, as small as can be: a server has some hundred thousand. */
export interface MailboxFolder {
  readonly roots: PartitionRoots;
  /** The path below each of the roots. */
  readonly relative: string;
}

/** The files of a mailbox; undefined where it has none. */
export function pathsOf({ folder }: Pick<ListedMailbox, "folder">): MailboxPaths | undefined {
  return folder && mailboxPaths(folder.roots, folder.relative);
}

export interface MailboxDirectory {
  readonly owners: readonly Owner[];
  named(name: string): ListedMailbox | undefined;
  withUniqueid(uniqueid: string): ListedMailbox | undefined;
  /** Deleted ones too, in the order of their names. */
  ownedBy(owner: Owner): readonly ListedMailbox[];
  /** Mailboxes of the owner that are listed as deleted. */
  deletedOf(owner: Owner): readonly DeletedMailbox[];
}

/**
 * A directory of these mailboxes. Of several with one name only the last is found: see `flaw`.
 * `anybodys` are folders that cannot be read and whose path does not tell their owner. They are
 * listed with the mailboxes of every owner, as any of them may belong to that owner.
 */
export function directoryOf(
  mailboxes: readonly ListedMailbox[],
  {
    anybodys = [],
    deleted = [],
  }: {
    readonly anybodys?: readonly ListedMailbox[];
    readonly deleted?: readonly DeletedMailbox[];
  } = {},
): MailboxDirectory {
  const byName = new Map<string, ListedMailbox>();
  const byUniqueid = new Map<string, ListedMailbox>();
  const byOwner = new Map<string, { readonly owner: Owner; readonly mailboxes: ListedMailbox[] }>();
  const sorted = mailboxes.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  for (const mailbox of sorted) {
    byName.set(mailbox.name, mailbox);
    const { uniqueid } = mailbox.facts;
    if (uniqueid !== undefined) byUniqueid.set(uniqueid, mailbox);
    const { owner } = parseName(mailbox.name);
    const key = ownerKey(owner);
    const known = byOwner.get(key);
    if (known === undefined) byOwner.set(key, { owner, mailboxes: [mailbox] });
    else known.mailboxes.push(mailbox);
  }
  const keyed = (name: string) => ownerKey(parseName(name).owner);
  let deletedByOwner: ReadonlyMap<string, readonly DeletedMailbox[]> | undefined;
  return {
    owners: [...byOwner.values()].map(({ owner }) => owner),
    named: (name) => byName.get(name),
    withUniqueid: (uniqueid) => byUniqueid.get(uniqueid),
    ownedBy: (owner) => [...(byOwner.get(ownerKey(owner))?.mailboxes ?? []), ...anybodys],
    deletedOf: (owner) => {
      deletedByOwner ??= Map.groupBy(deleted, ({ name }) => keyed(name));
      return deletedByOwner.get(ownerKey(owner)) ?? [];
    },
  };
}

/** How the files of mailboxes are read. */
export interface SnapshotOptions {
  /** What proves sound of a damaged mailbox is read, in place of nothing of it. */
  readonly salvages?: boolean;
  /** Cyrus' lock files of a mailbox, where it is to be read under them. */
  readonly locksOf?: (mailbox: ListedMailbox) => LockFiles | undefined;
}

/**
 * Reads a listed mailbox as of one moment. Refused as `moved` where another mailbox lies there than
 * was listed, otherwise as `takeSnapshot` refuses.
 */
export async function snapshotOfListed(
  mailbox: ListedMailbox,
  { salvages = false, locksOf }: SnapshotOptions = {},
): Promise<Outcome<MailboxSnapshot>> {
  const { name, facts, flaw } = mailbox;
  const paths = pathsOf(mailbox);
  if (paths === undefined || flaw !== undefined) {
    return refused("damaged", `Cannot read ${externalName(name)}: ${flaw ?? "it has no folder"}`);
  }
  const take = () => takeSnapshot({ name, paths, ...(salvages && { known: facts }) });
  const locks = locksOf?.(mailbox);
  const lockPaths = locks && { ...locks, index: paths.index };
  const outcome = await (lockPaths === undefined ? take() : underLocks(name, lockPaths, take));
  if (outcome.kind === "refused") return outcome;
  const { uniqueid } = outcome.value.header;
  if (facts.uniqueid === undefined || uniqueid == null || uniqueid === facts.uniqueid) {
    return outcome;
  }
  const found = `uniqueid ${uniqueid} in ${paths.header}, not ${facts.uniqueid}`;
  return refused("moved", `Cannot read ${externalName(name)}: ${found}`);
}

/** Does `work` while no writer of Cyrus can; `busy` where one stays for longer than is waited. */
async function underLocks<Value>(
  name: string,
  locks: LockPaths,
  work: () => Promise<Outcome<Value>>,
): Promise<Outcome<Value>> {
  const held = await lockMailbox(locks);
  if (held === undefined) {
    return refused("busy", `Cannot lock ${externalName(name)}: a writer does not let go of it`);
  }
  try {
    return await work();
  } finally {
    held.release();
  }
}
