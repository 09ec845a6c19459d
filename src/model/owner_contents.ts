/**
 * What the commands of an owner amount to: his mailboxes and all that belongs to him beside them.
 * Records and messages are not held here, only where they can be read (`RecordSource`).
 */
import { equalBytes } from "../core/bytes.ts";
import { PersistentMap } from "../core/persistent_map.ts";
import { sha1Of } from "../hash/sha1.ts";
import { type Annotation, annotationKey } from "./annotation.ts";
import type { ApplyAnnotation, ApplyCommand, ApplyUnannotation } from "./apply.ts";
import {
  activeMark,
  bytecodeOf,
  isIntermediate,
  type MailboxState,
  type Quota,
  type RecordSource,
  type SeenState,
  type SieveFile,
  type UserState,
} from "./mailbox.ts";
import type { MailRecord } from "./record.ts";

/** One owner as of one moment. Nothing in it is ever changed, so an earlier moment can be kept. */
export interface OwnerContents {
  /** By internal name. */
  readonly mailboxes: PersistentMap<string, MailboxContents>;
  /** Internal names. */
  readonly subscriptions: PersistentMap<string, true>;
  /** By uniqueid. */
  readonly seen: PersistentMap<string, SeenState>;
  /** By root. */
  readonly quotas: PersistentMap<string, Quota>;
  /** By filename: `x.script`, and `x.bc` where its bytecode came with it. */
  readonly scripts: Scripts;
  /** The bytecode that bears the active mark, `x.bc`. */
  readonly active: string | undefined;
}

export interface MailboxContents {
  /** As it was sent last, but for its annotations. */
  readonly sent: MailboxState;
  /** By `annotationKey`. */
  readonly annotations: PersistentMap<string, Annotation>;
  /** What has made its records, by number from 0 in the order of the commands. */
  readonly recordChanges: PersistentMap<number, RecordChange>;
}

type RecordChange =
  | { readonly kind: "sent"; readonly records: RecordSource }
  | { readonly kind: "expunged"; readonly uids: readonly number[] };

type Scripts = PersistentMap<string, ScriptContents>;

export interface ScriptContents {
  /** Unix seconds. */
  readonly lastUpdate: number;
  readonly content: Uint8Array;
}

/** An owner of whom nothing has come. */
export function noContents(): OwnerContents {
  return {
    mailboxes: PersistentMap.of(),
    subscriptions: PersistentMap.of(),
    seen: PersistentMap.of(),
    quotas: PersistentMap.of(),
    scripts: PersistentMap.of(),
    active: undefined,
  };
}

/**
 * The owner after `command`, which is one of his and is not checked: what names something that is
 * not there changes nothing. Costs the same however much the owner holds.
 */
export function reduceOwner(owner: OwnerContents, command: ApplyCommand): OwnerContents {
  const { mailboxes, subscriptions, seen, quotas, scripts } = owner;
  switch (command.kind) {
    case "mailbox": {
      const { state, records } = command;
      const before = mailboxes.get(state.name);
      return withMailbox(owner, state.name, sentMailbox(before, { state, records }));
    }
    case "unmailbox":
      return { ...owner, mailboxes: mailboxes.without(command.name) };
    case "rename": {
      const mailbox = mailboxes.get(command.oldName);
      if (mailbox === undefined) return owner;
      const left = { ...owner, mailboxes: mailboxes.without(command.oldName) };
      return withMailbox(left, command.newName, renamedMailbox(mailbox, command));
    }
    case "expunge":
      return changedMailbox(owner, command.name, (mailbox) => ({
        ...mailbox,
        recordChanges: added(mailbox.recordChanges, { kind: "expunged", uids: command.uids }),
      }));
    case "annotation":
    case "unannotation":
      return changedMailbox(owner, command.name, (mailbox) => ({
        ...mailbox,
        annotations: annotated(mailbox.annotations, command),
      }));
    case "quota":
      return { ...owner, quotas: quotas.with(command.quota.root, command.quota) };
    case "unquota":
      return { ...owner, quotas: quotas.without(command.root) };
    case "seen":
      return { ...owner, seen: seen.with(command.seen.uniqueid, command.seen) };
    case "sub":
      return { ...owner, subscriptions: subscriptions.with(command.name, true) };
    case "unsub":
      return { ...owner, subscriptions: subscriptions.without(command.name) };
    case "sieve": {
      const { filename, lastUpdate, content } = command;
      const before = scripts.get(filename)?.content;
      const isOther = before !== undefined && !equalBytes(before, content);
      const kept = isOther ? withoutBytecode(scripts, filename) : scripts;
      return { ...owner, scripts: kept.with(filename, { lastUpdate, content }) };
    }
    case "unsieve": {
      const { filename } = command;
      return { ...owner, scripts: withoutBytecode(scripts, filename).without(filename) };
    }
    case "activateSieve":
      return { ...owner, active: command.filename };
    case "unactivateSieve":
      return { ...owner, active: undefined };
    case "unuser":
      return noContents();
    case "restore":
      return owner; // what it appends depends on what is there, and is for a store to decide
  }
}

/** The owner with this mailbox under `name`, as where it comes from another owner. */
export function withMailbox(
  owner: OwnerContents,
  name: string,
  mailbox: MailboxContents,
): OwnerContents {
  return { ...owner, mailboxes: owner.mailboxes.with(name, mailbox) };
}

/** The mailbox as a rename makes it. */
export function renamedMailbox(
  mailbox: MailboxContents,
  to: { readonly newName: string; readonly partition: string },
): MailboxContents {
  return { ...mailbox, sent: { ...mailbox.sent, name: to.newName, partition: to.partition } };
}

function sentMailbox(
  before: MailboxContents | undefined,
  { state, records }: { readonly state: MailboxState; readonly records: RecordSource },
): MailboxContents {
  const annotations = state.annotations.map((one) => [annotationKey(one), one] as const);
  const changes = before?.recordChanges ?? PersistentMap.of<number, RecordChange>();
  return {
    sent: state,
    annotations: PersistentMap.of(annotations),
    recordChanges: isIntermediate(state)
      ? PersistentMap.of()
      : added(changes, { kind: "sent", records }),
  };
}

function added(
  changes: MailboxContents["recordChanges"],
  change: RecordChange,
): MailboxContents["recordChanges"] {
  return changes.with(changes.size, change);
}

function changedMailbox(
  owner: OwnerContents,
  name: string,
  change: (mailbox: MailboxContents) => MailboxContents,
): OwnerContents {
  const mailbox = owner.mailboxes.get(name);
  return mailbox === undefined ? owner : withMailbox(owner, name, change(mailbox));
}

function annotated(
  annotations: MailboxContents["annotations"],
  command: ApplyAnnotation | ApplyUnannotation,
): MailboxContents["annotations"] {
  const { entry, userid } = command;
  const key = annotationKey({ entry, userid });
  if (command.kind === "unannotation") return annotations.without(key);
  return annotations.with(key, { entry, userid, modseq: 0n, value: command.value });
}

/** The state of a mailbox with its annotations. */
export function stateOfContents({ sent, annotations }: MailboxContents): MailboxState {
  return { ...sent, annotations: annotations.values() };
}

/**
 * The records that a mailbox has come to. What was sent in one command is passed on as it comes.
 */
export function recordsOfContents({ recordChanges }: MailboxContents): RecordSource {
  const changes = recordChanges.values();
  const [first, second] = changes;
  if (first?.kind === "sent" && second === undefined) return first.records;
  return {
    batches: async function* () {
      const records = await laidOver(changes);
      for (let at = 0; at < records.length; at += BATCH_RECORDS) {
        yield records.slice(at, at + BATCH_RECORDS);
      }
    },
  };
}

const BATCH_RECORDS = 512;

async function laidOver(changes: readonly RecordChange[]): Promise<MailRecord[]> {
  const byUid = new Map<number, MailRecord>();
  for (const change of changes) {
    if (change.kind === "sent") {
      for await (const batch of change.records.batches())
        for (const record of batch) byUid.set(record.uid, record);
      continue;
    }
    for (const uid of change.uids) {
      const record = byUid.get(uid);
      if (record !== undefined) byUid.set(uid, { ...record, expunged: true });
    }
  }
  return [...byUid.values()].sort((left, right) => left.uid - right.uid);
}

/** All of a user but records and messages. */
export function userStateOf(owner: OwnerContents): UserState {
  return {
    mailboxes: owner.mailboxes.values().map(stateOfContents),
    subscriptions: owner.subscriptions.keys(),
    seen: owner.seen.values(),
    quotas: owner.quotas.values(),
    sieve: sieveFilesOf(owner),
  };
}

/** Bytecode is that of one text of its script: it goes where that goes or changes. */
function withoutBytecode(scripts: Scripts, filename: string): Scripts {
  const bytecode = bytecodeOf(filename);
  return bytecode === undefined ? scripts : scripts.without(bytecode);
}

/** The scripts; the active mark is on the bytecode, or stands where there is none. */
function sieveFilesOf({ scripts, active }: OwnerContents): SieveFile[] {
  const files = scripts.entries().map(([filename, { lastUpdate, content }]) => {
    return { filename, lastUpdate, guid: sha1Of(content), isActive: filename === active };
  });
  const isMarked = active === undefined || files.some(({ isActive }) => isActive);
  return isMarked ? files : [...files, activeMark(active)];
}
