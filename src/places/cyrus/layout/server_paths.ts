/**
 * The paths of everything that a Cyrus server keeps (spool-format 6; each rule was tried with
 * `mbpath`). Names and user ids are strings of one character a byte; paths are text.
 */
import { dirname, join } from "node:path";
import { fromLatin1, textOf } from "../../../core/bytes.ts";
import type { ImapdConf } from "../server/imapd_conf.ts";

/** The settings that decide where files lie. */
export type PathSettings = Pick<
  ImapdConf,
  | ("configdirectory" | "hashimapspool" | "fulldirhash" | "virtdomains" | "defaultdomain")
  | ("deletedprefix" | "lockFolder" | "sievedir" | "userpath" | "quotaDb")
>;

/** A mailbox, as the rules for its paths need it. */
export interface MailboxPlace {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid: string | undefined;
  /** Its folder is found by its name, not by its uniqueid. */
  readonly legacy: boolean;
}

/** The folder of a mailbox below each of its partition's roots: `uuid/a/b/ab…` or `f/user/fred`. */
export function mailboxFolder(mailbox: MailboxPlace, settings: PathSettings): string | undefined {
  if (mailbox.legacy) return namedFolder(mailbox.name, settings);
  return mailbox.uniqueid === undefined ? undefined : uniqueidFolder(mailbox.uniqueid);
}

/** The folder of a uniqueid. Undefined for what cannot be one: damage never becomes a path. */
export function uniqueidFolder(uniqueid: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{1,63}$/.test(uniqueid)) return undefined;
  return `uuid/${uniqueid[0]}/${uniqueid[1]}/${uniqueid}`;
}

/**
 * The folder of a mailbox by its name, relative to a root. With `hashimapspool` it lies below one
 * letter, made from the second part of the name: the user, but `user` for a deleted mailbox.
 * Undefined for a name that would lead out of the root.
 */
export function namedFolder(name: string, settings: PathSettings): string | undefined {
  const { domain, local } = splitDomain(name, settings);
  const parts = local.split(".");
  if (!parts.every(isSafe)) return undefined;
  const hashed = withDots(parts[1] ?? parts[0] ?? "");
  const letter = settings.hashimapspool ? [hashLetter(hashed, settings)] : [];
  return [...domainFolders(domain, settings), ...letter, ...parts].map(asText).join("/");
}

function domainFolders(domain: string | undefined, settings: PathSettings): string[] {
  if (domain === undefined) return [];
  const letter = settings.hashimapspool ? [hashLetter(domain, settings)] : [];
  return ["domain", ...letter, domain];
}

function splitDomain(
  name: string,
  settings: PathSettings,
): { readonly domain: string | undefined; readonly local: string } {
  const end = name.indexOf("!");
  const domain = end === -1 ? undefined : name.slice(0, end);
  const isDefault = domain === settings.defaultdomain;
  return { domain: isDefault ? undefined : domain, local: name.slice(end + 1) };
}

/**
 * One letter for a name: its first, or `q`; with `fulldirhash` one of 23 capitals from all its
 * bytes up to a dot (Cyrus lib/libconfig.c: dir_hash_c).
 */
export function hashLetter(name: string, settings: Pick<PathSettings, "fulldirhash">): string {
  if (!settings.fulldirhash) {
    const first = name.slice(0, 1).toLowerCase();
    return /^[a-z]$/.test(first) ? first : "q";
  }
  let hash = 0;
  for (let at = 0; at < name.length && name[at] !== "."; at++) {
    hash = ((hash << 3) ^ (hash >>> 5) ^ name.charCodeAt(at)) >>> 0;
  }
  return String.fromCharCode(0x41 + (hash % 23));
}

export type UserFile = "seen" | "sub" | "counters" | "conversations" | "dav";

/** A user, and this user's INBOX as mailboxes.db has it. */
export interface UserPlace {
  readonly userid: string;
  readonly inbox: MailboxPlace | undefined;
}

/**
 * Where a file of a user may lie, the likeliest path first: by the uniqueid of the INBOX since 3.6,
 * else by the user id. Cyrus takes an `@` in a user id for the beginning of a domain even without
 * virtual domains. Then it looks for an INBOX that is not there, and some files of the user lie by
 * user id, others by uniqueid.
 */
export function userFiles(user: UserPlace, file: UserFile, settings: PathSettings): string[] {
  const { userid, inbox } = user;
  const root = join(settings.userpath ?? settings.configdirectory, "user");
  const folder = inbox?.legacy === false ? uniqueidFolder(inbox.uniqueid ?? "") : undefined;
  const byUniqueid = folder === undefined ? undefined : join(root, folder, `${file}.db`);
  const { domain, local } = splitUserid(userid, settings);
  const byUserid = namedUserFile(domain, local, { file, settings });
  const mistaken = !settings.virtdomains && domain !== undefined;
  const paths = mistaken
    ? [byUserid, byUniqueid, namedUserFile(undefined, userid, { file, settings })]
    : [byUniqueid, byUserid];
  return paths.filter((path) => path !== undefined);
}

function namedUserFile(
  domain: string | undefined,
  local: string,
  { file, settings }: { readonly file: UserFile; readonly settings: PathSettings },
): string | undefined {
  if (!isSafe(local) || (domain !== undefined && !isSafe(domain))) return undefined;
  const folders = [...domainRoot(domain, settings), "user", hashLetter(local, settings)];
  const name = `${local}.${file}`;
  return join(settings.configdirectory, ...[...folders, name].map(asText));
}

/** The folders of a domain outside of partitions, where domains are always hashed. */
function domainRoot(domain: string | undefined, settings: PathSettings): string[] {
  return domain === undefined ? [] : ["domain", hashLetter(domain, settings), domain];
}

/** A file of the shared namespace, or of the shared namespace of a domain. */
export function sharedFile(
  file: UserFile,
  settings: PathSettings,
  options: { readonly domain?: string } = {},
): string {
  const folders = domainRoot(options.domain, settings);
  return join(settings.configdirectory, ...folders.map(asText), `shared.${file}`);
}

function splitUserid(
  userid: string,
  settings: PathSettings,
): { readonly domain: string | undefined; readonly local: string } {
  const at = userid.lastIndexOf("@");
  if (at === -1) return { domain: undefined, local: userid };
  const domain = userid.slice(at + 1);
  const isDefault = domain === settings.defaultdomain;
  return { domain: isDefault ? undefined : domain, local: userid.slice(0, at) };
}

/** The folder of a user's sieve scripts. Undefined without an INBOX, or with scripts in homes. */
export function sieveFolder(user: UserPlace, settings: PathSettings): string | undefined {
  const { inbox, userid } = user;
  const { sievedir } = settings;
  if (sievedir === undefined || inbox === undefined) return undefined;
  if (!inbox.legacy) {
    const folder = uniqueidFolder(inbox.uniqueid ?? "");
    return folder === undefined ? undefined : join(sievedir, folder);
  }
  const { domain, local } = splitUserid(userid, settings);
  const hasDomain = settings.virtdomains && domain !== undefined;
  const name = hasDomain || domain === undefined ? local : userid;
  if (!isSafe(name) || (hasDomain && !isSafe(domain))) return undefined;
  const root = domainRoot(hasDomain ? domain : undefined, settings);
  return join(sievedir, ...[...root, hashLetter(name, settings), name].map(asText));
}

/**
 * The file of one quota root, as `quotalegacy` has it: below the folder that the path of the
 * database names, `domain!` alone for a whole domain. Undefined for a name that would lead out of
 * it.
 */
export function quotaFile(root: string, settings: PathSettings): string | undefined {
  const base = dirname(settings.quotaDb.path);
  const end = settings.virtdomains ? root.indexOf("!") : -1;
  const domain = end === -1 ? undefined : root.slice(0, end);
  const local = root.slice(end + 1);
  if ((domain !== undefined && !isSafe(domain)) || (local !== "" && !isSafe(local)))
    return undefined;
  const folders = domainRoot(domain, settings);
  if (local === "") return join(base, ...folders.map(asText), "quota", "root");
  const letter = hashLetter(local.slice(local.indexOf(".") + 1), settings);
  return join(base, ...[...folders, "quota", letter, local].map(asText));
}

/** The lock files that a reader of a mailbox takes, in this order (spool-format 8). */
export interface LockFiles {
  /** The lock of the user or shared namespace, as 3.6 to 3.10 spell it, then as 3.12 does. */
  readonly user: readonly string[];
  /** The lock of the mailbox itself. */
  readonly mailbox: string | undefined;
}

/** Lock files of a mailbox of the user `userid`; "" for a shared one. */
export function lockFiles(
  mailbox: MailboxPlace,
  userid: string,
  settings: PathSettings,
): LockFiles {
  const lockOf = (name: string) => {
    const folder = namedFolder(name, settings);
    return folder === undefined ? undefined : join(settings.lockFolder, `${folder}.lock`);
  };
  const { domain, local } = splitUserid(userid, settings);
  const caret = (text: string) => text.replaceAll(".", "^");
  const inbox = `${domain === undefined ? "" : `${domain}!`}user.${caret(local)}`;
  const names = userid === "" ? ["*U*"] : [`*U*${caret(userid)}`, `*U*${inbox}`];
  return {
    user: names.map(lockOf).filter((path) => path !== undefined),
    mailbox: lockOf(mailbox.legacy ? mailbox.name : (mailbox.uniqueid ?? mailbox.name)),
  };
}

function withDots(part: string): string {
  return part.replaceAll("^", ".");
}

/** True for a name that is one part of a path and leads nowhere else. */
function isSafe(part: string): boolean {
  return part !== "" && part !== "." && part !== ".." && !/[/\0]/.test(part);
}

/**
 * The bytes as text if they are UTF-8. A path of other bytes cannot be given to the system as text.
 */
function asText(part: string): string {
  return textOf(fromLatin1(part)) ?? part;
}
