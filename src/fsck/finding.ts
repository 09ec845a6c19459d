/**
 * What a check has to say: damage is data, never an exception. A finding holds a code of the
 * catalogue, its place and the facts of that code; severity, words and advice are made from those
 * by `tell`, so that each is said in one place only, and a repair can be planned from the facts.
 */
import { isDeepStrictEqual } from "node:util";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { CODES, type Code } from "./codes.ts";
import { atLeast, type Severity } from "./severity.ts";
import { BACKUP_WORDS } from "./words/backup_words.ts";
import { INDEX_WORDS } from "./words/index_words.ts";
import { MAILBOX_WORDS } from "./words/mailbox_words.ts";
import { SERVER_WORDS } from "./words/server_words.ts";
import { STORE_WORDS } from "./words/store_words.ts";
import type { Telling, Words } from "./words/telling.ts";

const WORDS = {
  ...INDEX_WORDS,
  ...MAILBOX_WORDS,
  ...SERVER_WORDS,
  ...STORE_WORDS,
  ...BACKUP_WORDS,
};

type WordyCode = keyof typeof WORDS;

/** A code that says everything by its place carries no facts. */
type NoFacts = Readonly<Record<string, never>>;

/** What a finding of this code knows. */
export type FactsOf<C extends Code> = C extends WordyCode
  ? Parameters<(typeof WORDS)[C]> extends [infer Facts]
    ? Readonly<Facts>
    : NoFacts
  : NoFacts;

/** Where something was found. Without mailbox and user it concerns a whole server or store. */
export interface Place {
  /** Internal name, or the path where no name is known. */
  readonly mailbox?: string;
  readonly userid?: string;
  readonly uid?: number;
  /** The file or folder concerned. */
  readonly path?: string;
}

interface FindingOf<C extends Code> {
  readonly code: C;
  readonly at: Place;
  /** The number of messages with this fault, where they are only counted; `at` is the first. */
  readonly count?: number;
  readonly facts: FactsOf<C>;
}

/** Stands for the findings of a code that were left out at the limit; `count` is of all of them. */
interface LeftOut {
  readonly code: Code;
  readonly at: Place;
  readonly count: number;
  readonly facts?: undefined;
}

export type Finding = { readonly [C in Code]: FindingOf<C> }[Code] | LeftOut;

/** The facts as an argument, which may be left out where a code needs none. */
export type FactsArgument<C extends Code> =
  Record<string, never> extends FactsOf<C> ? [facts?: FactsOf<C>] : [facts: FactsOf<C>];

/** A finding of the catalogue's row `code`. */
export function finding<C extends Code>(code: C, at: Place, ...[facts]: FactsArgument<C>): Finding {
  // The parameters say that the facts are those of the code.
  return { code, at, facts: facts ?? {} } as Finding;
}

/** The finding, with more of its place. */
export function placed(one: Finding, at: Place): Finding {
  return { ...one, at: { ...one.at, ...at } };
}

/** A finding as people and programs read it. */
export interface ToldFinding extends Place, Telling {
  readonly code: Code;
  readonly severity: Severity;
  readonly text: string;
  readonly repair: string;
}

/** Puts a finding into words. */
export function tell({ code, at, count, facts }: Finding): ToldFinding {
  const row = CODES[code];
  const words: Partial<Record<Code, Words<never>>> = WORDS;
  // The facts are those of the code.
  const told = facts === undefined ? leftOut(count) : (words[code]?.(facts as never) ?? {});
  const { severity = row.severity, text = row.title, ...values } = told;
  const counted = facts === undefined || count === undefined ? {} : ofMessages(count);
  return { ...values, ...counted, code, severity, text, repair: row.repair, ...at };
}

function leftOut(count = 0): Telling {
  return { text: `${count - DEFAULT_LIMITS.findingsPerCode} more of the same`, found: count };
}

function ofMessages(count: number): Telling {
  return { field: "messages", found: count };
}

/** How bad a finding is, by its code and what was found. */
export function severityOf(one: Finding): Severity {
  return tell(one).severity;
}

/** True of a warning or worse, which is reported only after a second look; the rest are remarks. */
export function isDamage(one: Finding): boolean {
  return atLeast(severityOf(one), "warning");
}

/**
 * True where something could not be looked at, so that nobody knows whether it is sound: what the
 * system does not give, no regular file, a format that is not read.
 */
export function isUnread({ code, facts }: Finding): boolean {
  if (facts === undefined) return false;
  if (code === "MS08") return facts.what === "message";
  const about = "file" in facts ? facts.file : facts;
  if ("errno" in about || "format" in about) return true;
  const fault = "fault" in about ? about.fault : undefined;
  return typeof fault === "object" && fault.state !== "missing";
}

/** Two findings are the same observation when a second look says exactly the same again. */
export function sameObservation(left: Finding, right: Finding): boolean {
  return isDeepStrictEqual(left, right);
}
