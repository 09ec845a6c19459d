/**
 * The state of a mailbox as replication tells it: MAILBOX of GET without its records (sync-protocol
 * 4.3).
 */
import { larger } from "../core/bigints.ts";
import { INDEX_OPTION } from "../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../formats/cyrus/index/index_header.ts";
import type { Annotation } from "../model/annotation.ts";
import type { FlawedSetting, MailboxState } from "../model/mailbox.ts";
import { optionLetters } from "./mail_record.ts";
import type { MailboxContents } from "./mailbox_contents.ts";
import { annotCrcFor } from "./sums.ts";

/** What other databases say of a mailbox. A field is absent where its database cannot be asked. */
export interface ListedFacts {
  readonly uniqueid?: string;
  /** Letters of the type, as in mailboxes.db. */
  readonly type?: string;
  readonly jmapid?: string;
  readonly partition?: string;
  readonly uidvalidity?: number;
  /** Tab form, see model/acl.ts. */
  readonly acl?: string;
  readonly createdmodseq?: bigint;
  readonly foldermodseq?: bigint;
  readonly raclmodseq?: bigint;
  readonly xconvmodseq?: bigint;
  readonly annotations?: readonly Annotation[];
  /** Databases that could not be asked. */
  readonly flawed?: readonly FlawedSetting[];
}

/** The state of a mailbox that was read. Where `facts` and cyrus.header differ, `facts` count. */
export function stateOf(name: string, contents: MailboxContents, facts: ListedFacts): MailboxState {
  const { header, index, sums } = contents;
  const { header: numbers } = index;
  const type = typeLetters(facts.type ?? header.type ?? "");
  const jmapid = facts.jmapid ?? header.jmapid ?? undefined;
  const quotaroot = header.quotaroot ?? undefined;
  return {
    ...(jmapid !== undefined && { jmapid }),
    uniqueid: facts.uniqueid ?? header.uniqueid ?? "",
    name,
    ...(type !== undefined && { type }),
    syncCrc: sums.syncCrc,
    syncCrcAnnot: annotCrcFor(numbers, sums),
    // A crash within a commit leaves the header behind its records (spool-format 9).
    lastUid: Math.max(sums.maxUid, numbers.lastUid),
    highestmodseq: larger(sums.maxModseq, numbers.highestmodseq) || 1n,
    recentUid: numbers.recentuid,
    recentTime: numbers.recenttime,
    lastAppenddate: numbers.lastAppenddate,
    pop3LastLogin: numbers.pop3LastLogin,
    pop3ShowAfter: numbers.pop3ShowAfter,
    ...(facts.xconvmodseq !== undefined && { xconvmodseq: facts.xconvmodseq }),
    ...(facts.raclmodseq !== undefined && { raclmodseq: facts.raclmodseq }),
    version: numbers.minorVersion,
    uidvalidity: numbers.uidvalidity,
    partition: facts.partition ?? null,
    acl: facts.acl ?? header.acl ?? "",
    options: optionLetters(effectiveOptions(numbers)),
    ...(quotaroot !== undefined && { quotaroot }),
    // The index has no field for it before version 16; mailboxes.db is not asked instead.
    ...(numbers.createdmodseq !== 0n && { createdmodseq: numbers.createdmodseq }),
    ...(facts.foldermodseq !== undefined && { foldermodseq: facts.foldermodseq }),
    deletedmodseq: numbers.deletedmodseq,
    annotations: facts.annotations ?? [],
    userflags: header.userFlags.filter((flag) => flag !== undefined),
  };
}

/** The state of a name that only holds a place in the tree: its numbers are zero (4.3). */
export function intermediateState(name: string, facts: ListedFacts): MailboxState {
  const { createdmodseq, foldermodseq } = facts;
  return {
    uniqueid: facts.uniqueid ?? "",
    name,
    type: typeLetters(facts.type ?? "ei") ?? "ei",
    syncCrc: 0,
    lastUid: 0,
    highestmodseq: 0n,
    recentUid: 0,
    recentTime: 0,
    lastAppenddate: 0,
    pop3LastLogin: 0,
    pop3ShowAfter: 0,
    uidvalidity: 0,
    partition: facts.partition ?? null,
    acl: facts.acl ?? "",
    options: "",
    ...(createdmodseq !== undefined && { createdmodseq }),
    ...(foldermodseq !== undefined && { foldermodseq }),
    annotations: [],
  };
}

/** The letters without `l`, which says how the folder is found. Undefined for plain mail. */
function typeLetters(letters: string): string | undefined {
  const sent = letters.replaceAll("l", "");
  return sent === "" || sent === "e" ? undefined : sent;
}

/** An empty mailbox counts as having new UIDLs, whatever its index says (spool-format 1.2). */
function effectiveOptions({ options, exists, minorVersion, numRecords }: IndexHeader): number {
  const messages = minorVersion < 12 ? numRecords : exists;
  return messages === 0 ? options | INDEX_OPTION.pop3NewUidl : options;
}
