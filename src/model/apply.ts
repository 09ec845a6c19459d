/**
 * The commands that change a place: the APPLY commands of sync-protocol.md 4.2 as values. A plan is
 * a list of them, a dump is a stream of them, a server parses them and a client prints them.
 *
 * RESERVE, MESSAGE and RESTART are not among them, for they prepare a session and change no mail.
 */
import { equalBytes } from "../core/bytes.ts";
import { type Annotation, annotationKey } from "./annotation.ts";
import type { MailboxState, Quota, RecordSource, SeenState, Since } from "./mailbox.ts";
import { type Owner, parseName } from "./names.ts";

/** `isLocal` is the LOCAL_ form of a command, which does not change the directory of a cluster. */
export type ApplyCommand =
  | ApplyMailbox
  | RestoreMailbox
  | { readonly kind: "unmailbox"; readonly name: string; readonly isLocal?: boolean }
  | ApplyRename
  | ApplyExpunge
  | { readonly kind: "quota"; readonly quota: Quota }
  | { readonly kind: "unquota"; readonly root: string }
  | { readonly kind: "seen"; readonly userid: string; readonly seen: SeenState }
  | { readonly kind: "sub"; readonly userid: string; readonly name: string }
  | { readonly kind: "unsub"; readonly userid: string; readonly name: string }
  | ApplyAnnotation
  | ApplyUnannotation
  | ApplySieve
  | { readonly kind: "unsieve"; readonly userid: string; readonly filename: string }
  /** `filename` is the name of the bytecode, `x.bc`. */
  | { readonly kind: "activateSieve"; readonly userid: string; readonly filename: string }
  | { readonly kind: "unactivateSieve"; readonly userid: string }
  | { readonly kind: "unuser"; readonly userid: string; readonly isLocal?: boolean };

/** The owner whom a command changes (of a rename, the old one); undefined for the server. */
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

/** Creates or updates one mailbox: sets everything in `state`, and the records that are given. */
export interface ApplyMailbox {
  readonly kind: "mailbox";
  readonly state: MailboxState;
  readonly records: RecordSource;
  /** The mailbox as the sender saw it last; a changed one is refused as `changed`. */
  readonly since?: Since;
  readonly isLocal?: boolean;
}

/**
 * Appends to a mailbox, which is created if need be: the RESTORE of Cyrus' first backup system. In
 * a mailbox that exists the records get new UIDs. The identity in `state` counts only for a new
 * mailbox, and only if it is complete.
 */
export interface RestoreMailbox {
  readonly kind: "restore";
  readonly name: string;
  readonly state: Partial<MailboxState>;
  readonly records: RecordSource;
  readonly isLocal?: boolean;
}

/** Renames one mailbox, not those below it; to its own name it moves it to a partition. */
export interface ApplyRename {
  readonly kind: "rename";
  readonly oldName: string;
  readonly newName: string;
  readonly partition: string;
  readonly uidvalidity?: number;
  readonly isLocal?: boolean;
}

/** Marks records as expunged and leaves their modseqs as they are. */
export interface ApplyExpunge {
  readonly kind: "expunge";
  readonly name: string;
  readonly uniqueid: string;
  /** UIDs in ascending order. */
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

/** The commands that make the annotations of mailbox `name` those `wanted`, of those `there`. */
export function annotationChanges(
  name: string,
  wanted: readonly Annotation[],
  there: readonly Annotation[],
): (ApplyAnnotation | ApplyUnannotation)[] {
  const values = new Map(there.map((one) => [annotationKey(one), one.value]));
  const kept = new Set(wanted.map(annotationKey));
  const address = ({ entry, userid }: Annotation) => ({ name, entry, userid: userid ?? "" });
  const isThere = (one: Annotation): boolean => {
    const value = values.get(annotationKey(one));
    return value !== undefined && equalBytes(value, one.value);
  };
  return [
    ...there
      .filter((one) => !kept.has(annotationKey(one)))
      .map((one): ApplyUnannotation => ({ kind: "unannotation", ...address(one) })),
    ...wanted
      .filter((one) => !isThere(one))
      .map((one): ApplyAnnotation => ({ kind: "annotation", ...address(one), value: one.value })),
  ];
}

/** Stores a sieve script `x.script`, or its bytecode `x.bc`. */
export interface ApplySieve {
  readonly kind: "sieve";
  readonly userid: string;
  readonly filename: string;
  /** Unix seconds. */
  readonly lastUpdate: number;
  readonly content: Uint8Array;
}
