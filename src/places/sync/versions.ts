/**
 * What each version of Cyrus knows on the wire, and what it dies of: one table, asked with `can`. A
 * row is the first version that can. A server dies (SIGSEGV, the connection just closes) of what is
 * marked so, and what a server that hides its version may die of is not sent to it.
 */
import type { Place } from "../place.ts";
import type { Peer, Version } from "./peer.ts";

interface Ability {
  readonly since: Version;
  /** Whether a server that does not say its version is taken for one that can. */
  readonly unsaid: boolean;
}

const ABILITIES = {
  /** Annotations within MAILBOX and RECORD. Before: GET and APPLY ANNOTATION, mailboxes only. */
  "annotations within MAILBOX": { since: [2, 5], unsaid: true },
  "thread ids": { since: [2, 5], unsaid: true },
  "all quotas": { since: [2, 5], unsaid: true },
  POP3_SHOW_AFTER: { since: [2, 5], unsaid: true },
  /** SYNC_CRC 0 is not compared. 2.4 compares it too, and refuses what it has taken. */
  "no sum": { since: [2, 5], unsaid: true },
  /** APPLY ANNOTATION of a mailbox; 2.5 knows none, and dies of VALUE NIL. */
  "APPLY ANNOTATION": { since: [3, 0], unsaid: true },
  /** 2.4 dies of it, and removes by APPLY ANNOTATION with VALUE NIL. */
  UNANNOTATION: { since: [3, 0], unsaid: false },
  /** Makes the bytecode of a script that comes. Before, ACTIVATE leaves a dangling link. */
  "compiles scripts": { since: [3, 0], unsaid: true },
  /** Sums of annotations as they are since; savedate and createdmodseq as fields of a record. */
  "fields of 3.2": { since: [3, 2], unsaid: true },
  /** Names mailboxes of type `i` in its answers. 3.2 takes them, and never names one. */
  placeholders: { since: [3, 4], unsaid: true },
  /** GET UNIQUEIDS of one that is not there; 3.2 and 3.4 die of it. */
  "unknown uniqueids": { since: [3, 6], unsaid: false },
  CAPABILITIES: { since: [3, 6], unsaid: false },
  FORCE: { since: [3, 6], unsaid: false },
  /** Nanoseconds, the order of virtual annotations, and JMAPIDs made of CREATEDMODSEQ. */
  "fields of master": { since: [3, 13], unsaid: false },
} as const satisfies Readonly<Record<string, Ability>>;

/** What some versions can and others cannot. */
export type AbilityName = keyof typeof ABILITIES;

/** Words in the banner that tell the least version of a server that does not say it. */
const TOLD_BY: readonly (readonly [string, Version])[] = [
  ["REPLICATION-ARCHIVE", [3, 8]],
  ["SIEVE-MAILBOX", [3, 6]],
  ["X-SIEVE-MAILBOX", [3, 6]],
];

/** Bobbin can all that any version can. */
export function can(peer: Peer, name: AbilityName): boolean {
  if (peer.software === "bobbin") return true;
  const { since, unsaid } = ABILITIES[name];
  const version = versionOf(peer);
  return version === undefined ? unsaid : isSince(version, since);
}

/** What it says, or what its banner tells. */
export function versionOf({ version, capabilities }: Peer): Version | undefined {
  return version ?? TOLD_BY.find(([word]) => capabilities.has(word))?.[1];
}

function isSince([major, minor]: Version, [since, sinceMinor]: Version): boolean {
  return major > since || (major === since && minor >= sinceMinor);
}

/** The row for a version, of rows that begin with the oldest; `unsaid` where it says none. */
function rowFor<Row>(peer: Peer, rows: readonly (readonly [Version, Row])[], unsaid: Row): Row {
  const version = versionOf(peer);
  if (version === undefined) return unsaid;
  return rows.findLast(([since]) => isSince(version, since))?.[1] ?? unsaid;
}

/**
 * Letters of mailbox types that a version knows. 2.4 takes no notice of them, so it would make mail
 * of what is none; 2.5, and 3.6 and later, die of a letter that they do not know.
 */
const TYPE_LETTERS: readonly (readonly [Version, string])[] = [
  [[2, 5], "nca"],
  [[3, 0], "ncab"],
  [[3, 2], "ncabspi"],
  [[3, 6], "enbcaspfdmriz"],
  [[3, 8], "enbcaspfdmrizj"],
];

/** The letters of the mailbox types that a peer knows. */
export function typeLettersOf(peer: Peer): string {
  return rowFor(peer, TYPE_LETTERS, "");
}

/**
 * What a name over sync must not have; no rules of IMAP apply there. 2.4 takes anything. Since then
 * a name is printable ASCII and sound UTF-7.
 */
const NO_NAME = /[^ -~]|[\\%{]|\.\.|^(?:[^!]*!)?user$|&(?![A-Za-z0-9+,]*-)/;
const REFUSED_NAMES: readonly (readonly [Version, RegExp])[] = [
  [[2, 5], new RegExp(`${NO_NAME.source}|[()[\\]*]`)],
  [[3, 0], NO_NAME],
];
const NONE = /(?!)/;

/** True for an internal name that the server is known to refuse. */
export function refusesName(peer: Peer, name: string): boolean {
  return peer.software === "cyrus" && rowFor(peer, REFUSED_NAMES, NONE).test(name);
}

const VENDOR = "/vendor/cmu/cyrus-imapd";
/** The annotations of mailboxes that 2.4 knows; to all others it says «Permission denied». */
export const ENTRIES_OF_24: readonly string[] = [
  ...["/comment", "/sort", "/check", "/checkperiod", `${VENDOR}/expire`, `${VENDOR}/squat`],
  ...[`${VENDOR}/news2mail`, `${VENDOR}/sieve`],
];

/** The newest bytecode that runs on a version that compiles no scripts. */
const BYTECODE_OF_2X = 9;

/** What a server does with bytecode that comes; undefined where it makes its own. */
export function bytecodeAt(peer: Peer): Place["bytecode"] {
  if (peer.software === "bobbin") return "kept";
  return can(peer, "compiles scripts") ? undefined : { newest: BYTECODE_OF_2X };
}
