/**
 * A whole Cyrus server against itself: everything that mailboxes.db, annotations.db, quota roots
 * and user files say of each other and of the folders. Pure: what is to be checked has been read
 * before.
 */
import { pushAll } from "../../core/lists.ts";
import type { MailboxEntry } from "../../formats/cyrus/mailbox_entry.ts";
import { isInbox, parseName, useridOf } from "../../model/names.ts";
import type { UserPlace } from "../../places/cyrus/layout/server_paths.ts";
import type { ServerFolders } from "../../places/cyrus/mailbox/mailbox_facts.ts";
import type { ServerReading } from "../../places/cyrus/server/server_reading.ts";
import type { UserReading } from "../../places/cyrus/server/user_files.ts";
import type { Finding } from "../finding.ts";
import { checkMailboxAnnotations } from "./check_annotations_db.ts";
import { checkDatabase, checkUnreadRecords } from "./check_databases.ts";
import { checkMailboxList } from "./check_mailbox_list.ts";
import { checkMailboxRecords } from "./check_mailbox_records.ts";
import { checkQuota } from "./check_quota.ts";
import { checkCounters, checkUserFiles } from "./check_user_files.ts";
import {
  type ListedMailbox,
  type MailboxDirectory,
  mailboxDirectory,
  recordIndex,
} from "./mailbox_directory.ts";

/** What was found in the server's own files, and what the checks of users need to know of them. */
export interface ServerCheck {
  readonly findings: readonly Finding[];
  /** Mailboxes that mailboxes.db places here, with their folders. */
  readonly listed: readonly ListedMailbox[];
  /** Everybody with an INBOX here. */
  readonly users: readonly UserPlace[];
  readonly directory: MailboxDirectory;
  /** False where mailboxes.db is damaged or was not read. */
  readonly complete: boolean;
}

export interface ServerCheckInput {
  readonly server: ServerReading;
  /** Every mailbox folder of every partition. */
  readonly folders: ServerFolders;
  readonly nowSeconds: number;
}

/** Checks everything but the files of users. */
export function checkServer({ server, folders, nowSeconds }: ServerCheckInput): ServerCheck {
  const { conf, mailboxes, mailboxesFile } = server;
  const file = checkDatabase(mailboxesFile, { code: "DB01", optional: false });
  const deliver = checkDatabase(server.deliverFile, { code: "DB12", optional: true });
  const findings = [...file.findings, ...deliver.findings];
  if (mailboxes === undefined) {
    const directory = mailboxDirectory({ byName: new Map(), byUniqueid: new Map() }, []);
    const annotations = checkMailboxAnnotations(server.annotationsFile, directory, {
      complete: false,
    });
    pushAll(findings, annotations);
    return { findings, listed: [], users: [], directory, complete: false };
  }
  const unread = checkUnreadRecords(mailboxes, mailboxesFile.path);
  const complete = file.complete && unread.length === 0;
  pushAll(findings, unread);
  const list = checkMailboxList({ mailboxes, complete, conf, folders, nowSeconds });
  const { listed } = list;
  const { deletedprefix, admins } = conf;
  const records = recordIndex(mailboxes);
  findings.push(
    ...list.findings,
    ...checkMailboxRecords({ mailboxes, complete, deletedprefix, admins, records }),
    ...checkQuotas(server, { listed, complete }),
  );
  const directory = mailboxDirectory(records, listed);
  findings.push(
    ...checkMailboxAnnotations(server.annotationsFile, directory, { complete }),
    ...checkShared(server, directory),
  );
  return { findings, listed, users: usersOf(mailboxes.names, server), directory, complete };
}

/** Checks the files of one user. */
export function checkUser(
  reading: UserReading,
  server: ServerReading,
  { directory, complete }: Pick<ServerCheck, "directory" | "complete">,
): Finding[] {
  const { conversations } = server.conf;
  return checkUserFiles({ reading, directory, complete, conversations });
}

function checkQuotas(
  server: ServerReading,
  { listed, complete }: Pick<ServerCheck, "listed" | "complete">,
): Finding[] {
  const { roots, file } = server.quotas;
  const checked = file && checkDatabase(file, { code: "QU01", optional: true });
  const findings = [...(checked?.findings ?? [])];
  // If some roots cannot be read, a root that a cyrus.header names may be one of them.
  if (checked !== undefined && !checked.complete) return findings;
  return [...findings, ...checkQuota({ roots, listed, complete, conf: server.conf })];
}

function checkShared(server: ServerReading, directory: MailboxDirectory): Finding[] {
  const owned = (directory.byOwner.get("") ?? []).filter(
    ({ entry }) => !parseName(entry.name).isDeleted,
  );
  const { conversations } = server.conf;
  return checkCounters(server.sharedCounters, { owned, conversations });
}

function usersOf(names: readonly MailboxEntry[], server: ServerReading): UserPlace[] {
  const keyed = server.mailboxes?.generation === "keyed";
  const users: UserPlace[] = [];
  for (const { name, uniqueid, type } of names) {
    const hasBelow = name.indexOf(".", name.indexOf(".") + 1) !== -1;
    if (type.deleted || type.remote || (hasBelow && !name.includes("!"))) continue;
    const userid = isInbox(name) ? useridOf(name) : undefined;
    if (userid === undefined) continue;
    users.push({ userid, inbox: { name, uniqueid, legacy: type.legacy || !keyed } });
  }
  return users;
}
