/**
 * The APPLY and RESTORE commands as values (sync-protocol.md 4.2). The records of a MAILBOX are
 * kept apart from it, so that neither a reader nor a printer needs to hold them all.
 */
import type {
  ApplyCommand,
  ApplyExpunge,
  ApplyMailbox,
  ApplyRename,
  ApplySieve,
  RestoreMailbox,
} from "../../model/apply.ts";
import { isIntermediate, recordsOf } from "../../model/mailbox.ts";
import type { MailRecord, VirtualOrder } from "../../model/record.ts";
import {
  dateOf,
  FieldError,
  itemsOf,
  kvlistOf,
  latin1Of,
  lookUp,
  ownBytesOf,
  u32Of,
  wordsOf,
} from "../dlist/access.ts";
import {
  type DlistEntry,
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
  dlistString,
} from "../dlist/value.ts";
import { parseMailbox, parsePartialMailbox, parseSince, printMailbox } from "./mailbox_line.ts";
import { parseRecord, printRecord } from "./record_line.ts";
import {
  annotationAddress,
  parseNamedAnnotation,
  parseQuota,
  parseScriptName,
  parseSeen,
  printNamedAnnotation,
  printQuota,
  printSeen,
  scriptName,
} from "./user_lines.ts";

/** A command that changes mail, or one that prepares a session. */
export type ApplyRequest =
  | ApplyCommand
  | {
      readonly kind: "reserve";
      readonly partition: string;
      readonly mailboxes: readonly string[];
      /** As the peer sent them, whatever their form. */
      readonly guids: readonly string[];
    }
  /** The files stand in `items`, or the reader gave them out as events. */
  | { readonly kind: "message"; readonly items: readonly DlistValue[] }
  | { readonly kind: "force" }
  | { readonly kind: "capabilities"; readonly names: readonly string[] };

export interface ParseApplyOptions {
  /** The records that the reader gave out of the line. Absent: they stand in the line. */
  readonly records?: readonly MailRecord[];
}

type Reader = (value: DlistValue, options: ParseApplyOptions) => ApplyRequest;

const READERS: Readonly<Record<string, Reader>> = {
  RESERVE: (value) => {
    const kvlist = kvlistOf(value, "RESERVE");
    return {
      kind: "reserve",
      partition: text(kvlist, "PARTITION"),
      mailboxes: texts(kvlist, "MBOXNAME"),
      guids: texts(kvlist, "GUID"),
    };
  },
  MESSAGE: (value) => ({ kind: "message", items: itemsOf(value, "MESSAGE") }),
  MAILBOX: (value, options) => readMailbox(value, options),
  LOCAL_MAILBOX: (value, options) => ({ ...readMailbox(value, options), isLocal: true }),
  UNMAILBOX: (value) => ({ kind: "unmailbox", name: latin1Of(value, "UNMAILBOX") }),
  LOCAL_UNMAILBOX: (value) => {
    return { kind: "unmailbox", name: latin1Of(value, "LOCAL_UNMAILBOX"), isLocal: true };
  },
  RENAME: (value) => readRename(value),
  LOCAL_RENAME: (value) => ({ ...readRename(value), isLocal: true }),
  EXPUNGE: (value) => readExpunge(value),
  QUOTA: (value) => ({ kind: "quota", quota: parseQuota(kvlistOf(value, "QUOTA")) }),
  UNQUOTA: (value) => ({ kind: "unquota", root: latin1Of(value, "UNQUOTA") }),
  SEEN: (value) => {
    const kvlist = kvlistOf(value, "SEEN");
    return { kind: "seen", userid: text(kvlist, "USERID"), seen: parseSeen(kvlist) };
  },
  SUB: (value) => ({ kind: "sub", ...readSubscription(value) }),
  UNSUB: (value) => ({ kind: "unsub", ...readSubscription(value) }),
  ANNOTATION: (value) => {
    const kvlist = kvlistOf(value, "ANNOTATION");
    if (lookUp(kvlist, "VALUE")?.kind === "nil") return readUnannotation(kvlist);
    const { name, annotation } = parseNamedAnnotation(kvlist);
    const { entry, userid } = annotation;
    return { kind: "annotation", name, entry, userid, value: annotation.value };
  },
  UNANNOTATION: (value) => readUnannotation(kvlistOf(value, "UNANNOTATION")),
  SIEVE: (value) => readSieve(value),
  UNSIEVE: (value) => ({ kind: "unsieve", ...parseScriptName(kvlistOf(value, "SIEVE")) }),
  ACTIVATE_SIEVE: (value) => ({
    kind: "activateSieve",
    ...parseScriptName(kvlistOf(value, "SIEVE")),
  }),
  UNACTIVATE_SIEVE: (value) => {
    return { kind: "unactivateSieve", userid: text(kvlistOf(value, "UNACTIVATE_SIEVE"), "USERID") };
  },
  UNUSER: (value) => ({ kind: "unuser", userid: latin1Of(value, "UNUSER") }),
  LOCAL_UNUSER: (value) => {
    return { kind: "unuser", userid: latin1Of(value, "LOCAL_UNUSER"), isLocal: true };
  },
  FORCE: () => ({ kind: "force" }),
  CAPABILITIES: (value) => ({
    kind: "capabilities",
    names: wordsOf(value, "CAPABILITIES"),
  }),
};

/** Parses `name value`; undefined for an unknown name. Throws FieldError. */
export function parseApply(
  name: string,
  value: DlistValue,
  options: ParseApplyOptions = {},
): ApplyRequest | undefined {
  const key = name.toUpperCase();
  return Object.hasOwn(READERS, key) ? READERS[key]?.(value, options) : undefined;
}

/** Parses the command in `RESTORE name value`; undefined for an unknown name. Throws FieldError. */
export function parseRestore(
  name: string,
  value: DlistValue,
  options: ParseApplyOptions = {},
): RestoreMailbox | undefined {
  const key = name.toUpperCase();
  if (key !== "MAILBOX" && key !== "LOCAL_MAILBOX") return undefined;
  const kvlist = kvlistOf(value, key);
  return {
    kind: "restore",
    name: text(kvlist, "MBOXNAME"),
    state: parsePartialMailbox(kvlist),
    records: recordsOf(readRecords(kvlist, options)),
    isLocal: key === "LOCAL_MAILBOX",
  };
}

/** UNANNOTATION, or ANNOTATION with the value NIL: the one way at 2.4, and one of two since 3.2. */
function readUnannotation(kvlist: DlistKvlist): ApplyRequest {
  const [name, entry] = [text(kvlist, "MBOXNAME"), text(kvlist, "ENTRY")];
  return { kind: "unannotation", name, entry, userid: text(kvlist, "USERID") };
}

function text(kvlist: DlistKvlist, key: string): string {
  return latin1Of(lookUp(kvlist, key), key);
}

function texts(kvlist: DlistKvlist, key: string): string[] {
  return wordsOf(lookUp(kvlist, key), key);
}

function readMailbox(value: DlistValue, options: ParseApplyOptions): ApplyMailbox {
  const kvlist = kvlistOf(value, "MAILBOX");
  const state = parseMailbox(kvlist, "apply");
  const since = parseSince(kvlist);
  const records = isIntermediate(state) ? [] : readRecords(kvlist, options);
  return {
    kind: "mailbox",
    state,
    records: recordsOf(records),
    ...(since === undefined ? {} : { since }),
  };
}

function readRecords(kvlist: DlistKvlist, options: ParseApplyOptions): readonly MailRecord[] {
  const list = lookUp(kvlist, "RECORD");
  if (list === undefined) throw new FieldError("RECORD", "a list");
  return options.records ?? itemsOf(list, "RECORD").map(parseRecord);
}

function readRename(value: DlistValue): ApplyRename {
  const kvlist = kvlistOf(value, "RENAME");
  const uidvalidity = lookUp(kvlist, "UIDVALIDITY");
  return {
    kind: "rename",
    oldName: text(kvlist, "OLDMBOXNAME"),
    newName: text(kvlist, "NEWMBOXNAME"),
    partition: text(kvlist, "PARTITION"),
    ...(uidvalidity === undefined ? {} : { uidvalidity: u32Of(uidvalidity, "UIDVALIDITY") }),
  };
}

function readExpunge(value: DlistValue): ApplyExpunge {
  const kvlist = kvlistOf(value, "EXPUNGE");
  const uids = itemsOf(lookUp(kvlist, "UID"), "UID").map((item) => u32Of(item, "UID"));
  const uniqueid = text(kvlist, "UNIQUEID");
  return { kind: "expunge", name: text(kvlist, "MBOXNAME"), uniqueid, uids };
}

function readSubscription(value: DlistValue): { userid: string; name: string } {
  const kvlist = kvlistOf(value, "SUB");
  return { userid: text(kvlist, "USERID"), name: text(kvlist, "MBOXNAME") };
}

function readSieve(value: DlistValue): ApplySieve {
  const kvlist = kvlistOf(value, "SIEVE");
  return {
    kind: "sieve",
    ...parseScriptName(kvlist),
    lastUpdate: dateOf(lookUp(kvlist, "LAST_UPDATE"), "LAST_UPDATE"),
    content: ownBytesOf(lookUp(kvlist, "CONTENT"), "CONTENT"),
  };
}

export interface PrintApplyOptions {
  /** The records of a mailbox command. */
  readonly records?: readonly MailRecord[];
  readonly virtualOrder?: VirtualOrder;
  readonly quotaNames?: "old" | "both";
}

/** The inverse of `parseApply`, and of `parseRestore` for a restore (whose verb is RESTORE). */
export function printApply(command: ApplyRequest, options: PrintApplyOptions = {}): DlistEntry {
  const isLocal = "isLocal" in command && command.isLocal === true;
  const { name, value } = print(command, options);
  return { name: isLocal ? `LOCAL_${name}` : name, value };
}

function entry(
  name: string,
  pairs: readonly (readonly [string, DlistValue | undefined])[],
): DlistEntry {
  return { name, value: dlistKvlist(pairs) };
}

function print(command: ApplyRequest, options: PrintApplyOptions): DlistEntry {
  switch (command.kind) {
    case "reserve":
      return entry("RESERVE", [
        ["PARTITION", dlistLatin1(command.partition)],
        ["MBOXNAME", dlistList(command.mailboxes.map(dlistLatin1))],
        ["GUID", dlistList(command.guids.map(dlistLatin1))],
      ]);
    case "message":
      return { name: "MESSAGE", value: dlistList(command.items) };
    case "mailbox":
    case "restore":
      return { name: "MAILBOX", value: printMailboxCommand(command, options) };
    case "unmailbox":
      return { name: "UNMAILBOX", value: dlistLatin1(command.name) };
    case "rename": {
      const { oldName, newName, partition, uidvalidity } = command;
      return entry("RENAME", [
        ["OLDMBOXNAME", dlistLatin1(oldName)],
        ["NEWMBOXNAME", dlistLatin1(newName)],
        ["PARTITION", dlistLatin1(partition)],
        ["UIDVALIDITY", uidvalidity === undefined ? undefined : dlistNumber(uidvalidity)],
      ]);
    }
    case "expunge":
      return entry("EXPUNGE", [
        ["MBOXNAME", dlistLatin1(command.name)],
        ["UNIQUEID", dlistLatin1(command.uniqueid)],
        ["UID", dlistList(command.uids.map(dlistNumber))],
      ]);
    case "quota":
      return { name: "QUOTA", value: printQuota(command.quota, options.quotaNames) };
    case "unquota":
      return { name: "UNQUOTA", value: dlistLatin1(command.root) };
    case "seen":
      return { name: "SEEN", value: printSeen(command.seen, command.userid) };
    case "sub":
    case "unsub":
      return entry(command.kind.toUpperCase(), [
        ["USERID", dlistLatin1(command.userid)],
        ["MBOXNAME", dlistLatin1(command.name)],
      ]);
    case "annotation":
      return { name: "ANNOTATION", value: printNamedAnnotation(command.name, command) };
    case "unannotation":
      return entry("UNANNOTATION", annotationAddress(command));
    case "sieve":
      return entry("SIEVE", [
        ...scriptName(command),
        ["LAST_UPDATE", dlistNumber(command.lastUpdate)],
        ["CONTENT", dlistString(command.content)],
      ]);
    case "unsieve":
      return entry("UNSIEVE", scriptName(command));
    case "activateSieve":
      return entry("ACTIVATE_SIEVE", scriptName(command));
    case "unactivateSieve":
      return entry("UNACTIVATE_SIEVE", [["USERID", dlistLatin1(command.userid)]]);
    case "unuser":
      return { name: "UNUSER", value: dlistLatin1(command.userid) };
    case "force":
      return entry("FORCE", []);
    case "capabilities":
      return { name: "CAPABILITIES", value: dlistList(command.names.map(dlistLatin1)) };
  }
}

function printMailboxCommand(
  command: ApplyMailbox | RestoreMailbox,
  options: PrintApplyOptions,
): DlistKvlist {
  const records = (options.records ?? []).map((one) => printRecord(one, options.virtualOrder));
  const since = command.kind === "mailbox" ? command.since : undefined;
  return printMailbox(command.state, { purpose: "apply", since, records });
}
