/**
 * Reads what Cyrus' `mbexamine` printed of the mailboxes of a fixture: the other opinion on an
 * index.
 */
import { readFileSync } from "node:fs";
import { fixturePath } from "./fixtures.ts";

export interface ExaminedMailbox {
  /** Below the root of the archive. */
  readonly folder: string;
  readonly uniqueid: string;
  readonly acl: string;
  /** Names in the order of their slots up to the first one not in use, or `[none]`. */
  readonly userFlags: string;
  readonly generationNo: number;
  readonly minorVersion: number;
  readonly headerSize: number;
  readonly recordSize: number;
  readonly messages: number;
  readonly quotaMailboxUsed: bigint;
  readonly quotaAnnotUsed: bigint;
  readonly lastAppenddate: number;
  readonly uidvalidity: number;
  readonly lastUid: number;
  readonly deleted: number;
  readonly answered: number;
  readonly flagged: number;
  readonly highestmodseq: bigint;
  /** Printed since 3.10. */
  readonly quotaDeletedUsed: bigint | undefined;
  readonly quotaExpungedUsed: bigint | undefined;
  readonly records: readonly ExaminedRecord[];
}

export interface ExaminedRecord {
  readonly uid: number;
  readonly internaldate: number;
  readonly internaldateNsec: number;
  readonly sentdate: number;
  readonly savedate: number;
  readonly size: number;
  readonly headerSize: number;
  readonly lastUpdated: number;
  readonly systemFlags: number;
  readonly userFlags: readonly number[];
  readonly cacheVersion: number;
  /** These are printed where the version has them. */
  readonly guid: string | undefined;
  readonly modseq: bigint | undefined;
  readonly createdmodseq: bigint | undefined;
  readonly cid: bigint | undefined;
  readonly basecid: bigint | undefined;
  /** Items of the cache record by their number, all but the binary one (3). */
  readonly cacheItems: ReadonlyMap<number, string>;
}

const CACHE_ITEMS = [
  ...([["Envel", 0] as const, ["BdyStr", 1], ["Body", 2], ["CacHdr", 4], ["From", 5]] as const),
  ...([
    ["To", 6],
    ["Cc", 7],
    ["Bcc", 8],
    ["Subjct", 9],
  ] as const),
];

/** The mailboxes of `cyrus-spools/<name>.mbexamine.txt`. Text is one character per byte. */
export function examinedMailboxes(name: string): ExaminedMailbox[] {
  const text = readFileSync(fixturePath(`cyrus-spools/${name}.mbexamine.txt`), "latin1");
  const parts = text.split(/^(?=Examining )/m).slice(1);
  return parts.map(parseMailbox);
}

function parseMailbox(text: string): ExaminedMailbox {
  const [head = "", ...records] = text.split(/^(?=\d{6}> UID:)/m);
  const number = (pattern: RegExp) => Number(found(head, pattern));
  const bigint = (pattern: RegExp) => BigInt(found(head, pattern));
  const maybe = (pattern: RegExp) => (pattern.test(head) ? bigint(pattern) : undefined);
  return {
    folder: found(head, /Path to mailbox: @DIR@\/(.*)$/m),
    uniqueid: found(head, /Unique ID: (.*)$/m),
    acl: found(head, /Mailbox ACL: (.*)$/m),
    userFlags: found(head, /User Flags: ?(.*)$/m).trim(),
    generationNo: number(/Generation Number: (\d+)/),
    minorVersion: number(/Minor Version: (\d+)/),
    headerSize: number(/Header Size: (\d+)/),
    recordSize: number(/Record Size: (\d+)/),
    messages: number(/Number of Messages: (\d+)/),
    quotaMailboxUsed: bigint(/Mailbox Size: (\d+)/),
    quotaAnnotUsed: bigint(/Annotations Size: (\d+)/),
    lastAppenddate: number(/Last Append Date: \((\d+)\)/),
    uidvalidity: number(/UIDValidity: (\d+)/),
    lastUid: number(/Last UID: (\d+)/),
    deleted: number(/ Deleted: (\d+)/),
    answered: number(/Answered: (\d+)/),
    flagged: number(/Flagged: (\d+)/),
    highestmodseq: bigint(/Highest Mod Sequence: (\d+)/),
    quotaDeletedUsed: maybe(/Deleted Size: (\d+)/),
    quotaExpungedUsed: maybe(/Expunged Size: (\d+)/),
    records: records.map(parseRecord),
  };
}

function parseRecord(text: string): ExaminedRecord {
  const number = (pattern: RegExp) => Number(found(text, pattern));
  const hex = (pattern: RegExp) =>
    pattern.test(text) ? BigInt(`0x${found(text, pattern)}`) : undefined;
  const bigint = (pattern: RegExp) =>
    pattern.test(text) ? BigInt(found(text, pattern)) : undefined;
  return {
    uid: number(/UID:(\d+)/),
    internaldate: number(/INT_DATE:(\d+)/),
    internaldateNsec: /INT_DATE:\d+\.\d/.test(text) ? number(/INT_DATE:\d+\.(\d{9})/) : 0,
    sentdate: number(/SENTDATE:(\d+)/),
    savedate: number(/SAVEDATE:(\d+)/),
    size: number(/ SIZE: ?(\d+)/),
    headerSize: number(/HDRSIZE:(\d+)/),
    lastUpdated: number(/LASTUPD :(\d+)/),
    systemFlags: Number(hex(/SYSFLAGS:([0-9A-Fa-f]{8})/)),
    userFlags: found(text, /USERFLAGS: ([0-9A-Fa-f ]+)/)
      .trim()
      .split(" ")
      .map((word) => Number.parseInt(word, 16))
      .reverse(), // printed with the last word first
    cacheVersion: number(/CACHEVER:(\d+)/),
    guid: /GUID:/.test(text) ? found(text, /GUID:([0-9a-f]{40})/) : undefined,
    modseq: bigint(/ MODSEQ:(\d+)/),
    createdmodseq: bigint(/CMODSEQ:(\d+)/),
    cid: hex(/(?:THRID| CID): ([0-9a-f]{16})/),
    basecid: hex(/BASECID: ([0-9a-f]{16})/),
    cacheItems: new Map(
      CACHE_ITEMS.map(([label, item]) => {
        const start = found(text, new RegExp(`^( ${label}>\\{\\d+\\})`, "m"));
        const from = text.indexOf(`\n${start}`) + 1 + start.length;
        const length = Number(found(start, /\{(\d+)\}/));
        return [item, text.slice(from, from + length)];
      }),
    ),
  };
}

function found(text: string, pattern: RegExp): string {
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`mbexamine printed no ${pattern}`);
  return value;
}
