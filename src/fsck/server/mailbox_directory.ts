/** The mailboxes of a server by name, by uniqueid and by owner. */
import type { MailboxEntry } from "../../formats/cyrus/mailbox_entry.ts";
import type { MailboxesDb } from "../../formats/cyrus/mailboxes_db.ts";
import { useridOf } from "../../model/names.ts";
import type { MailboxFacts } from "../../places/cyrus/mailbox/mailbox_facts.ts";

/** An entry of mailboxes.db that should have a folder here, with that folder. */
export interface ListedMailbox {
  readonly entry: MailboxEntry;
  readonly facts: MailboxFacts | undefined;
}

/** The records of mailboxes.db by their keys. */
export interface RecordIndex {
  readonly byName: ReadonlyMap<string, MailboxEntry>;
  /** I records. */
  readonly byUniqueid: ReadonlyMap<string, MailboxEntry>;
}

export interface MailboxDirectory extends RecordIndex {
  readonly listedByUniqueid: ReadonlyMap<string, ListedMailbox>;
  /** Listed mailboxes of each user, deleted ones too; "" = shared. */
  readonly byOwner: ReadonlyMap<string, readonly ListedMailbox[]>;
}

/** The entries of mailboxes.db by name and by uniqueid. */
export function recordIndex({ names, uniqueids }: MailboxesDb): RecordIndex {
  const byName = new Map<string, MailboxEntry>();
  const byUniqueid = new Map<string, MailboxEntry>();
  for (const entry of names) byName.set(entry.name, entry);
  for (const entry of uniqueids) byUniqueid.set(entry.uniqueid ?? "", entry);
  return { byName, byUniqueid };
}

/** The entries of mailboxes.db joined with the mailboxes that have folders. */
export function mailboxDirectory(
  records: RecordIndex,
  listed: readonly ListedMailbox[],
): MailboxDirectory {
  const listedByUniqueid = new Map<string, ListedMailbox>();
  const ownerOf = ownerLookup();
  for (const mailbox of listed) {
    // Older releases keep the uniqueid in cyrus.header alone.
    const uniqueid = mailbox.entry.uniqueid ?? mailbox.facts?.header?.uniqueid;
    if (uniqueid) listedByUniqueid.set(uniqueid, mailbox);
  }
  const byOwner = Map.groupBy(listed, ({ entry }) => ownerOf(entry.name) ?? "");
  return { ...records, listedByUniqueid, byOwner };
}

/**
 * True where mailboxes.db knows of the uniqueid at all, if only by a tombstone or a purged mailbox.
 */
export function isKnownUniqueid(directory: MailboxDirectory, uniqueid: string): boolean {
  return directory.byUniqueid.has(uniqueid) || directory.listedByUniqueid.has(uniqueid);
}

/** True for the name of a mailbox that is there, here or on another server. */
export function isLiveName({ byName }: RecordIndex, name: string): boolean {
  return byName.get(name)?.type.deleted === false;
}

/** `useridOf`, which remembers the owner for the first two parts of a name. */
export function ownerLookup(): (name: string) => string | undefined {
  const owners = new Map<string, string | undefined>();
  return (name) => {
    const second = name.indexOf(".", name.indexOf(".") + 1);
    const start = second === -1 ? name : name.slice(0, second);
    // In the name of a deleted mailbox, or one in a domain, the user comes later.
    if (start.startsWith("DELETED.") || start.includes("!")) return useridOf(name);
    if (!owners.has(start)) owners.set(start, useridOf(start));
    return owners.get(start);
  };
}
