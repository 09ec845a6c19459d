/**
 * What a user has outside of mailboxes: seen state, subscriptions, counters and conversations (rows
 * SE01, SE02, SU01, CO01, DB11, CV01).
 */
import { FormatError } from "../../core/errors.ts";
import { type Counters, parseCounters } from "../../formats/cyrus/counters.ts";
import type { DatabaseEntry } from "../../formats/cyrus/databases/database_contents.ts";
import { hasBit, INDEX_OPTION } from "../../formats/cyrus/index/index_flags.ts";
import { parseSeen } from "../../formats/cyrus/seen.ts";
import { parseSubscriptions } from "../../formats/cyrus/sub.ts";
import { parseName, useridOf } from "../../model/names.ts";
import { parseSequenceSet, type UidRange } from "../../model/sequence_set.ts";
import type { FileReading } from "../../places/cyrus/server/database_file.ts";
import type { UserReading } from "../../places/cyrus/server/user_files.ts";
import { type Finding, finding, placed } from "../finding.ts";
import { checkDatabase } from "./check_databases.ts";
import {
  isKnownUniqueid,
  isLiveName,
  type ListedMailbox,
  type MailboxDirectory,
} from "./mailbox_directory.ts";

export interface UserFilesInput {
  readonly reading: UserReading;
  readonly directory: MailboxDirectory;
  /** False where mailboxes.db is damaged: then a mailbox that is not listed may exist. */
  readonly complete: boolean;
  readonly conversations: boolean;
}

/** Checks everything that was read of one user. */
export function checkUserFiles(input: UserFilesInput): Finding[] {
  const { userid } = input.reading.user;
  const findings: Finding[] = [
    ...checkSeenFile(input),
    ...checkSubscriptionFile(input),
    ...checkCounters(input.reading.counters, {
      owned: (input.directory.byOwner.get(userid) ?? []).filter(isNotDeleted),
      conversations: input.conversations,
    }),
    ...checkConversations(input),
  ];
  const { inScripts: path } = input.reading;
  // Neither a folder nor a link to one, so that nobody can list it.
  if (path !== undefined)
    findings.push(finding("PM01", { path }, { what: "folder", errno: "ENOTDIR" }));
  return findings.map((one) => placed(one, { userid }));
}

/**
 * A user who was removed and made anew counts from the start, while deleted mailboxes keep theirs.
 */
function isNotDeleted({ entry }: ListedMailbox): boolean {
  return !parseName(entry.name).isDeleted;
}

function checkSeenFile({ reading, directory, complete }: UserFilesInput) {
  const { path } = reading.seen;
  const { userid } = reading.user;
  const { findings, entries = [] } = checkDatabase(reading.seen, { code: "SE01", optional: true });
  const remarks = entries.flatMap(
    (entry) => checkSeenEntry(entry, { userid, path, directory, complete }) ?? [],
  );
  return [...findings, ...remarks];
}

function checkSeenEntry(
  entry: DatabaseEntry,
  context: {
    readonly userid: string;
    /** Of the seen database. */
    readonly path: string;
    readonly directory: MailboxDirectory;
    readonly complete: boolean;
  },
): Finding | undefined {
  const { userid, path, directory, complete } = context;
  let seen: ReturnType<typeof parseSeen>;
  let uids: UidRange[];
  try {
    seen = parseSeen(entry);
    uids = parseSequenceSet(seen.seenuids);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const key = Buffer.from(entry.key).toString("latin1");
    return finding("SE01", { path }, { what: "entry", key, expected: error.expected });
  }
  const { uniqueid } = seen;
  const listed = directory.listedByUniqueid.get(uniqueid);
  if (listed === undefined) {
    if (!complete || isKnownUniqueid(directory, uniqueid)) return undefined;
    return finding("SE01", { path }, { what: "gone", uniqueid });
  }
  const index = listed.facts?.index;
  if (index === undefined) return undefined;
  const mailbox = listed.entry.name;
  const { lastUid } = index;
  const highest = Math.max(seen.lastuid, uids.at(-1)?.last ?? 0);
  if (highest > lastUid) {
    const facts = { what: "beyond", uniqueid, mailbox, lastUid, seen: highest } as const;
    return finding("SE01", { path }, facts);
  }
  const isOwn = useridOf(mailbox) === userid;
  const isShared = hasBit(index.options, INDEX_OPTION.sharedSeen);
  if (index.minorVersion < 12 || !(isOwn || isShared)) return undefined;
  return finding("SE02", { path }, { what: isOwn ? "own" : "shared", uniqueid, mailbox });
}

function checkSubscriptionFile({ reading, directory, complete }: UserFilesInput) {
  const { path } = reading.subscriptions;
  const checked = checkDatabase(reading.subscriptions, { code: "SU01", optional: true });
  const findings = [...checked.findings];
  const inbox = reading.user.inbox?.name ?? "";
  const { version, names, unknown } = parseSubscriptions(checked.entries ?? [], { inbox });
  if (![0, 1, 2, 3].includes(version)) {
    findings.push(finding("SU01", { path }, { what: "version", found: version }));
  }
  for (const key of unknown) findings.push(finding("SU01", { path }, { what: "key", found: key }));
  for (const mailbox of names) {
    if (!complete || isLiveName(directory, mailbox)) continue;
    findings.push(finding("SU01", { path }, { what: "mailbox", mailbox }));
  }
  return findings;
}

/** The counters of a user, or of the shared namespace, against what they were counted for. */
export function checkCounters(
  reading: FileReading,
  context: { readonly owned: readonly ListedMailbox[]; readonly conversations: boolean },
) {
  const { path } = reading;
  // Cyrus makes them when it first needs them, which without conversations may be never.
  if (reading.state === "missing") return [];
  if (reading.state !== "read") {
    const { path: _, ...fault } = reading;
    return [finding("CO01", { path }, { fault })];
  }
  let counters: Counters;
  try {
    counters = parseCounters(reading.bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return [finding("CO01", { path }, { malformed: error.expected })];
  }
  // Without conversations each mailbox has counters of its own, and these fall behind.
  return context.conversations ? compareCounters(counters, context.owned, { path }) : [];
}

function compareCounters(
  counters: Counters,
  owned: readonly ListedMailbox[],
  { path }: { readonly path: string },
) {
  const findings = [];
  const { highestmodseq, uidvalidity } = counters;
  for (const { entry, facts } of owned) {
    const other = entry.name;
    const index = facts?.index;
    if (index !== undefined && index.highestmodseq > highestmodseq) {
      const values = { other, expected: index.highestmodseq, found: highestmodseq };
      findings.push(finding("CO01", { path }, { field: "highestmodseq", ...values }));
    }
    if (index !== undefined && index.uidvalidity > uidvalidity) {
      const values = { other, expected: index.uidvalidity, found: uidvalidity };
      findings.push(finding("CO01", { path }, { field: "uidvalidity", ...values }));
    }
    if (entry.foldermodseq > highestmodseq) {
      const values = { other, expected: entry.foldermodseq, found: highestmodseq };
      findings.push(finding("DB11", { path }, values));
    }
  }
  return findings;
}

function checkConversations({ reading, directory, conversations }: UserFilesInput) {
  const { path } = reading.conversations;
  const { findings } = checkDatabase(reading.conversations, { code: "CV01", optional: true });
  if (!conversations || reading.conversations.state !== "missing") return findings;
  const owned = directory.byOwner.get(reading.user.userid) ?? [];
  const messages = owned.reduce((sum, { facts }) => sum + (facts?.index?.exists ?? 0), 0);
  if (messages === 0) return findings;
  return [finding("CV01", { path }, { what: "none" })];
}
