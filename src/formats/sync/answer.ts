/** The data lines of a server's answers as values (sync-protocol.md 4.1). */
import { type Guid, isGuid } from "../../model/guid.ts";
import type { MailboxState, Quota, SeenState, SieveFile } from "../../model/mailbox.ts";
import { type Owner, ownerKey, ownerOfKey } from "../../model/names.ts";
import type { MailRecord, VirtualOrder } from "../../model/record.ts";
import { FieldError, itemsOf, kvlistOf, lookUp, ownBytesOf, wordsOf } from "../dlist/access.ts";
import { printLine } from "../dlist/print.ts";
import {
  type DlistEntry,
  type DlistFile,
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistString,
  NIL,
} from "../dlist/value.ts";
import { printTexts } from "./get_command.ts";
import { parseMailbox, printMailbox } from "./mailbox_line.ts";
import { parseRecord, printRecord } from "./record_line.ts";
import {
  type NamedAnnotation,
  parseNamedAnnotation,
  parseQuota,
  parseScriptName,
  parseSeen,
  parseSieveFile,
  printNamedAnnotation,
  printQuota,
  printSeen,
  printSieveFile,
  type ScriptName,
  scriptName,
} from "./user_lines.ts";

export type Answer =
  /** `records` are present in the answer to FULLMAILBOX only. */
  | {
      readonly kind: "mailbox";
      readonly state: MailboxState;
      readonly records?: readonly MailRecord[];
    }
  | { readonly kind: "seen"; readonly seen: SeenState }
  | { readonly kind: "subscriptions"; readonly names: readonly string[] }
  | { readonly kind: "sieve"; readonly file: SieveFile }
  | SieveContent
  | { readonly kind: "quota"; readonly quota: Quota }
  | ({ readonly kind: "annotation" } & NamedAnnotation)
  /** The GUIDs that RESERVE did not find. */
  | { readonly kind: "missing"; readonly guids: readonly Guid[] }
  /** `file` is null where the server knows the message and cannot read it. */
  | { readonly kind: "message"; readonly file: DlistFile | null }
  | { readonly kind: "enabled"; readonly names: readonly string[] }
  /** Some of the owners that GET OWNERS asks for. */
  | { readonly kind: "owners"; readonly owners: readonly Owner[] };

/** The answer to GET FETCH_SIEVE. */
export interface SieveContent extends ScriptName {
  readonly kind: "sieveContent";
  readonly content: Uint8Array;
}

/** Names of data lines: a dlist value follows `* ` and one of these. */
export const ANSWER_NAMES: ReadonlySet<string> = new Set([
  ...["MAILBOX", "SEEN", "LSUB", "SIEVE", "QUOTA", "ANNOTATION", "MISSING"],
  ...["MESSAGE", "ENABLED", "OWNERS"],
]);

export interface ParseAnswerOptions {
  /** The records that the reader gave out of the line; absent if they stand in it. */
  readonly records?: readonly MailRecord[];
}

/** Parses the answer in `* name value`; undefined for an unknown name. Throws FieldError. */
export function parseAnswer(
  name: string,
  value: DlistValue,
  options: ParseAnswerOptions = {},
): Answer | undefined {
  switch (name) {
    case "MAILBOX":
      return parseMailboxAnswer(kvlistOf(value, name), options);
    case "SEEN":
      return { kind: "seen", seen: parseSeen(kvlistOf(value, name)) };
    case "LSUB":
      return { kind: "subscriptions", names: wordsOf(value, name) };
    case "SIEVE":
      return parseSieve(kvlistOf(value, name));
    case "QUOTA":
      return { kind: "quota", quota: parseQuota(kvlistOf(value, name)) };
    case "ANNOTATION":
      return { kind: "annotation", ...parseNamedAnnotation(kvlistOf(value, name)) };
    case "MISSING":
      return { kind: "missing", guids: guidsOf(value) };
    case "MESSAGE":
      if (value.kind === "nil") return { kind: "message", file: null };
      if (value.kind === "file") return { kind: "message", file: value };
      throw new FieldError(name, "a file");
    case "ENABLED":
      return { kind: "enabled", names: wordsOf(value, name) };
    case "OWNERS":
      return { kind: "owners", owners: wordsOf(value, name).map(ownerIn) };
    default:
      return undefined;
  }
}

function ownerIn(key: string): Owner {
  const owner = ownerOfKey(key);
  if (owner === undefined) throw new FieldError("OWNERS", "user:… or shared:…");
  return owner;
}

function parseMailboxAnswer(kvlist: DlistKvlist, options: ParseAnswerOptions): Answer {
  const state = parseMailbox(kvlist, "answer");
  const list = lookUp(kvlist, "RECORD");
  if (list === undefined) return { kind: "mailbox", state };
  const records = options.records ?? itemsOf(list, "RECORD").map(parseRecord);
  return { kind: "mailbox", state, records };
}

function parseSieve(kvlist: DlistKvlist): Answer {
  const content = lookUp(kvlist, "CONTENT");
  if (content === undefined) return { kind: "sieve", file: parseSieveFile(kvlist) };
  const script = parseScriptName(kvlist);
  return { kind: "sieveContent", ...script, content: ownBytesOf(content, "CONTENT") };
}

function guidsOf(value: DlistValue): Guid[] {
  const guids = wordsOf(value, "MISSING");
  if (!guids.every(isGuid)) throw new FieldError("MISSING", "a list of GUIDs");
  return guids;
}

export interface PrintAnswerOptions {
  readonly virtualOrder?: VirtualOrder;
  readonly quotaNames?: "old" | "both";
}

/** The inverse of `parseAnswer`. */
export function printAnswer(answer: Answer, options: PrintAnswerOptions = {}): DlistEntry {
  switch (answer.kind) {
    case "mailbox": {
      const records = answer.records?.map((one) => printRecord(one, options.virtualOrder));
      const value = printMailbox(answer.state, {
        purpose: "answer",
        ...(records === undefined ? {} : { records }),
      });
      return { name: "MAILBOX", value };
    }
    case "seen":
      return { name: "SEEN", value: printSeen(answer.seen) };
    case "subscriptions":
      return { name: "LSUB", value: printTexts(answer.names) };
    case "sieve":
      return { name: "SIEVE", value: printSieveFile(answer.file) };
    case "sieveContent": {
      const content = ["CONTENT", dlistString(answer.content)] as const;
      return { name: "SIEVE", value: dlistKvlist([...scriptName(answer), content]) };
    }
    case "quota":
      return { name: "QUOTA", value: printQuota(answer.quota, options.quotaNames) };
    case "annotation":
      return { name: "ANNOTATION", value: printNamedAnnotation(answer.name, answer.annotation) };
    case "missing":
      return { name: "MISSING", value: printTexts(answer.guids) };
    case "message":
      return { name: "MESSAGE", value: answer.file ?? NIL };
    case "enabled":
      return { name: "ENABLED", value: printTexts(answer.names) };
    case "owners":
      return { name: "OWNERS", value: printTexts(answer.owners.map(ownerKey)) };
  }
}

/**
 * The line of a FULLMAILBOX answer up to its first record. The records follow with a space between
 * them, then `RECORDS_END`, so that a mailbox of a million messages is never held as text.
 */
export function printMailboxOpening(state: MailboxState): Uint8Array {
  const value = printMailbox(state, { purpose: "answer", records: [] });
  return printLine("MAILBOX", value, { from: "server" }).subarray(0, -RECORDS_END.length);
}

/** Closes the list of records and the kvlist around it. */
export const RECORDS_END = "))";
