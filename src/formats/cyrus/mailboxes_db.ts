/**
 * mailboxes.db, the list of all mailboxes of a server, in its three generations (spool-format 7.1):
 * text values until 2.4, dlist values under plain names until 3.4, and since 3.6 several kinds of
 * records told apart by the first byte of the key:
 *
 *   N<name>                      the mailbox of that name, or the tombstone of one
 *   I<uniqueid>                  the same mailbox by uniqueid, with its former names
 *   J<userid>\x1E<jmapid>        the same by the id that JMAP shows (since 3.13)
 *   A{U|S}\x1E<user>\x1E<name>   who may see a mailbox of a user (U) or of the shared namespace
 *                                (S); `AS\x1E` alone says that these rows are kept
 *   UG…                          members of groups
 */
import { latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import type { DatabaseEntry } from "./databases/database_contents.ts";
import { internalOfDbName } from "./mailbox_dbname.ts";
import {
  type EntryCache,
  type KeyFacts,
  type MailboxEntry,
  newEntryCache,
  parseMailboxEntry,
} from "./mailbox_entry.ts";

/** `keyed` is the form since 3.6. */
export type MailboxesGeneration = "text" | "dlist" | "keyed";

/** The mailbox of one J record. */
export interface JmapRecord {
  /** "" for shared mailboxes. */
  readonly userid: string;
  readonly entry: MailboxEntry;
}

/** One reverse ACL row. */
export interface ReverseAcl {
  readonly owner: "user" | "shared";
  /** Who may see the mailbox: a user, `group:…`, `anyone`. */
  readonly identifier: string;
  /** Internal name. */
  readonly name: string;
}

/** A record that could not be read. */
export interface MailboxesProblem {
  /** One character a byte. */
  readonly key: string;
  readonly expected: string;
}

export interface MailboxesDb {
  readonly generation: MailboxesGeneration;
  /** The N records; of older generations, all mailboxes. Tombstones are among them. */
  readonly names: readonly MailboxEntry[];
  /** The I records. */
  readonly uniqueids: readonly MailboxEntry[];
  readonly jmapids: readonly JmapRecord[];
  /** Whether the server keeps reverse ACLs; if not, rows may be left of an earlier time. */
  readonly reverseAclsKept: boolean;
  readonly reverseAcls: readonly ReverseAcl[];
  readonly problems: readonly MailboxesProblem[];
}

/** Reads all records of a mailboxes.db. Records of another form become problems; nothing throws. */
export function parseMailboxesDb(records: readonly DatabaseEntry[]): MailboxesDb {
  const generation = generationOf(records);
  const found: Found = {
    cache: newEntryCache(),
    names: [],
    uniqueids: [],
    jmapids: [],
    reverseAclsKept: false,
    reverseAcls: [],
    problems: [],
  };
  const take = generation === "keyed" ? takeKeyed : takePlain;
  for (const record of records) {
    const key = latin1(record.key);
    try {
      take(found, key, record);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      found.problems.push({ key, expected: error.expected });
    }
  }
  const { cache: _, ...result } = found;
  return { generation, ...result };
}

interface Found {
  readonly cache: EntryCache;
  readonly names: MailboxEntry[];
  readonly uniqueids: MailboxEntry[];
  readonly jmapids: JmapRecord[];
  reverseAclsKept: boolean;
  readonly reverseAcls: ReverseAcl[];
  readonly problems: MailboxesProblem[];
}

/**
 * Only I and J records carry their own name in the value, and only keys since 3.6 have 0x1F between
 * levels; Cyrus converts a whole file at once, so one such record tells.
 */
function generationOf(records: readonly DatabaseEntry[]): MailboxesGeneration {
  let dlist = records.length === 0;
  for (const { key, value } of records) {
    if (key.includes(0x1f) || key.includes(0x1e)) return "keyed";
    if (value[0] !== 0x25) continue;
    dlist = true;
    if (key[0] === 0x49 && /^%\(T [a-z]+ N /.test(latin1(value.subarray(0, 32)))) return "keyed";
  }
  if (records.length === 0) return "keyed";
  return dlist ? "dlist" : "text";
}

function takeKeyed(found: Found, key: string, { value }: DatabaseEntry): void {
  const rest = key.slice(1);
  const entry = (facts: KeyFacts) => parseMailboxEntry(value, facts, { cache: found.cache });
  switch (key[0]) {
    case "N":
      found.names.push(entry({ name: internalOfDbName(rest) }));
      break;
    case "I":
      found.uniqueids.push(entry({ uniqueid: rest }));
      break;
    case "J": {
      const separator = rest.indexOf("\x1e");
      if (separator === -1) throw new FormatError(1, "userid, 0x1E and a JMAP id");
      const userid = rest.slice(0, separator);
      found.jmapids.push({ userid, entry: entry({ jmapid: rest.slice(separator + 1) }) });
      break;
    }
    case "A":
      takeReverseAcl(found, rest, { separator: "\x1e", nameOf: internalOfDbName });
      break;
    case "U":
      if (!rest.startsWith("G")) throw new FormatError(0, "a key of a known kind");
      break;
    default:
      throw new FormatError(0, "a key of a known kind");
  }
}

function takePlain(found: Found, key: string, { value }: DatabaseEntry): void {
  if (key.startsWith("$RACL$")) {
    const rest = key.slice("$RACL$".length);
    takeReverseAcl(found, rest, { separator: "$", nameOf: (name) => name });
  } else if (!key.startsWith("$")) {
    found.names.push(parseMailboxEntry(value, { name: key }, { cache: found.cache }));
  }
}

const REVERSE_ACL = {
  "\x1e": /^([US])\x1e([^\x1e]+)\x1e([^\x1e]+)$/,
  $: /^([US])\$(.+)\$([^$]+)$/,
};

function takeReverseAcl(
  found: Found,
  rest: string,
  form: { readonly separator: "\x1e" | "$"; readonly nameOf: (name: string) => string },
): void {
  if (rest === `S${form.separator}`) {
    found.reverseAclsKept = true;
    return;
  }
  const match = REVERSE_ACL[form.separator].exec(rest);
  if (match === null) throw new FormatError(1, "the user and the mailbox of a reverse ACL");
  const [, owner, identifier = "", name = ""] = match;
  const row = { identifier, name: form.nameOf(name) };
  found.reverseAcls.push({ owner: owner === "U" ? "user" : "shared", ...row });
}
