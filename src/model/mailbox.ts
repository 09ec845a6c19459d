/**
 * A mailbox, and what belongs to a user besides mailboxes, as replication sees them
 * (sync-protocol.md 4.1 and 4.3). Texts are latin1, where each character is one byte, for names and
 * ACLs are bytes until they are decoded. A field that a peer did not send is absent and not zero: a
 * replica must return exactly what it was given, or the master sends the mailbox again every time
 * (5.6).
 */
import type { Annotation } from "./annotation.ts";
import { type Guid, NULL_GUID } from "./guid.ts";
import type { Refusal } from "./outcome.ts";
import type { MailRecord } from "./record.ts";
import type { UidRange } from "./sequence_set.ts";

export interface MailboxState {
  /** A short JMAP id, which 3.13 and later send; null where the peer sent NIL. */
  readonly jmapid?: string | null;
  /** An opaque id: 16 hex digits, a UUID, or 24 letters and digits. */
  readonly uniqueid: string;
  /** Internal name, `user.anne.Sub`. */
  readonly name: string;
  /** The letters of the mailbox type; absent for plain mail. */
  readonly type?: string;
  /** The checksum over the records; 0 means that it is not to be compared. */
  readonly syncCrc?: number;
  /** The checksum over annotations, of which there are variants (5.1); 0 is not to be compared. */
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
  /** Names of groups, joined by TABs. */
  readonly usergroups?: string;
  /** The minor version of the index. */
  readonly version?: number;
  readonly uidvalidity: number;
  /** Null where the peer sent NIL, as for intermediate mailboxes. */
  readonly partition: string | null;
  /** An ACL in the form of acl.ts; null where the peer sent NIL. */
  readonly acl: string | null;
  /** Option letters, in the order P, S, D, A. */
  readonly options: string;
  readonly quotaroot?: string;
  readonly createdmodseq?: bigint;
  readonly foldermodseq?: bigint;
  /** The modseq up to which expunged records may have been removed from the index. */
  readonly deletedmodseq?: bigint;
  /** The annotations of the mailbox itself, not of its messages. */
  readonly annotations: readonly Annotation[];
  /** The keywords that the mailbox defines, used or not; peers before 3.12 do not send them. */
  readonly userflags?: readonly string[];
}

/** The state that an APPLY expects the mailbox to be in; else it is refused as `changed`. */
export interface Since {
  readonly modseq: bigint;
  readonly crc?: number;
  readonly crcAnnot?: number;
}

/** Records in batches of any size, in ascending order of UID. It may be iterated more than once. */
export interface RecordSource {
  batches(): AsyncIterable<readonly MailRecord[]> | Iterable<readonly MailRecord[]>;
}

/** True for what every version of Cyrus, and Bobbin, takes for the uniqueid of a mailbox. */
export function isUniqueid(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(text);
}

/** True for an intermediate mailbox: a name in the tree without messages and without an index. */
export function isIntermediate(mailbox: Pick<MailboxState, "type">): boolean {
  return mailbox.type?.includes("i") ?? false;
}

/**
 * True for mailboxes of one type. Since 3.6 Cyrus writes `e` before the other letters of a mailbox
 * for mail; what it calls `ei` is `i` to 3.2 and 3.4.
 */
export function sameType(
  left: Pick<MailboxState, "type">,
  right: Pick<MailboxState, "type">,
): boolean {
  const [one, other] = [left, right].map(({ type = "" }) => type.replace(/^e/, ""));
  return one === other;
}

/** True for a mailbox whose messages are the scripts of its user. */
export function isSieveMailbox(mailbox: Pick<MailboxState, "type">): boolean {
  return mailbox.type?.startsWith("f") ?? false;
}

/** A source of records that are in memory. */
export function recordsOf(records: readonly MailRecord[]): RecordSource {
  return { batches: () => (records.length === 0 ? [] : [records]) };
}

/** Those records of a source that `isWanted`. */
export function recordsWhere(
  source: RecordSource,
  isWanted: (record: MailRecord) => boolean,
): RecordSource {
  return {
    batches: async function* () {
      for await (const batch of source.batches()) {
        const some = batch.filter(isWanted);
        if (some.length > 0) yield some;
      }
    },
  };
}

/** A mailbox that is no more, as far as a server remembers those. */
export interface DeletedMailbox {
  /** The internal name that it had. */
  readonly name: string;
  readonly uniqueid: string;
  /** When the name went. Milliseconds since 1970. */
  readonly deleted: number;
}

/** The seen state of one user in one mailbox. */
export interface SeenState {
  readonly uniqueid: string;
  /** Unix seconds. */
  readonly lastRead: number;
  readonly lastUid: number;
  /** Unix seconds. */
  readonly lastChange: number;
  /** A sequence set as text, which may be empty; see sequence_set.ts. */
  readonly seenUids: string;
}

/** A sieve script `x.script`, or `x.bc`: its bytecode, or what marks `x` as the active one. */
export interface SieveFile {
  readonly filename: string;
  /** Unix seconds. */
  readonly lastUpdate: number;
  /** The GUID of the content; 2.4 does not send it, and for a mere mark it is all zeros. */
  readonly guid?: Guid;
  readonly isActive: boolean;
}

/** True for `x.script` and `x.bc`; whatever else a client names is no script. */
export function isScriptFile(filename: string): boolean {
  return /\.(?:script|bc)$/.test(filename);
}

/** `x.bc` for `x.script`; undefined for what is no script. */
export function bytecodeOf(filename: string): string | undefined {
  return filename.endsWith(".script") ? filename.replace(/script$/, "bc") : undefined;
}

/** What stands for `x.bc` in a list of files: the script `x` is the active one. */
export function activeMark(filename: string): SieveFile {
  return { filename, lastUpdate: 0, guid: NULL_GUID, isActive: true };
}

/** The resources that a quota can limit, by the names they have had since 3.10. */
export const QUOTA_RESOURCES = ["STORAGE", "MESSAGE", "ANNOTATION-STORAGE", "MAILBOX"] as const;

export type QuotaResource = (typeof QUOTA_RESOURCES)[number];

/** The limits below one quota root; a resource without a limit is unlimited. */
export interface Quota {
  /** Internal name of the root mailbox. */
  readonly root: string;
  /** In KiB for the two kinds of storage, else a number of items. */
  readonly limits: Partial<Readonly<Record<QuotaResource, number>>>;
  readonly modseq?: bigint;
}

/** What belongs to a user rather than to a mailbox: the answer to GET META. */
export interface UserMeta {
  readonly seen: readonly SeenState[];
  /** Internal names. */
  readonly subscriptions: readonly string[];
  readonly sieve: readonly SieveFile[];
}

/** A mailbox that exists and cannot be read now: damaged, or changing all the time. */
export interface UnreadableMailbox {
  readonly name: string;
  readonly uniqueid?: string;
  readonly refusal: Refusal;
}

/** What is not told of a damaged mailbox although it may be there: it is never taken for gone. */
export interface Lost {
  /** In words: "record 3 of cyrus.index". */
  readonly parts: readonly string[];
  /** The UIDs that lost records may have had, ascending. */
  readonly uids: readonly UidRange[];
  /** Keywords or annotations of other records are lost. */
  readonly fields: boolean;
}

/** What belongs to an owner beside mail, by the words of messages. */
export type Setting =
  | ("seen state" | "subscriptions" | "scripts" | "quotas" | "annotations")
  | ("counters" | "conversations");

/** A setting that could not be read, or not whole. */
export interface FlawedSetting {
  readonly setting: Setting;
  readonly refusal: Refusal;
}

/** The mailboxes of a user, or of a shared top level. */
export interface OwnedMailboxes {
  /** All mailboxes that could be read, deleted ones (below DELETED) included. */
  readonly mailboxes: readonly MailboxState[];
  /**
   * Mailboxes that are not listed above because they could not be read. They are to be reported,
   * never to be taken for deleted, and the others go on. A place that cannot tell them apart
   * refuses the whole user.
   */
  readonly unreadable?: readonly UnreadableMailbox[];
  /** Mailboxes that are listed above and of which a part is lost, to be reported likewise. */
  readonly salvaged?: readonly UnreadableMailbox[];
  /**
   * Settings that could not be read: the mail goes on without them. They are to be reported, and
   * what is not there of them is never taken for removed.
   */
  readonly flawed?: readonly FlawedSetting[];
}

/** Everything about a user except records and messages: the answer to GET USER. */
export interface UserState extends UserMeta, OwnedMailboxes {
  readonly quotas: readonly Quota[];
}
