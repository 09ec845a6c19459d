/**
 * cyrus.header: what a mailbox is called, who may do what with it, and the names of its user flags
 * (spool-format 4). A text form was written up to Cyrus 3.4, a dlist form since 3.6.
 *
 * Names are latin1 text here: each character is one byte of the file. The file has no checksum of
 * its own; the index header holds the CRC-32 of all its bytes.
 */
import { concat, fromLatin1, latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { parseAcl, printAcl } from "../../model/acl.ts";
import { latin1Of } from "../dlist/access.ts";
import { DlistError } from "../dlist/dlist_error.ts";
import { DlistParser } from "../dlist/parser.ts";
import { printValue } from "../dlist/print.ts";
import { type DlistEntry, type DlistKvlist, type DlistValue, dlistLatin1 } from "../dlist/value.ts";

/**
 * A value that the dlist form may hold as `NIL` (null here) or not at all (undefined). The text
 * form knows quotaroot and uniqueid only, and never null.
 */
export type HeaderName = string | null | undefined;

export interface HeaderFile {
  readonly form: "text" | "dlist";
  /** Letters of the mailbox type; a hint, mailboxes.db decides. */
  readonly type: HeaderName;
  /** Internal name, as `user.fred.Sub`; a hint, mailboxes.db decides. */
  readonly name: HeaderName;
  readonly uniqueid: HeaderName;
  /** Opaque; since Cyrus 3.13. */
  readonly jmapid: HeaderName;
  readonly quotaroot: HeaderName;
  /** `identifier TAB rights TAB identifier TAB rights TAB`; undefined where the file has none. */
  readonly acl: string | undefined;
  /** Names by slot, the bit in the records' user flags; undefined for a slot not in use. */
  readonly userFlags: readonly (string | undefined)[];
  /** Entries of the dlist form that Cyrus does not know, kept as they are. */
  readonly others: readonly DlistEntry[];
  /** Bytes behind what Cyrus reads: none in sound files. */
  readonly trailer: Uint8Array;
}

/** The header of a new mailbox, to be spread over. */
export const BLANK_HEADER_FILE: HeaderFile = {
  form: "dlist",
  type: undefined,
  name: undefined,
  uniqueid: undefined,
  jmapid: undefined,
  quotaroot: undefined,
  acl: undefined,
  userFlags: [],
  others: [],
  trailer: new Uint8Array(),
};

const MAGIC = concat([
  new Uint8Array([0xa1, 0x02, 0x8b, 0x0d]),
  fromLatin1(
    "Cyrus mailbox header\n" +
      '"The best thing about this system was that it had lots of goals."\n' +
      "\t--Jim Morris on Andrew\n",
  ),
]);

const LINE_FEED = 0x0a;
const PERCENT = 0x25;

/** Reads either form. A FormatError says where the file stops being a cyrus.header. */
export function parseHeaderFile(bytes: Uint8Array, limits: Limits = DEFAULT_LIMITS): HeaderFile {
  if (bytes.length > limits.headerFileBytes) {
    throw new FormatError(limits.headerFileBytes, "the end of cyrus.header");
  }
  for (let at = 0; at < MAGIC.length; at++) {
    if (bytes[at] !== MAGIC[at]) throw new FormatError(at, "the magic bytes of cyrus.header");
  }
  return bytes[MAGIC.length] === PERCENT ? parseDlistForm(bytes, limits) : parseTextForm(bytes);
}

function parseTextForm(bytes: Uint8Array): HeaderFile {
  const [firstEnd, flagsEnd, aclEnd] = lineEnds(bytes);
  const first = latin1(bytes.subarray(MAGIC.length, firstEnd));
  const [quotaroot = "", uniqueid, ...rest] = first.split("\t");
  if (uniqueid === "" || rest.length > 0) {
    throw new FormatError(MAGIC.length, "a quota root and a uniqueid, with one TAB between them");
  }
  const flags = latin1(bytes.subarray(firstEnd + 1, flagsEnd));
  return {
    ...BLANK_HEADER_FILE,
    form: "text",
    quotaroot: quotaroot === "" ? undefined : quotaroot,
    uniqueid,
    userFlags: flags === "" ? [] : flags.split(" ").map((name) => (name === "" ? undefined : name)),
    acl: latin1(bytes.subarray(flagsEnd + 1, aclEnd)),
    trailer: bytes.subarray(aclEnd + 1),
  };
}

/** Where the three lines after the magic end. */
function lineEnds(bytes: Uint8Array): [number, number, number] {
  const next = (from: number, what: string) => {
    const end = bytes.indexOf(LINE_FEED, from);
    if (end < 0) throw new FormatError(bytes.length, `a line end after ${what}`);
    return end;
  };
  const first = next(MAGIC.length, "the uniqueid");
  const flags = next(first + 1, "the user flags");
  return [first, flags, next(flags + 1, "the ACL")];
}

function parseDlistForm(bytes: Uint8Array, limits: Limits): HeaderFile {
  const { kvlist, end } = parseKvlist(bytes, limits);
  const values = new Map<string, DlistValue>();
  const others: DlistEntry[] = [];
  for (const entry of kvlist.entries) {
    // The last of several counts, as it does for Cyrus here.
    if (KNOWN_KEYS.includes(entry.name)) values.set(entry.name, entry.value);
    else others.push(entry);
  }
  const name = (key: string) => nameOf(values.get(key), key);
  return {
    form: "dlist",
    type: name("T"),
    name: name("N"),
    uniqueid: name("I"),
    jmapid: name("J"),
    quotaroot: name("Q"),
    acl: aclOf(values.get("A")),
    userFlags: userFlagsOf(values.get("U")),
    others,
    trailer: bytes.subarray(end),
  };
}

const KNOWN_KEYS: readonly string[] = ["T", "N", "I", "J", "Q", "A", "U"];

function parseKvlist(bytes: Uint8Array, limits: Limits): { kvlist: DlistKvlist; end: number } {
  const parser = new DlistParser({ start: "value", limits });
  try {
    const event = parser.take(bytes, MAGIC.length);
    if (event.kind !== "done" || event.value.kind !== "kvlist") {
      throw new FormatError(parser.at, "the rest of the dlist");
    }
    if (bytes[parser.at] !== LINE_FEED) throw new FormatError(parser.at, "a line end");
    return { kvlist: event.value, end: parser.at + 1 };
  } catch (error) {
    if (error instanceof DlistError) throw new FormatError(parser.at, error.expected);
    throw error;
  }
}

function nameOf(value: DlistValue | undefined, key: string): HeaderName {
  if (value === undefined) return undefined;
  return value.kind === "nil" ? null : latin1Of(value, key);
}

function aclOf(value: DlistValue | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (value.kind !== "kvlist") throw new FormatError(MAGIC.length, "A as a kvlist");
  return printAcl(
    value.entries.map(({ name, value }) => ({
      identifier: name,
      rights: nameOf(value, "A") ?? "",
    })),
  );
}

function userFlagsOf(value: DlistValue | undefined): readonly (string | undefined)[] {
  if (value === undefined) return [];
  if (value.kind !== "list") throw new FormatError(MAGIC.length, "U as a list");
  return value.items.map((item) => nameOf(item, "U") ?? undefined);
}

/**
 * The bytes of a cyrus.header in the form it names, as Cyrus prints them. Throws FormatError for a
 * value that the form cannot hold: NUL and line ends in both, TABs and spaces in names of the text
 * form, in the dlist form an ACL that is none.
 */
export function printHeaderFile(header: HeaderFile): Uint8Array<ArrayBuffer> {
  const text = header.form === "text" ? textForm(header) : `${dlistForm(header)}\n`;
  return concat([MAGIC, fromLatin1(text), header.trailer]);
}

function textForm(header: HeaderFile): string {
  const quotaroot = checked(header.quotaroot ?? "", /[\t\n\0]/);
  const uniqueid = header.uniqueid == null ? "" : `\t${checked(header.uniqueid, /[\t\n\0]/)}`;
  const flags = header.userFlags.map((name) => checked(name ?? "", /[ \n\0]/));
  return `${quotaroot}${uniqueid}\n${flags.join(" ")}\n${checked(header.acl ?? "", /[\n\0]/)}\n`;
}

function dlistForm(header: HeaderFile): string {
  const { acl, userFlags, others } = header;
  const parts: string[] = [];
  const add = (key: string, value: string | undefined) => {
    if (value !== undefined) parts.push(`${key} ${value}`);
  };
  const addName = (key: string, name: HeaderName) => {
    if (name !== undefined) add(key, name === null ? "NIL" : wordOf(name));
  };
  addName("T", header.type);
  addName("N", header.name);
  addName("I", header.uniqueid);
  addName("J", header.jmapid);
  addName("Q", header.quotaroot);
  if (acl !== undefined) {
    const entries = parseAcl(acl);
    if (entries === undefined) throw new FormatError(0, `${JSON.stringify(acl)} as an ACL`);
    const words = entries.flatMap(({ identifier, rights }) => [identifier, rights]);
    add("A", `%(${words.map(wordOf).join(" ")})`);
  }
  if (userFlags.length > 0) {
    add("U", `(${userFlags.map((name) => (name === undefined ? "NIL" : wordOf(name))).join(" ")})`);
  }
  for (const { name, value } of others) add(wordOf(name), valueText(value));
  return `%(${parts.join(" ")})`;
}

function valueText(value: DlistValue): string {
  switch (value.kind) {
    case "list":
      return `(${value.items.map(valueText).join(" ")})`;
    case "kvlist": {
      const pairs = value.entries.map(
        ({ name, value: own }) => `${wordOf(name)} ${valueText(own)}`,
      );
      return `%(${pairs.join(" ")})`;
    }
    case "string":
      return wordOf(latin1(value.bytes));
    default:
      return latin1(printValue(value, { from: "client" }));
  }
}

/**
 * One string as Cyrus prints it, but for those that it prints as literals: it reads cyrus.header
 * only up to the first line end, which is in the head of the literal, and takes the mailbox for
 * damaged. A quoted string with backslashes is read by all versions.
 */
function wordOf(text: string): string {
  const printed = latin1(printValue(dlistLatin1(checked(text, /[\r\n\0]/)), { from: "client" }));
  return printed.startsWith("{") ? `"${text.replace(/["\\]/g, "\\$&")}"` : printed;
}

function checked(text: string, forbidden: RegExp): string {
  const at = text.search(forbidden);
  if (at >= 0) throw new FormatError(at, `${JSON.stringify(text)} without such a character here`);
  return text;
}
