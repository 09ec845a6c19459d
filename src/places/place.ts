/**
 * A place holds users' mail: Bobbin's store, a Cyrus spool, a sync server, a dump. This is all that
 * the rest of Bobbin knows of one. It is the replication protocol turned inward: `Place` is its GET
 * half, `PlaceSession` its APPLY half (sync-protocol.md 4), so that one planner, one server and one
 * conformance suite serve them all.
 *
 * Names are internal (`user.anne.Sub`), user ids external (`anne@example.com`), both latin1.
 * Refusals are values (`Outcome`); a thrown AppError means that the place itself has failed: it
 * cannot be read, the peer is gone, the disk gives errors.
 */
import type { Annotation } from "../model/annotation.ts";
import type { ApplyCommand } from "../model/apply.ts";
import type { Guid } from "../model/guid.ts";
import {
  type DeletedMailbox,
  type Lost,
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
import type { Outcome, Refusal } from "../model/outcome.ts";

/**
 * What a place can hold. What only one of two places holds is neither compared nor demanded, and is
 * named in the result. So a place must not claim anything that it would have to make up.
 */
export interface Holds {
  /** The place can list its users. A Cyrus over the network cannot. */
  readonly userList: boolean;
  /** A renamed mailbox keeps its uniqueid: a rename is no deletion with a new mailbox. */
  readonly uniqueids: boolean;
  readonly uidvalidity: boolean;
  /** A message keeps the UID that it was sent with. Otherwise messages are matched by GUID. */
  readonly uids: boolean;
  /** The modseqs of records, and highestmodseq. */
  readonly modseqs: boolean;
  readonly lastUpdated: boolean;
  /** Expunged records. */
  readonly tombstones: boolean;
  /** Deleted mailboxes below DELETED. */
  readonly deletedMailboxes: boolean;
  /** A mailbox can be there without those above it in the tree. A Cyrus makes those by itself. */
  readonly gapsInTree: boolean;
  /** Names in the tree without a mailbox (type `i`). */
  readonly placeholders: boolean;
  readonly internaldates: boolean;
  readonly internaldateNsec: boolean;
  readonly savedates: boolean;
  /** The modseq at which a message came into its mailbox. */
  readonly createdmodseqs: boolean;
  readonly threadIds: boolean;
  /**
   * XCONVMODSEQ of every mailbox, as it was sent. A Cyrus holds it only where it has conversations,
   * and never for deleted mailboxes.
   */
  readonly conversationModseqs: boolean;
  /** How many keywords a mailbox can have; 0 = system flags only. */
  readonly keywords: number;
  /** Annotations of messages. */
  readonly annotations: boolean;
  readonly mailboxAnnotations: boolean;
  /** Which of them, where a place knows only some. */
  readonly mailboxEntries: readonly string[] | "all";
  readonly acls: boolean;
  /** Options, POP3 times, RECENT*, type and partition of a mailbox. */
  readonly mailboxDetails: boolean;
  /** Since when POP3 clients are shown messages. */
  readonly pop3ShowAfter: boolean;
  /** What users have seen of mailboxes that are not their own. */
  readonly seen: boolean;
  readonly subscriptions: boolean;
  /** Sieve scripts as files beside the mailboxes. */
  readonly sieveFiles: boolean;
  /** Sieve scripts as messages of a mailbox of type `f` (SIEVE-MAILBOX, since 3.6). */
  readonly sieveMailboxes: boolean;
  readonly quotas: readonly QuotaResource[];
}

/** All that a current Cyrus holds of a mailbox and its user; a place names what it lacks. */
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
  placeholders: true,
  internaldates: true,
  internaldateNsec: true,
  savedates: true,
  createdmodseqs: true,
  threadIds: true,
  conversationModseqs: true,
  keywords: 128,
  annotations: true,
  mailboxAnnotations: true,
  mailboxEntries: "all",
  acls: true,
  mailboxDetails: true,
  pop3ShowAfter: true,
  seen: true,
  subscriptions: true,
  sieveFiles: true,
  sieveMailboxes: true,
  quotas: QUOTA_RESOURCES,
};

/** Which message is wanted, and where it was listed: enough for any place to find it. */
export interface MessageAddress {
  /** Internal name. */
  readonly mailbox: string;
  readonly uniqueid: string;
  readonly partition: string | null;
  readonly uid: number;
  readonly guid: Guid;
}

/** A message whose size and SHA-1 the place has checked just before it gave this out. */
export interface MessageContent {
  /** Bytes. */
  readonly size: number;
  /**
   * Can be read once. A reader who leaves the loop early releases what it holds, such as a file.
   */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Releases what a message holds, such as an open file, without reading it. */
export async function releaseMessage(content: MessageContent): Promise<void> {
  for await (const _ of content.chunks()) break;
}

/**
 * How many messages, and how many bytes of them, may be asked for before the first of them is used.
 */
export interface ReadAhead {
  readonly messages: number;
  readonly bytes: number;
}

/** A mailbox and its records, both as of one moment, whatever is written meanwhile. */
export interface MailboxReading {
  readonly state: MailboxState;
  readonly records: RecordSource;
  /** Present where all records have been read already, and none is damaged. */
  readonly isSound?: true;
  /** Present where the mailbox is damaged, and this is what proved sound of it. */
  readonly lost?: Lost;
  /** Bytes that are kept in memory for the records, where they are many. */
  readonly keptBytes?: number;
}

/** An owner who has mail at a place that cannot give it. */
export interface UnreadableOwner {
  readonly owner: Owner;
  readonly refusal: Refusal;
}

/** The GET half of a place. Its methods may be called at the same time; a place may queue them. */
export interface Place {
  /** As an administrator would write the place, e.g. `store:/srv/bobbin`; without secrets. */
  readonly locator: string;
  readonly holds: Holds;
  /** What a person should know about how the place is read, if that is unusual. */
  readonly caveat?: string | undefined;

  /** Users and shared toplevels. Refused as notSupported where `holds.userList` is false. */
  owners(): Promise<Outcome<AsyncIterable<Owner>>>;
  /** GET USER. A user who is not there has no mailboxes; that is not a refusal. */
  user(userid: string): Promise<Outcome<UserState>>;
  /** GET META. */
  meta(userid: string): Promise<Outcome<UserMeta>>;
  /** GET MAILBOXES: the mailboxes of these names that are there, in any order. */
  mailboxes(names: readonly string[]): Promise<Outcome<readonly MailboxState[]>>;
  /** GET UNIQUEIDS: the same by uniqueid. */
  mailboxesByUniqueid(uniqueids: readonly string[]): Promise<Outcome<readonly MailboxState[]>>;
  /** All mailboxes of a shared toplevel, itself and those below it. Refused as `owners` is. */
  sharedMailboxes(toplevel: string): Promise<Outcome<OwnedMailboxes>>;
  /** GET FULLMAILBOX. */
  readMailbox(name: string): Promise<Outcome<MailboxReading>>;
  /** GET FETCH. `nonexistent` if there is no such file, `damaged` if its size or SHA-1 is wrong. */
  message(address: MessageAddress): Promise<Outcome<MessageContent>>;
  /**
   * The SHA-1 of a message whose GUID says nothing about its content (model/guid.ts), which
   * the place remembers for as long as the file stays what it was. Absent where nothing is
   * remembered: the caller reads the message.
   */
  readonly contentGuid?: ((address: MessageAddress) => Promise<Outcome<Guid>>) | undefined;
  /** How far to call `message` ahead where each takes a round trip; left out where none does. */
  readonly readAhead?: ReadAhead | undefined;
  /** Why the place cannot take a mailbox, by name, type and uniqueid. Absent: it takes all. */
  readonly objectionTo?: ((mailbox: MailboxState) => Refusal | undefined) | undefined;
  /**
   * What it does with the bytecode of a script: `kept` beside it for those who need it, or run up
   * to a version, where it compiles no script that comes. Absent: it makes its own.
   */
  readonly bytecode?: "kept" | { readonly newest: number } | undefined;
  /** Its scripts are messages, and it makes them of what comes as files: a Cyrus since 3.6. */
  readonly mailsScripts?: boolean | undefined;
  /** It takes records below its last UID: a message that could not be read may come later. */
  readonly fillsGaps?: boolean | undefined;
  /** The mailboxes of `owner` that were deleted or renamed, while the place remembers them. */
  readonly deletions?: ((owner: Owner) => Promise<readonly DeletedMailbox[]>) | undefined;
  /** GET ANNOTATION: the annotations of a mailbox, or of the server for the empty name. */
  annotations(name: string): Promise<Outcome<readonly Annotation[]>>;
  /** GET QUOTA; undefined if there is no such root. */
  quota(root: string): Promise<Outcome<Quota | undefined>>;
  /** GET FETCH_SIEVE: the bytes of `x.script`, or of `x.bc` where there is one. */
  sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>>;

  /**
   * The same place for a caller who stops waiting when the signal comes: whatever the caller waits
   * for then throws. Absent where a place waits for nobody else.
   */
  readonly until?: ((signal: AbortSignal) => Place) | undefined;

  /** Closes what the place has open. It is not used afterwards. */
  close(): Promise<void>;
}

/** A place that can be written. */
export interface WritablePlace extends Place {
  /** Begins a session with nothing staged. Many may be open at the same time. */
  openSession(): Promise<PlaceSession>;
  /**
   * Owners, of these or of all, whose mail is lost here. They are read as if they were absent, so
   * that a replica is brought them anew; who takes absence for a deletion must ask. Absent: nobody.
   */
  lost?(among?: readonly Owner[]): Promise<Outcome<readonly UnreadableOwner[]>>;
  /**
   * All of `owner` has been sent, except for what is `missing`; an entry without a uniqueid stands
   * for any of the mailboxes. Present in places that are read later without their source: there,
   * what is missing would look as if it had been deleted.
   */
  finished?(owner: Owner, missing: readonly UnreadableMailbox[]): Promise<void>;
  /**
   * Present where the place is written anew, and an earlier one has its name. That stays, and what
   * was written is dropped at `close`, unless `replace` says that nobody is missing.
   */
  readonly earlier?: { readonly replace: () => void } | undefined;
}

/** A message on its way in: APPLY MESSAGE. */
export interface IncomingMessage {
  /** The sender's name of a partition; a place without partitions ignores it. */
  readonly partition: string;
  readonly guid: Guid;
  /** How many bytes will follow. */
  readonly size: number;
  /** A mailbox for which it comes, if the sender knows one: its internal name. */
  readonly mailbox?: string;
  /** The sender has checked the SHA-1 `guid`; who only passes the bytes on need not hash anew. */
  readonly isVerified?: boolean;
}

/**
 * Takes the bytes of one message: exactly `size` of them before `end`, unless `abort` is called.
 */
export interface MessageWriter {
  /**
   * The promise, if there is one, must be awaited before the next call. The caller does not change
   * `bytes` afterwards, so the place may keep them.
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
  /**
   * FORCE: apply it even where the mailbox at the place is ahead of what is sent, or is another
   * mailbox with mail in it.
   */
  readonly force?: boolean;
  /**
   * Called when all of the command has been sent. From then on messages may be staged and flushed,
   * although the answer is still to come. A place that does one thing at a time does not call it.
   */
  readonly sent?: () => void;
}

/**
 * The APPLY half of a place. Each command of a session is given after the answer to the one before,
 * except for what `ApplyOptions.sent` allows. Staged messages belong to the session, and are kept
 * only until `restart` or `close`.
 */
export interface PlaceSession {
  /**
   * APPLY RESERVE: stages the wanted messages that the mailboxes hold. Returns the GUIDs that are
   * still missing, in the order of the request.
   */
  reserve(request: ReserveRequest): Promise<Outcome<readonly Guid[]>>;
  /**
   * APPLY MESSAGE, one file of it. A session writes one message after the other. A fault of the
   * place, such as a full disk, is the answer of `flush`; until then the bytes are taken all the
   * same.
   */
  stage(message: IncomingMessage): MessageWriter;
  /**
   * A message cannot be sent, for the reason of `refusal`. Present where a mailbox is taken without
   * such messages: `apply` takes what there is, and then refuses with that reason.
   */
  lacks?(guid: Guid, mailbox: string, refusal: Refusal): Promise<void>;
  /** Tells whether all that was staged since the last `flush` is there, each with its SHA-1. */
  flush(): Promise<Outcome>;
  /**
   * Any other APPLY. Where the connection is lost before the answer, the error's context says
   * `unanswered`: the server may have died of the command. `mailbox` is all or nothing: after a
   * refusal nothing has changed, and after `ok` it is on disk. It is refused as `checksum` where a
   * record is new and not expunged, and its message is not staged.
   */
  apply(command: ApplyCommand, options?: ApplyOptions): Promise<Outcome>;
  /** RESTART: forgets what has been staged. */
  restart(): Promise<void>;
  /** Cuts the connection, if there is one: calls that wait for an answer throw. */
  cut?(): void;
  close(): Promise<void>;
}
