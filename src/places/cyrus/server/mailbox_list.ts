import type { DatabaseEntry } from "../../../formats/cyrus/databases/database_contents.ts";
import type { MailboxEntry } from "../../../formats/cyrus/mailbox_entry.ts";
import { type MailboxesDb, parseMailboxesDb } from "../../../formats/cyrus/mailboxes_db.ts";
import type { ListedFacts } from "../../../mailbox/mailbox_state.ts";
import { printAcl } from "../../../model/acl.ts";
import type { DeletedMailbox } from "../../../model/mailbox.ts";
import { externalName } from "../../../model/names.ts";
import { type Outcome, ok, refused } from "../../../model/outcome.ts";
import { type MailboxPlace, mailboxFolder } from "../layout/server_paths.ts";
import type { ListedMailbox } from "../listed_mailboxes.ts";
import { mailboxPaths } from "../mailbox/mailbox_files.ts";
import { headerFileOf } from "../mailbox/mailbox_reading.ts";
import { entriesOf } from "./database_access.ts";
import { readDatabaseFile } from "./database_file.ts";
import type { ImapdConf } from "./imapd_conf.ts";

export interface MailboxList {
  readonly mailboxes: readonly ListedMailbox[];
  /** Those that have left a tombstone. */
  readonly deleted: readonly DeletedMailbox[];
}

/** Reads mailboxes.db. Mailboxes of other servers are left out. */
export async function readMailboxList(conf: ImapdConf): Promise<Outcome<MailboxList>> {
  const { path, format } = conf.mailboxesDb;
  const reading = await readDatabaseFile(path, { expected: format });
  if (reading.state === "missing") return refused("nonexistent", `There is no ${path}`);
  const entries = entriesOf(reading);
  if (entries.kind === "refused") return entries;
  const database = parseMailboxesDb(nameRecords(entries.value));
  const [problem] = database.problems;
  if (problem !== undefined) {
    const key = JSON.stringify(problem.key);
    return refused("damaged", `Cannot read ${path}: record ${key}: expected ${problem.expected}`);
  }
  const context = { database, conf, acls: new Map() };
  const here = database.names.filter(isHere);
  const mailboxes = withoutSharing(here.map((entry) => listedOf(entry, context)));
  return ok({ mailboxes, deleted: database.names.flatMap(tombstoneOf) });
}

function tombstoneOf({ name, uniqueid, type, mtime }: MailboxEntry): DeletedMailbox[] {
  if (!type.deleted || type.intermediate || uniqueid === undefined) return [];
  return [{ name, uniqueid, deleted: mtime * 1000 }];
}

const NAME_KEY = 0x4e;
const LEVEL_SEPARATOR = 0x1f;

/**
 * The records by name. Since 3.6 the same mailboxes are listed by uniqueid too, which would only
 * double the work.
 */
function nameRecords(entries: readonly DatabaseEntry[]): readonly DatabaseEntry[] {
  const isKeyed = entries.some(({ key }) => key.includes(LEVEL_SEPARATOR));
  return isKeyed ? entries.filter(({ key }) => key[0] === NAME_KEY) : entries;
}

/** Marks mailboxes that share one folder: nobody can tell whose the mail in it is. */
function withoutSharing(mailboxes: readonly ListedMailbox[]): readonly ListedMailbox[] {
  const byFolder = new Map<string, ListedMailbox>();
  const flaws = new Map<ListedMailbox, string>();
  for (const mailbox of mailboxes) {
    const { folder } = mailbox;
    if (folder === undefined) continue;
    const other = byFolder.get(folder.relative);
    byFolder.set(folder.relative, mailbox);
    if (other?.folder?.roots !== folder.roots) continue;
    const names = [other, mailbox].map(({ name }) => externalName(name)).join(" and ");
    for (const one of [other, mailbox])
      flaws.set(one, `${names} have one folder, ${folder.relative}`);
  }
  if (flaws.size === 0) return mailboxes;
  return mailboxes.map((mailbox) => {
    const flaw = flaws.get(mailbox);
    return flaw === undefined ? mailbox : { ...mailbox, flaw };
  });
}

function isHere({ type, server }: MailboxEntry): boolean {
  return !type.deleted && !type.reserved && !type.remote && server === undefined;
}

/** How mailboxes.db says that the folder of a mailbox is found; before 3.6 always by name. */
export function placeOf(
  { name, uniqueid, type }: MailboxEntry,
  { generation }: Pick<MailboxesDb, "generation">,
): MailboxPlace {
  return { name, uniqueid, legacy: type.legacy || generation !== "keyed" };
}

interface Context {
  readonly database: MailboxesDb;
  readonly conf: ImapdConf;
  /** ACLs that were printed already: many mailboxes share one. */
  readonly acls: Map<MailboxEntry["acl"], string>;
}

function listedOf(entry: MailboxEntry, context: Context): ListedMailbox {
  const { database, conf } = context;
  const { name, type } = entry;
  const place = placeOf(entry, database);
  const facts = factsOf(entry, context);
  const base = { name, place, facts };
  if (type.intermediate) return { ...base, folder: undefined };
  const partition = entry.partition ?? "";
  const roots = conf.partitions.get(partition);
  if (roots === undefined) {
    return { ...base, folder: undefined, flaw: `${conf.path} has no partition ${partition}` };
  }
  const relative = mailboxFolder(place, conf);
  if (relative === undefined) {
    return { ...base, folder: undefined, flaw: `${place.uniqueid} names no folder` };
  }
  const folder = { roots, relative };
  if (entry.uniqueid !== undefined) return { ...base, folder };
  // An old mailboxes.db holds no uniqueids: cyrus.header does.
  const { uniqueid } = headerFileOf(mailboxPaths(roots, relative)) ?? {};
  return { ...base, folder, facts: { ...facts, ...(uniqueid != null && { uniqueid }) } };
}

function factsOf(entry: MailboxEntry, { database, acls }: Context): ListedFacts {
  const acl = acls.get(entry.acl) ?? printAcl(entry.acl);
  acls.set(entry.acl, acl);
  const { uniqueid, type, jmapid, partition, createdmodseq, foldermodseq } = entry;
  const { uidvalidity } = entry;
  return {
    ...(uniqueid !== undefined && { uniqueid }),
    type: type.text,
    ...(jmapid !== undefined && { jmapid }),
    ...(partition !== undefined && { partition }),
    ...(uidvalidity !== 0 && { uidvalidity }),
    acl,
    // The old text form of a record has no modseqs, and Cyrus before 3.2 writes none.
    ...(database.generation !== "text" && { createdmodseq }),
    ...(foldermodseq !== 0n && { foldermodseq }),
  };
}
