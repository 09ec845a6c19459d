/**
 * The value of a record of mailboxes.db: what Cyrus knows of one mailbox (spool-format 7.1, Cyrus
 * imap/mboxlist.c).
 *
 *   since 2.5:  `%(T el N name I uniqueid J jmapid P partition S server V uidvalidity
 *                C createdmodseq F foldermodseq M mtime A %(user rights …) H (%(…) …))`
 *   until 2.4:  `[(uniqueid X specialuse Y) ]type partition acl`, or `type server!partition acl`
 *
 * Texts are strings of one character a byte.
 */
import { latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { type AclEntry, parseAcl } from "../../model/acl.ts";
import { dateOf, itemsOf, kvlistOf, latin1Of, lookUp, u32Of, u64Of } from "../dlist/access.ts";
import { parseValue } from "../dlist/parse.ts";
import type { DlistKvlist, DlistValue } from "../dlist/value.ts";
import { internalOfDbName } from "./mailbox_dbname.ts";

/** What a mailbox is, from the letters of T; one object for all mailboxes of the same letters. */
export interface MailboxType {
  readonly text: string;
  /** `e` mail, `c` calendar, `f` sieve …; "e" where it is not said. */
  readonly content: string;
  /** A tombstone: the name is gone, its uniqueid may live on under another. */
  readonly deleted: boolean;
  /** The mailbox is being moved to another server. */
  readonly moving: boolean;
  /** The mailbox lies on another server. */
  readonly remote: boolean;
  /** A name that is taken and has no mailbox yet. */
  readonly reserved: boolean;
  /** Only a parent of others, without a folder. */
  readonly intermediate: boolean;
  /** Its folder is found by name, not by uniqueid. */
  readonly legacy: boolean;
}

/** A name that the mailbox had before. */
export interface FormerName {
  readonly name: string;
  readonly type: MailboxType;
  readonly partition: string | undefined;
  readonly uidvalidity: number;
  readonly createdmodseq: bigint;
  readonly foldermodseq: bigint;
  readonly mtime: number;
}

export interface MailboxEntry {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid: string | undefined;
  /** The id that JMAP shows; written since Cyrus 3.13. */
  readonly jmapid: string | undefined;
  readonly type: MailboxType;
  readonly partition: string | undefined;
  readonly server: string | undefined;
  /** 0 where it is not said, as are the modseqs. */
  readonly uidvalidity: number;
  readonly createdmodseq: bigint;
  readonly foldermodseq: bigint;
  /** Seconds: when this record was written. */
  readonly mtime: number;
  readonly acl: readonly AclEntry[];
  /** The names that the mailbox had before, newest first; only I records hold them. */
  readonly history: readonly FormerName[];
}

const NO_ACL: readonly AclEntry[] = [];
const NO_HISTORY: readonly FormerName[] = [];

/** Types and ACLs are shared by most mailboxes of a server; these keep one object of each. */
export interface EntryCache {
  readonly types: Map<string, MailboxType>;
  readonly acls: Map<string, readonly AclEntry[]>;
}

/** A cache that holds nothing yet. */
export function newEntryCache(): EntryCache {
  return { types: new Map(), acls: new Map() };
}

/** What the key says, to be joined with what the value says. */
export interface KeyFacts {
  readonly name?: string;
  readonly uniqueid?: string;
  readonly jmapid?: string;
}

/** Reads one value of any release. Throws FormatError where a field is not what it should be. */
export function parseMailboxEntry(
  value: Uint8Array,
  facts: KeyFacts,
  options: { readonly cache: EntryCache },
): MailboxEntry {
  const text = latin1(value);
  if (!text.startsWith("%")) return parseTextEntry(text, facts, options.cache);
  return parseCommonEntry(text, facts, options.cache) ?? parseDlistEntry(value, facts, options);
}

const ATOM = '("[^"\\\\]*"|[^\\s()"%{]+)';
/** The form nearly every value has: fields in Cyrus' order, nothing escaped, no former names. */
const COMMON = new RegExp(
  `^%\\(T ([a-z]+)(?: N ${ATOM})?(?: I ${ATOM})?(?: J ${ATOM})?(?: P ${ATOM})?(?: S ${ATOM})?` +
    "(?: V (\\d{1,10}))?(?: C (\\d{1,15}))?(?: F (\\d{1,15}))?(?: M (\\d{1,15}))?" +
    '(?: A %\\(([^()"%{]*)\\))?(?: H \\(\\))?\\)$',
);

/** Reads the common form in one go: a server has a hundred thousand of them. */
function parseCommonEntry(
  text: string,
  facts: KeyFacts,
  cache: EntryCache,
): MailboxEntry | undefined {
  const match = COMMON.exec(text);
  if (match === null) return undefined;
  const [, type = "", dbName, uniqueid, jmapid, partition, server, v, c, f, m, acl] = match;
  const ownName = unquoted(dbName);
  const name = facts.name ?? (ownName === undefined ? undefined : internalOfDbName(ownName));
  const uidvalidity = Number(v ?? 0);
  if (name === undefined || uidvalidity > 0xffff_ffff) return undefined;
  return {
    name,
    uniqueid: facts.uniqueid ?? unquoted(uniqueid),
    jmapid: facts.jmapid ?? unquoted(jmapid),
    type: mailboxType(type, cache),
    partition: unquoted(partition),
    server: unquoted(server),
    uidvalidity,
    createdmodseq: BigInt(c ?? 0),
    foldermodseq: BigInt(f ?? 0),
    mtime: Number(m ?? 0),
    acl: acl === undefined ? NO_ACL : aclOf(acl, cache),
    history: NO_HISTORY,
  };
}

function unquoted(atom: string | undefined): string | undefined {
  if (atom === undefined || atom === "NIL") return undefined;
  return atom.startsWith('"') ? atom.slice(1, -1) : atom;
}

function parseDlistEntry(
  value: Uint8Array,
  facts: KeyFacts,
  { cache }: { readonly cache: EntryCache },
): MailboxEntry {
  const fields = kvlistOf(parseValue(value), "mailbox");
  const dbName = optionalText(fields, "N");
  const name = facts.name ?? (dbName === undefined ? undefined : internalOfDbName(dbName));
  if (name === undefined) throw new FormatError(0, "a name under N");
  const acl = lookUp(fields, "A");
  const history = lookUp(fields, "H");
  return {
    ...commonFields(fields, cache),
    name,
    uniqueid: facts.uniqueid ?? optionalText(fields, "I"),
    jmapid: facts.jmapid ?? optionalText(fields, "J"),
    server: optionalText(fields, "S"),
    acl: acl === undefined ? NO_ACL : dlistAcl(acl),
    history: history === undefined ? NO_HISTORY : itemsOf(history, "H").map(parseFormer(cache)),
  };
}

function commonFields(fields: DlistKvlist, cache: EntryCache) {
  const number = (key: string) => lookUp(fields, key);
  const uidvalidity = number("V");
  const mtime = number("M");
  return {
    type: mailboxType(optionalText(fields, "T") ?? "", cache),
    partition: optionalText(fields, "P"),
    uidvalidity: uidvalidity === undefined ? 0 : u32Of(uidvalidity, "V"),
    createdmodseq: optionalU64(fields, "C"),
    foldermodseq: optionalU64(fields, "F"),
    mtime: mtime === undefined ? 0 : dateOf(mtime, "M"),
  };
}

function parseFormer(cache: EntryCache): (value: DlistValue) => FormerName {
  return (value) => {
    const fields = kvlistOf(value, "H");
    const name = internalOfDbName(latin1Of(lookUp(fields, "N"), "N"));
    return { ...commonFields(fields, cache), name };
  };
}

function optionalText(fields: DlistKvlist, key: string): string | undefined {
  const value = lookUp(fields, key);
  return value === undefined || value.kind === "nil" ? undefined : latin1Of(value, key);
}

function optionalU64(fields: DlistKvlist, key: string): bigint {
  const value = lookUp(fields, key);
  return value === undefined ? 0n : u64Of(value, key);
}

function dlistAcl(value: DlistValue): readonly AclEntry[] {
  const { entries } = kvlistOf(value, "A");
  return entries.map((entry) => ({
    identifier: entry.name,
    rights: entry.value.kind === "nil" ? "" : latin1Of(entry.value, "A"),
  }));
}

const TEXT_ENTRY = /^(?:\(([^)]*)\) )?(\d{1,9}) (?:([^ !]+)!)?([^ !]*)(?: ([\s\S]*))?$/;

function parseTextEntry(text: string, facts: KeyFacts, cache: EntryCache): MailboxEntry {
  const match = TEXT_ENTRY.exec(text);
  if (match === null || facts.name === undefined) {
    throw new FormatError(0, "type, partition and ACL of a mailbox");
  }
  const [, extended = "", bits, server, partition, acl = ""] = match;
  const words = extended.split(" ");
  const at = words.indexOf("uniqueid");
  return {
    name: facts.name,
    uniqueid: at === -1 ? undefined : words[at + 1],
    jmapid: undefined,
    type: mailboxType(lettersOfBits(Number(bits)), cache),
    partition: partition === "" ? undefined : partition,
    server,
    uidvalidity: 0,
    createdmodseq: 0n,
    foldermodseq: 0n,
    mtime: 0,
    acl: parseAcl(acl) ?? NO_ACL,
    history: NO_HISTORY,
  };
}

/** The bits that came before the letters: a mailbox of then always lies where its name says. */
function lettersOfBits(bits: number): string {
  const content = bits & 4 ? "n" : bits & 32 ? "c" : bits & 64 ? "a" : "e";
  const flags = [
    [16, "d"],
    [8, "m"],
    [1, "r"],
    [2, "z"],
  ] as const;
  return `${content}${flags.map(([bit, letter]) => (bits & bit ? letter : "")).join("")}l`;
}

const CONTENT_LETTERS = "abcefjnps";
const TYPE_TEXT = /^[abcefjnps]?[dfilmrz]*$/;

/** The meaning of the letters of T. Throws FormatError on a letter that Cyrus does not know. */
export function mailboxType(text: string, cache: EntryCache): MailboxType {
  const known = cache.types.get(text);
  if (known !== undefined) return known;
  if (!TYPE_TEXT.test(text)) throw new FormatError(0, `letters of a mailbox type, not ${text}`);
  const first = text.slice(0, 1);
  const type: MailboxType = {
    text,
    content: first !== "" && CONTENT_LETTERS.includes(first) ? first : "e",
    deleted: text.includes("d"),
    moving: text.includes("m"),
    remote: text.includes("r"),
    reserved: text.includes("z"),
    intermediate: text.includes("i"),
    legacy: text.includes("l"),
  };
  cache.types.set(text, type);
  return type;
}

/** `user rights user rights`, as the common form has it. */
function aclOf(text: string, cache: EntryCache): readonly AclEntry[] {
  const known = cache.acls.get(text);
  if (known !== undefined) return known;
  const words = text.split(" ");
  const acl: AclEntry[] = [];
  for (let at = 0; at + 1 < words.length; at += 2) {
    acl.push({ identifier: words[at] ?? "", rights: words[at + 1] ?? "" });
  }
  cache.acls.set(text, acl);
  return acl;
}
