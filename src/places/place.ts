/**
 * A place holds users' mail: Bobbin's store, a Cyrus spool, a sync server, a Maildir tree, a backup
 * archive, a dump. This is all that the rest of Bobbin knows of one. It is the replication protocol
 * turned inward: `Place` is its GET half, `PlaceSession` its APPLY half (sync-protocol.md 4), so
 * that one planner, one server and one conformance suite serve them all.
 *
 * Names are internal (`user.anne.Sub`), user ids external (`anne@example.com`), both latin1.
 * Refusals are values (`Outcome`); a thrown AppError means that the place itself has failed: it
 * cannot be read, the peer is gone, the disk gives errors.
 */
import type { Annotation } from "../model/annotation.ts";
import type { ApplyCommand } from "../model/apply.ts";
import type { Guid } from "../model/guid.ts";
import {
  type MailboxState,
  type OwnedMailboxes,
  QUOTA_RESOURCES,
  type Quota,
  type QuotaResource,
  type RecordSource,
  type UnreadableMailbox,
  type UserMeta,
  type UserState,
} from "../model/mailbox.ts";
import type { Owner } from "../model/names.ts";
import type { Outcome } from "../model/outcome.ts";

/**
 * What a place keeps. What two places do not both hold is neither compared nor demanded, and is
 * named in the result; so a place must not claim what it would have to make up.
 */
export interface Holds {
  /** It can list its users; a sync server cannot. */
  readonly userList: boolean;
  /**
   * Mailboxes keep their uniqueid over a rename, so that a rename can be told from delete and
   * create.
   */
  readonly uniqueids: boolean;
  readonly uidvalidity: boolean;
  /** UIDs stay what they were given as; otherwise messages are matched by GUID. */
  readonly uids: boolean;
  /** Modseqs of records and highestmodseq. */
  readonly modseqs: boolean;
  readonly lastUpdated: boolean;
  /** Records of expunged messages. */
  readonly tombstones: boolean;
  /** Deleted mailboxes below DELETED. */
  readonly deletedMailboxes: boolean;
  /** A mailbox without the ones above it; a Cyrus makes those itself, and keeps them. */
  readonly gapsInTree: boolean;
  readonly internaldates: boolean;
  readonly internaldateNsec: boolean;
  readonly savedates: boolean;
  readonly threadIds: boolean;
  /**
   * XCONVMODSEQ of any mailbox, as given; a Cyrus has it where it has conversations, and never
   * below DELETED.
   */
  readonly conversationModseqs: boolean;
  /** Keywords a mailbox can have; 0 = system flags only. */
  readonly keywords: number;
  /** Of messages. */
  readonly annotations: boolean;
  readonly mailboxAnnotations: boolean;
  readonly acls: boolean;
  /** Options, POP3 times, RECENT*, type and partition of a mailbox. */
  readonly mailboxDetails: boolean;
  /** What readers other than the owner have seen. */
  readonly seen: boolean;
  readonly subscriptions: boolean;
  /** Scripts as files beside the mailboxes. */
  readonly sieveFiles: boolean;
  /** Scripts as messages of a mailbox of their own, of type `f` (SIEVE-MAILBOX, since 3.6). */
  readonly sieveMailboxes: boolean;
  readonly quotas: readonly QuotaResource[];
}

/**
 * All that a mailbox of a current Cyrus and its user can have. Places that hold less name what they
 * lack.
 */
export const ALL_HELD: Holds = {
  userList: true,
  uniqueids: true,
  uidvalidity: true,
  uids: true,
  modseqs: true,
  lastUpdated: true,
  tombstones: true,
  deletedMailboxes: true,
  gapsInTree: true,
  internaldates: true,
  internaldateNsec: true,
  savedates: true,
  threadIds: true,
  conversationModseqs: true,
  keywords: 128,
  annotations: true,
  mailboxAnnotations: true,
  acls: true,
  mailboxDetails: true,
  seen: true,
  subscriptions: true,
  sieveFiles: true,
  sieveMailboxes: true,
  quotas: QUOTA_RESOURCES,
};

/** Where a message lies: enough for GET FETCH, and for any place to find it. */
export interface MessageAddress {
  /** Internal name. */
  readonly mailbox: string;
  readonly uniqueid: string;
  readonly partition: string | null;
  readonly uid: number;
  readonly guid: Guid;
}

/** A message whose size and SHA-1 the place has found right before it gave this. */
export interface MessageContent {
  /** Bytes. */
  readonly size: number;
  /** May be gone through once. Leaving the loop early releases what it holds. */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Lets go of what a message holds that nobody reads: an open file, perhaps. */
export async function releaseMessage(content: MessageContent): Promise<void> {
  for await (const _ of content.chunks()) break;
}

/** How many messages, and bytes of them, may be asked for before the first is used. */
export interface ReadAhead {
  readonly messages: number;
  readonly bytes: number;
}

/** A mailbox with its records, both as of one moment, whatever is written meanwhile. */
export interface MailboxReading {
  readonly state: MailboxState;
  readonly records: RecordSource;
  /** Present where all records have been gone through already, and none is damaged. */
  readonly isSound?: true;
  /** Bytes that are kept in memory for the records, where they are many. */
  readonly keptBytes?: number;
}

/** The GET half. Methods may be called at the same time; a place that cannot do so queues them. */
export interface Place {
  /** As an administrator would write it, e.g. `store:/srv/bobbin`; without secrets. */
  readonly locator: string;
  readonly holds: Holds;
  /** What a person should know of how the place is read, where that is out of the ordinary. */
  readonly caveat?: string | undefined;

  /** Users and shared toplevels; refused as notSupported where `holds.userList` is false. */
  owners(): Promise<Outcome<AsyncIterable<Owner>>>;
  /** GET USER. A user that is not there has no mailboxes; that is no refusal. */
  user(userid: string): Promise<Outcome<UserState>>;
  /** GET META. */
  meta(userid: string): Promise<Outcome<UserMeta>>;
  /** GET MAILBOXES: the mailboxes of these names that are there, in any order. */
  mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>>;
  /** GET UNIQUEIDS: likewise. */
  mailboxesByUniqueid(uniqueids: readonly string[]): Promise<Outcome<readonly MailboxState[]>>;
  /** All mailboxes of a shared toplevel with those below it; notSupported where owners() is. */
  sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>>;
  /** GET FULLMAILBOX. */
  readMailbox(name: string): Promise<Outcome<MailboxReading>>;
  /** GET FETCH. `nonexistent` if there is no such file, `damaged` if its size or SHA-1 is wrong. */
  message(address: MessageAddress): Promise<Outcome<MessageContent>>;
  /**
   * How far `message` is to be called ahead where each answer takes a round trip; left out where
   * none does.
   */
  readonly readAhead?: ReadAhead | undefined;
  /** GET ANNOTATION: those of a mailbox itself; of the server for the empty name. */
  annotations(name: string): Promise<Outcome<readonly Annotation[]>>;
  /** GET QUOTA; undefined if there is no such root. */
  quota(root: string): Promise<Outcome<Quota | undefined>>;
  /** GET FETCH_SIEVE: the bytes of `x.script`. */
  sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>>;

  /**
   * The same place for a caller who stops waiting when the signal comes: whatever the caller waits
   * for then throws. Absent where a place waits for nobody else.
   */
  readonly until?: ((signal: AbortSignal) => Place) | undefined;

  /** Ends what the place has open; it is not used afterwards. */
  close(): Promise<void>;
}

/** A place that can be written. */
export interface WritablePlace extends Place {
  /** Begins a session with nothing staged. Many may be open at the same time. */
  openSession(): Promise<PlaceSession>;
  /**
   * All that there is of `owner` has been sent, but for what is `missing`: without a uniqueid it
   * may be anything of his. For a place that is read without its source beside it, where what is
   * missing would look like what was deleted.
   */
  finished?(owner: Owner, missing: readonly UnreadableMailbox[]): Promise<void>;
}

/** A message on its way in: APPLY MESSAGE. */
export interface IncomingMessage {
  /** The sender's name for it; a place without partitions ignores it. */
  readonly partition: string;
  readonly guid: Guid;
  /** Bytes that will follow. */
  readonly size: number;
  /**
   * The sender has found that the bytes are what `guid` says: who only passes them on need not hash
   * them again.
   */
  readonly isVerified?: boolean;
}

/**
 * Takes the bytes of one message. Exactly `size` bytes are written before `end`, or `abort` is
 * called.
 */
export interface MessageWriter {
  /**
   * The promise, if there is one, must be waited for before the next call. Nobody writes to `bytes`
   * afterwards, so they may be kept.
   */
  write(bytes: Uint8Array): Promise<void> | undefined;
  end(): Promise<void> | undefined;
  abort(): void;
}

/** APPLY RESERVE. */
export interface ReserveRequest {
  readonly partition: string;
  /** Internal names of the mailboxes to look in. */
  readonly mailboxes: readonly string[];
  readonly guids: readonly Guid[];
}

export interface ApplyOptions {
  /** FORCE: the mailbox that is there may be ahead of what is sent, or be another one with mail. */
  readonly force?: boolean;
  /**
   * Called when all of the command has been sent: from then on messages may be staged and flushed
   * although its answer is still to come. A place that can do one thing at a time does not call it.
   */
  readonly sent?: () => void;
}

/**
 * The APPLY half. Commands of one session are given one after the other, each after the answer to
 * the one before, but for what `ApplyOptions.sent` allows. What is staged belongs to the session
 * and promises nothing: it lives until `restart` or `close`.
 */
export interface PlaceSession {
  /** APPLY RESERVE: stages what the mailboxes hold; returns the missing GUIDs in order. */
  reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>>;
  /**
   * APPLY MESSAGE, one file of it. Writers of one session follow each other. What goes wrong with
   * the place (a full disk) is the answer of `flush`; the bytes are taken all the same.
   */
  stage(message: IncomingMessage): MessageWriter;
  /** Whether everything staged since the last `flush` is there and has the SHA-1 its GUID says. */
  flush(): Promise<Outcome>;
  /**
   * Any other APPLY. `mailbox` is all or nothing: a refusal has changed nothing, and `ok` means
   * that it is on disk. Every record that is new, alive and not staged refuses it as `checksum`.
   */
  apply(command: ApplyCommand, options?: ApplyOptions): Promise<Outcome>;
  /** RESTART: forgets what is staged. */
  restart(): Promise<void>;
  /** Cuts the connection, if there is one: what is waited for throws. */
  cut?(): void;
  close(): Promise<void>;
}
