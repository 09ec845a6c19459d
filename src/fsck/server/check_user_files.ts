/**
 * What a user has outside of mailboxes: seen state, subscriptions, counters and conversations (rows SE01,
 * SE02, SU01, CO01, DB11, CV01).
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
import type { UserReading } from "../../places/cyrus/server/server_reading.ts";
import { type FindingFacts, finding } from "../finding_codes.ts";
import { describeUnreadable } from "../unreadable.ts";
import { checkDatabase } from "./check_databases.ts";
import type { LocatedFinding } from "./located_finding.ts";
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
export function checkUserFiles(input: UserFilesInput): LocatedFinding[] {
  const { userid } = input.reading.user;
  const findings = [
    ...checkSeenFile(input),
    ...checkSubscriptionFile(input),
    ...checkCounters(input.reading.counters, {
      owned: (input.directory.byOwner.get(userid) ?? []).filter(isNotDeleted),
      conversations: input.conversations,
    }),
    ...checkConversations(input),
  ];
  return findings.map((one) => ({ userid, finding: one }));
}

/** A user who was removed and made anew counts from the start, while deleted mailboxes keep theirs. */
function isNotDeleted({ entry }: ListedMailbox): boolean {
  return !parseName(entry.name).isDeleted;
}

function checkSeenFile({ reading, directory, complete }: UserFilesInput) {
  const { path } = reading.seen;
  const title = "seen database";
  const { findings, entries = [] } = checkDatabase(reading.seen, {
    code: "SE01",
    title,
    optional: true,
  });
  const remarks = entries.flatMap((entry) => {
    const remark = checkSeenEntry(entry, { userid: reading.user.userid, directory, complete });
    return remark === undefined ? [] : [finding(remark.code, { path, ...remark.facts })];
  });
  return [...findings, ...remarks];
}

interface Remark {
  readonly code: string;
  readonly facts: FindingFacts;
}

function checkSeenEntry(
  entry: DatabaseEntry,
  context: {
    readonly userid: string;
    readonly directory: MailboxDirectory;
    readonly complete: boolean;
  },
): Remark | undefined {
  const { userid, directory, complete } = context;
  let seen: ReturnType<typeof parseSeen>;
  let uids: UidRange[];
  try {
    seen = parseSeen(entry);
    uids = parseSequenceSet(seen.seenuids);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const text = `seen state cannot be parsed: expected ${error.expected}`;
    return { code: "SE01", facts: { text, field: Buffer.from(entry.key).toString("latin1") } };
  }
  const field = seen.uniqueid;
  const mailbox = directory.listedByUniqueid.get(seen.uniqueid);
  if (mailbox === undefined) {
    if (!complete || isKnownUniqueid(directory, seen.uniqueid)) return undefined;
    const text = "seen state of a mailbox that is gone";
    return { code: "SE01", facts: { severity: "info", text, field } };
  }
  const index = mailbox.facts?.index;
  if (index === undefined) return undefined;
  const other = mailbox.entry.name;
  const highest = Math.max(seen.lastuid, uids.at(-1)?.last ?? 0);
  if (highest > index.lastUid) {
    const text = "seen state goes beyond the last UID of the mailbox";
    return { code: "SE01", facts: { text, field, other, expected: index.lastUid, found: highest } };
  }
  const isOwn = useridOf(other) === userid;
  const isShared = hasBit(index.options, INDEX_OPTION.sharedSeen);
  if (index.minorVersion < 12 || !(isOwn || isShared)) return undefined;
  const text = isOwn
    ? "seen state of a mailbox of the user's own, whose records hold it since version 12"
    : "seen state of a mailbox whose records hold one for all users";
  return { code: "SE02", facts: { text, field, other } };
}

function checkSubscriptionFile({ reading, directory, complete }: UserFilesInput) {
  const { path } = reading.subscriptions;
  const code = "SU01";
  const title = "subscription database";
  const options = { code, title, optional: true, severity: "warning" as const };
  const checked = checkDatabase(reading.subscriptions, options);
  const findings = [...checked.findings];
  const inbox = reading.user.inbox?.name ?? "";
  const { version, names, unknown } = parseSubscriptions(checked.entries ?? [], { inbox });
  const add = (facts: FindingFacts) => findings.push(finding(code, { path, ...facts }));
  if (![0, 1, 2, 3].includes(version)) {
    add({
      severity: "warning",
      text: "unknown version of the subscription database",
      found: version,
    });
  }
  for (const key of unknown) {
    add({ severity: "warning", text: "key of the subscription database is no name", found: key });
  }
  for (const name of names) {
    if (complete && !isLiveName(directory, name)) add({ found: name });
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
    return [finding("CO01", { text: `counters ${describeUnreadable(reading)}`, path })];
  }
  let counters: Counters;
  try {
    counters = parseCounters(reading.bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return [finding("CO01", { text: `counters damaged: expected ${error.expected}`, path })];
  }
  // Without conversations each mailbox counts for itself, and these stay behind.
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
      const values = { expected: index.highestmodseq, found: highestmodseq };
      const text = "counters are behind the highestmodseq of a mailbox";
      findings.push(finding("CO01", { text, path, field: "highestmodseq", other, ...values }));
    }
    if (index !== undefined && index.uidvalidity > uidvalidity) {
      const values = { expected: index.uidvalidity, found: uidvalidity };
      const text = "counters are behind the uidvalidity of a mailbox";
      findings.push(finding("CO01", { text, path, field: "uidvalidity", other, ...values }));
    }
    if (entry.foldermodseq > highestmodseq) {
      const values = { expected: entry.foldermodseq, found: highestmodseq };
      findings.push(finding("DB11", { path, field: "foldermodseq", other, ...values }));
    }
  }
  return findings;
}

function checkConversations({ reading, directory, conversations }: UserFilesInput) {
  const { path } = reading.conversations;
  const code = "CV01";
  const options = { code, title: "conversations database", optional: true };
  const { findings } = checkDatabase(reading.conversations, options);
  if (!conversations || reading.conversations.state !== "missing") return findings;
  const owned = directory.byOwner.get(reading.user.userid) ?? [];
  const messages = owned.reduce((sum, { facts }) => sum + (facts?.index?.exists ?? 0), 0);
  if (messages === 0) return findings;
  return [finding(code, { text: "conversations are switched on, but there is no database", path })];
}
