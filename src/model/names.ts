/**
 * Names of mailboxes (sync-protocol.md 3, spool-format.md). In files and in the protocol a name is
 * *internal*: its parts are joined by `.`, a dot within a part is written `^`, characters outside
 * ASCII are in modified UTF-7, and a virtual domain stands in front: `user.a^b.Sub`,
 * `example.com!user.anne`, `DELETED.user.anne.Sub.5F3A2B1C`. People write and read the *external*
 * form: parts joined by `/`, in Unicode, a user of a virtual domain by the user id: `user/a.b/Sub`,
 * `anne@example.com/Sub`.
 *
 * Internal names and user ids are latin1: each character is one byte.
 */
import { fromLatin1, latin1, textOf, utf8 } from "../core/bytes.ts";
import { decodeMutf7, encodeMutf7 } from "./mutf7.ts";

/** The owner of a mailbox: a user, or the shared top level that it lies below. */
export type Owner =
  | { readonly kind: "user"; readonly userid: string }
  /** The name of a shared top level, with its domain if it has one: `example.com!lists`. */
  | { readonly kind: "shared"; readonly toplevel: string };

/** The parts of an internal name. */
export interface MailboxName {
  readonly domain: string | undefined;
  readonly isDeleted: boolean;
  /** Unix seconds of the deletion; undefined for others, and where the name has no time. */
  readonly deletedAt: bigint | undefined;
  /** The internal name without domain, DELETED and time: `user.anne.Sub`. */
  readonly local: string;
  readonly owner: Owner;
}

/**
 * Matches a virtual domain in front of a name. An exclamation mark in the name of a folder, as in
 * `user.anne.Urgent!`, does not make a domain of what stands before it.
 */
const DOMAIN = /^(?!user\.|DELETED\.)([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)!(.+)$/s;
const DELETED = "DELETED.";
const DELETED_AT = /\.([0-9A-F]{8,16})$/;

/** Parses an internal name. Any text can be parsed; `isValidName` says whether it may be used. */
export function parseName(internal: string): MailboxName {
  const [, domain, rest = internal] = DOMAIN.exec(internal) ?? [];
  const isDeleted = rest.startsWith(DELETED);
  const whole = isDeleted ? rest.slice(DELETED.length) : rest;
  const time = isDeleted ? DELETED_AT.exec(whole)?.[1] : undefined;
  const local = time === undefined ? whole : whole.slice(0, -time.length - 1);
  const deletedAt = time === undefined ? undefined : BigInt(`0x${time}`);
  return { domain, isDeleted, deletedAt, local, owner: ownerOf(domain, local) };
}

function ownerOf(domain: string | undefined, local: string): Owner {
  const [first = "", second = ""] = local.split(".", 2);
  if (first === "user" && second !== "") {
    const user = second.replaceAll("^", ".");
    return { kind: "user", userid: domain === undefined ? user : `${user}@${domain}` };
  }
  return { kind: "shared", toplevel: domain === undefined ? first : `${domain}!${first}` };
}

/** A user id, or the name of a shared top level. */
export function ownerName(owner: Owner): string {
  return owner.kind === "user" ? owner.userid : owner.toplevel;
}

/** `user:fred` or `shared:lists`: an owner as the key of a map, of a database or of a message. */
export function ownerKey(owner: Owner): string {
  return `${owner.kind}:${ownerName(owner)}`;
}

/** The inverse of `ownerKey`; undefined for a text of another form. */
export function ownerOfKey(key: string): Owner | undefined {
  const [, kind, name = ""] = /^(user|shared):(.+)$/s.exec(key) ?? [];
  if (kind === undefined) return undefined;
  return kind === "user" ? { kind, userid: name } : { kind: "shared", toplevel: name };
}

/** True if both are the same user or the same shared top level. */
export function sameOwner(left: Owner, right: Owner): boolean {
  return left.kind === right.kind && ownerName(left) === ownerName(right);
}

/** True for the name of a mailbox of this owner, deleted ones included. */
export function isOwnedBy(internal: string, owner: Owner): boolean {
  return sameOwner(parseName(internal).owner, owner);
}

/** The user to whom a mailbox belongs, deleted or not; undefined for a shared one. */
export function useridOf(internal: string): string | undefined {
  const { owner } = parseName(internal);
  return owner.kind === "user" ? owner.userid : undefined;
}

export interface InboxOptions {
  /** `anne@example.com` is `example.com!user.anne` with them, else `user.anne@example^com`. */
  readonly virtualDomains: boolean;
}

/** The internal name of a user's INBOX. */
export function inboxOf(userid: string, options: InboxOptions): string {
  const at = options.virtualDomains ? userid.lastIndexOf("@") : -1;
  const user = (at < 0 ? userid : userid.slice(0, at)).replaceAll(".", "^");
  return at < 0 ? `user.${user}` : `${userid.slice(at + 1)}!user.${user}`;
}

/** True for the INBOX of a user, except a deleted one. */
export function isInbox(internal: string): boolean {
  const { owner, isDeleted, local } = parseName(internal);
  return owner.kind === "user" && !isDeleted && local.indexOf(".", "user.".length) < 0;
}

/** True if `internal` lies below `parent` in the tree, at any depth. */
export function isBelow(internal: string, parent: string): boolean {
  return internal.startsWith(`${parent}.`);
}

/** The longest internal name that Cyrus allows (MAX_MAILBOX_NAME). */
export const NAME_BYTES = 490;

/**
 * Why no mailbox can have this name; undefined where one can. Whatever Cyrus 2.5 to 3.13 can make
 * is taken (versions.md, section 3), and bytes of more than 7 bits, which 2.4 takes.
 */
export function nameProblem(internal: string): string | undefined {
  if (internal.length > NAME_BYTES)
    return `it has ${internal.length} bytes, at most ${NAME_BYTES} are allowed`;
  const [wrong] = /[\x00-\x1f\x7f/%]/.exec(internal) ?? [];
  if (wrong !== undefined) return `the character ${JSON.stringify(wrong)} is not allowed`;
  const isWhole = parseName(internal)
    .local.split(".")
    .every((part) => part !== "");
  return isWhole ? undefined : "a part of it is empty";
}

/** True for a name that a mailbox can have. */
export function isValidName(internal: string): boolean {
  return nameProblem(internal) === undefined;
}

/** Between the forms of a part: `.` is `/` outside, and an internal `^` is `.`. */
const OUTWARD: Readonly<Record<string, string>> = { ".": "/", "^": ".", "/": "^" };
const INWARD: Readonly<Record<string, string>> = { "/": ".", ".": "^", "^": "/" };

/**
 * The name as people write it: `user/fred/Sub`, `fred@example.com/Sub` for a user of a virtual
 * domain, `example.com!lists/dev` for other names in a domain.
 */
export function externalName(internal: string): string {
  const { domain, isDeleted, local, owner } = parseName(internal);
  if (domain !== undefined && !isDeleted && owner.kind === "user") {
    const [, , ...folders] = local.split(".");
    return [unicode(owner.userid), ...folders.map(outward)].join("/");
  }
  const prefix = domain === undefined ? "" : `${domain}!`;
  return prefix + outward(internal.slice(prefix.length));
}

/** The inverse of `externalName`. */
export function internalName(external: string): string {
  const [, prefix = "", rest = external] =
    /^((?!user\/|DELETED\/)[A-Za-z0-9.-]+!)(.*)$/s.exec(external) ?? [];
  const [first = "", ...folders] = rest.split("/");
  const at = first.lastIndexOf("@");
  if (prefix === "" && at > 0) {
    const user = inboxOf(latin1(utf8(first)), { virtualDomains: true });
    return [user, ...folders.map(inward)].join(".");
  }
  return prefix + inward(rest);
}

function outward(part: string): string {
  const moved = part.replace(/[./^]/g, (char) => OUTWARD[char] ?? char);
  return decodeMutf7(moved) ?? unicode(moved);
}

function inward(part: string): string {
  return encodeMutf7(part.replace(/[./^]/g, (char) => INWARD[char] ?? char));
}

/** Decodes bytes that are valid UTF-8 and leaves others as they are. */
function unicode(bytes: string): string {
  return textOf(fromLatin1(bytes)) ?? bytes;
}
