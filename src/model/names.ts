/**
 * Names of mailboxes (sync-protocol.md 3, spool-format.md). Inside and on the wire a name is *internal*: parts joined by
 * `.`, a dot within a part written `^`, non-ASCII in modified UTF-7, a virtual domain in front:
 * `user.a^b.Sub`, `example.com!user.anne`, `DELETED.user.anne.Sub.5F3A2B1C`. People write and read the
 * *external* form: parts joined by `/`, in Unicode, a user of a virtual domain by his id:
 * `user/a.b/Sub`, `anne@example.com/Sub`.
 *
 * Internal names and user ids are latin1: each character is one byte.
 */
import { fromLatin1, latin1, textOf, utf8 } from "../core/bytes.ts";
import { decodeMutf7, encodeMutf7 } from "./mutf7.ts";

/** Whose a mailbox is: a user's, or that of a toplevel which belongs to no user. */
export type Owner =
  | { readonly kind: "user"; readonly userid: string }
  /** With the domain where there is one: `example.com!lists`. */
  | { readonly kind: "shared"; readonly toplevel: string };

/** An internal name taken apart. */
export interface MailboxName {
  readonly domain: string | undefined;
  readonly isDeleted: boolean;
  /** Unix seconds at which it was deleted; undefined for others, or where the last part is no such time. */
  readonly deletedAt: number | undefined;
  /** Internal, without domain, DELETED and time: `user.anne.Sub`. */
  readonly local: string;
  readonly owner: Owner;
}

/** An exclamation mark in a folder's name (`user.anne.Urgent!`) makes no domain of what stands before. */
const DOMAIN = /^(?!user\.|DELETED\.)([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)!(.+)$/s;
const DELETED = "DELETED.";
const DELETED_AT = /\.([0-9A-F]{8,16})$/;

/** Takes an internal name apart. Any text is one; whether it may be used is for `isValidName`. */
export function parseName(internal: string): MailboxName {
  const [, domain, rest = internal] = DOMAIN.exec(internal) ?? [];
  const isDeleted = rest.startsWith(DELETED);
  const whole = isDeleted ? rest.slice(DELETED.length) : rest;
  const time = isDeleted ? DELETED_AT.exec(whole)?.[1] : undefined;
  const local = time === undefined ? whole : whole.slice(0, -time.length - 1);
  const deletedAt = time === undefined ? undefined : Number.parseInt(time, 16);
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

/** A user's id, or the name of a shared toplevel. */
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

/** True where both are the same user, or the same shared toplevel. */
export function sameOwner(left: Owner, right: Owner): boolean {
  return left.kind === right.kind && ownerName(left) === ownerName(right);
}

/** True for a name whose mailbox is the owner's, deleted or not. */
export function isOwnedBy(internal: string, owner: Owner): boolean {
  return sameOwner(parseName(internal).owner, owner);
}

/** The user whose mailbox it is, deleted or not; undefined for a shared one. */
export function useridOf(internal: string): string | undefined {
  const { owner } = parseName(internal);
  return owner.kind === "user" ? owner.userid : undefined;
}

export interface InboxOptions {
  /** With virtual domains `anne@example.com` is `example.com!user.anne`, else `user.anne@example^com`. */
  readonly virtualDomains: boolean;
}

/** The internal name of a user's INBOX. */
export function inboxOf(userid: string, options: InboxOptions): string {
  const at = options.virtualDomains ? userid.lastIndexOf("@") : -1;
  const user = (at < 0 ? userid : userid.slice(0, at)).replaceAll(".", "^");
  return at < 0 ? `user.${user}` : `${userid.slice(at + 1)}!user.${user}`;
}

/** True for a user's INBOX; DELETED ones do not count. */
export function isInbox(internal: string): boolean {
  const { owner, isDeleted, local } = parseName(internal);
  return owner.kind === "user" && !isDeleted && local.indexOf(".", "user.".length) < 0;
}

/** The name a mailbox gets when it is deleted with delay at `seconds` since 1970. */
export function deletedName(internal: string, seconds: number): string {
  const { domain, local } = parseName(internal);
  const time = seconds.toString(16).toUpperCase().padStart(8, "0");
  return `${domain === undefined ? "" : `${domain}!`}${DELETED}${local}.${time}`;
}

/** True when `internal` lies below `parent` in the tree, at any depth. */
export function isBelow(internal: string, parent: string): boolean {
  return internal.startsWith(`${parent}.`);
}

/** Cyrus' own bound on an internal name (MAX_MAILBOX_NAME). */
export const NAME_BYTES = 490;

/**
 * True for a name that a mailbox may have: parts of one byte at least, no control characters, no
 * `/`, nothing that means something in a pattern of LIST.
 */
export function isValidName(internal: string): boolean {
  if (internal.length > NAME_BYTES || /[\x00-\x1f\x7f/*%?]/.test(internal)) return false;
  return parseName(internal)
    .local.split(".")
    .every((part) => part !== "");
}

/** Between the two forms of a part's characters: `.` is `/` outside, and `^` is `.`. */
const OUTWARD: Readonly<Record<string, string>> = { ".": "/", "^": ".", "/": "^" };
const INWARD: Readonly<Record<string, string>> = { "/": ".", ".": "^", "^": "/" };

/**
 * The name as a person writes it: `user/fred/Sub`, `fred@example.com/Sub` for a user of a virtual
 * domain, `example.com!lists/dev` for other names in one.
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

/** Bytes that are UTF-8 as the text they are, others as they stand. */
function unicode(bytes: string): string {
  return textOf(fromLatin1(bytes)) ?? bytes;
}
