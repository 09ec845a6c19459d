/**
 * The changes a place can be asked for: the APPLY commands of sync-protocol.md 4.2 as values. A plan is
 * a list of them, a dump is a stream of them, a server reads and a client prints them.
 *
 * RESERVE, MESSAGE and RESTART are not here: they prepare a session and change no mail.
 */
import type { MailboxState, Quota, RecordSource, SeenState, Since } from "./mailbox.ts";
import { type Owner, parseName } from "./names.ts";

/** `isLocal`: the LOCAL_ form of the command, which leaves a cluster's directory alone. */
export type ApplyCommand =
  | ApplyMailbox
  | RestoreMailbox
  | { readonly kind: "unmailbox"; readonly name: string; readonly isLocal?: boolean }
  | ApplyRename
  | ApplyExpunge
  | { readonly kind: "quota"; readonly quota: Quota }
  | { readonly kind: "unquota"; readonly root: string }
  | { readonly kind: "seen"; readonly userid: string; readonly seen: SeenState }
  | { readonly kind: "sub" | "unsub"; readonly userid: string; readonly name: string }
  | ApplyAnnotation
  | ApplyUnannotation
  | ApplySieve
  | { readonly kind: "unsieve"; readonly userid: string; readonly filename: string }
  /** `filename` is that of the bytecode, `x.bc`. */
  | { readonly kind: "activateSieve"; readonly userid: string; readonly filename: string }
  | { readonly kind: "unactivateSieve"; readonly userid: string }
  | { readonly kind: "unuser"; readonly userid: string; readonly isLocal?: boolean };

/** Whose a command is: a rename belongs to whom the mailbox has been. Undefined for those of the server itself. */
export function ownerOfCommand(command: ApplyCommand): Owner | undefined {
  switch (command.kind) {
    case "mailbox":
      return parseName(command.state.name).owner;
    case "rename":
      return parseName(command.oldName).owner;
    case "quota":
      return parseName(command.quota.root).owner;
    case "unquota":
      return parseName(command.root).owner;
    case "seen":
    case "sub":
    case "unsub":
    case "sieve":
    case "unsieve":
    case "activateSieve":
    case "unactivateSieve":
    case "unuser":
      return { kind: "user", userid: command.userid };
    default:
      return command.name === "" ? undefined : parseName(command.name).owner;
  }
}

/** Creates or updates one mailbox: everything of `state`, and of the records those given. */
export interface ApplyMailbox {
  readonly kind: "mailbox";
  readonly state: MailboxState;
  readonly records: RecordSource;
  /** Refuse as `changed` unless the mailbox is as the sender last saw it. */
  readonly since?: Since;
  readonly isLocal?: boolean;
}

/**
 * Appends to a mailbox, which is made if need be: the RESTORE of the first backup system. In a mailbox that is there
 * the records get new UIDs; the identity in `state` counts only for a new one, and only if whole.
 */
export interface RestoreMailbox {
  readonly kind: "restore";
  readonly name: string;
  readonly state: Partial<MailboxState>;
  readonly records: RecordSource;
  readonly isLocal?: boolean;
}

/** Renames one mailbox, not those below it; old = new name only moves it to another partition. */
export interface ApplyRename {
  readonly kind: "rename";
  readonly oldName: string;
  readonly newName: string;
  readonly partition: string;
  readonly uidvalidity?: number;
  readonly isLocal?: boolean;
}

/** Marks records as expunged and leaves their modseq alone. */
export interface ApplyExpunge {
  readonly kind: "expunge";
  readonly name: string;
  readonly uniqueid: string;
  /** Ascending. */
  readonly uids: readonly number[];
}

/** Sets one annotation of a mailbox, or of the server where `name` is empty. */
export interface ApplyAnnotation {
  readonly kind: "annotation";
  readonly name: string;
  readonly entry: string;
  readonly userid: string;
  readonly value: Uint8Array;
}

export interface ApplyUnannotation {
  readonly kind: "unannotation";
  readonly name: string;
  readonly entry: string;
  readonly userid: string;
}

/** Stores a script. `filename` ends in `.script`. */
export interface ApplySieve {
  readonly kind: "sieve";
  readonly userid: string;
  readonly filename: string;
  /** Unix seconds. */
  readonly lastUpdate: number;
  readonly content: Uint8Array;
}
