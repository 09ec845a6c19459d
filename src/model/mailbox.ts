/**
 * A mailbox and what belongs to a user beside mailboxes, as replication sees them (sync-protocol.md 4.1
 * and 4.3). Texts are latin1: each character is one byte, for names and ACLs are bytes until they
 * prove otherwise. What a peer has not said is absent, not zero: a replica must give back exactly
 * what it was given, or its master sends the mailbox again every time (5.6).
 */
import type { Annotation } from "./annotation.ts";
import type { Guid } from "./guid.ts";
import type { Refusal } from "./outcome.ts";
import type { MailRecord } from "./record.ts";

export interface MailboxState {
  /** Short id of master's JMAP; null where the peer said NIL. */
  readonly jmapid?: string | null;
  /** Opaque: 16 hex digits, a UUID, 24 letters and digits. */
  readonly uniqueid: string;
  /** Internal name, `user.anne.Sub`. */
  readonly name: string;
  /** Letters of the mailbox type; absent = plain mail. */
  readonly type?: string;
  /** 0 = not to be compared. */
  readonly syncCrc?: number;
  /** 0 = not to be compared; variants in 5.1. */
  readonly syncCrcAnnot?: number;
  /** The highest UID ever used. */
  readonly lastUid: number;
  readonly highestmodseq: bigint;
  readonly recentUid: number;
  readonly recentTime: number;
  readonly lastAppenddate?: number;
  readonly pop3LastLogin: number;
  readonly pop3ShowAfter?: number;
  readonly xconvmodseq?: bigint;
  readonly compactEmailids?: number;
  readonly raclmodseq?: bigint;
  /** TAB-joined names of groups. */
  readonly usergroups?: string;
  /** Minor version of the index. */
  readonly version?: number;
  readonly uidvalidity: number;
  /** Null where the peer said NIL, as for intermediates. */
  readonly partition: string | null;
  /** Tab form, see acl.ts; null where the peer said NIL. */
  readonly acl: string | null;
  /** Letters in the order P, S, D, A. */
  readonly options: string;
  readonly quotaroot?: string;
  readonly createdmodseq?: bigint;
  readonly foldermodseq?: bigint;
  /** Everything deleted up to here has been forgotten. */
  readonly deletedmodseq?: bigint;
  /** Those of the mailbox itself. */
  readonly annotations: readonly Annotation[];
  /** Keywords defined in the mailbox, used or not; absent from peers before 3.12. */
  readonly userflags?: readonly string[];
}

/** What an APPLY expects to find; a mismatch refuses it as `changed`. */
export interface Since {
  readonly modseq: bigint;
  readonly crc?: number;
  readonly crcAnnot?: number;
}

/** Records in batches of any size, ascending by UID; may be gone through more than once. */
export interface RecordSource {
  batches(): AsyncIterable<readonly MailRecord[]> | Iterable<readonly MailRecord[]>;
}

/** True for a name that only holds a place in the tree: no messages, no index. */
export function isIntermediate(mailbox: Pick<MailboxState, "type">): boolean {
  return mailbox.type?.includes("i") ?? false;
}

/** True for a mailbox whose messages are the scripts of its user. */
export function isSieveMailbox(mailbox: Pick<MailboxState, "type">): boolean {
  return mailbox.type?.startsWith("f") ?? false;
}

/** Records that are at hand. */
export function recordsOf(records: readonly MailRecord[]): RecordSource {
  return { batches: () => (records.length === 0 ? [] : [records]) };
}

/** What one reader has seen of one mailbox. */
export interface SeenState {
  readonly uniqueid: string;
  /** Unix seconds. */
  readonly lastRead: number;
  readonly lastUid: number;
  /** Unix seconds. */
  readonly lastChange: number;
  /** A sequence set as text, possibly empty; see sequence_set.ts. */
  readonly seenUids: string;
}

/** A file of a user's sieve folder: `x.script`, and `x.bc` as the bearer of the active mark. */
export interface SieveFile {
  readonly filename: string;
  /** Unix seconds. */
  readonly lastUpdate: number;
  /** Of the content; absent from 2.4, all zeros for `x.bc`. */
  readonly guid?: Guid;
  readonly isActive: boolean;
}

/** The resources a quota can limit, by their names since 3.10. */
export const QUOTA_RESOURCES = ["STORAGE", "MESSAGE", "ANNOTATION-STORAGE", "MAILBOX"] as const;

export type QuotaResource = (typeof QUOTA_RESOURCES)[number];

/** Limits below one root; a resource without one is unlimited. */
export interface Quota {
  /** Internal name of the root mailbox. */
  readonly root: string;
  /** In KiB for the two storages, else in pieces. */
  readonly limits: Partial<Readonly<Record<QuotaResource, number>>>;
  readonly modseq?: bigint;
}

/** What belongs to a reader rather than to a mailbox: the answer to GET META. */
export interface UserMeta {
  readonly seen: readonly SeenState[];
  /** Internal names. */
  readonly subscriptions: readonly string[];
  readonly sieve: readonly SieveFile[];
}

/** A mailbox that is there and cannot be read now: damaged, or written to without pause. */
export interface UnreadableMailbox {
  readonly name: string;
  readonly uniqueid?: string;
  readonly refusal: Refusal;
}

/** The mailboxes of a user, or of a shared toplevel. */
export interface OwnedMailboxes {
  /** With those below DELETED. */
  readonly mailboxes: readonly MailboxState[];
  /**
   * Those that are missing above because they could not be read: to be reported, while the others go on,
   * and never to be taken for deleted. A place that cannot tell them apart refuses the whole user.
   */
  readonly unreadable?: readonly UnreadableMailbox[];
}

/** Everything about a user but records and messages: the answer to GET USER. */
export interface UserState extends UserMeta, OwnedMailboxes {
  readonly quotas: readonly Quota[];
}
