/** Mailbox names in internal form (`user.ann.Sub`) and as people write them. */
import { fromLatin1, latin1, textOf, utf8 } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { externalName, internalName, type Owner, ownerName } from "../model/names.ts";
import type { NameFacts, OwnerFacts } from "./json/values.ts";

/** The name to show for an internal name. */
export function displayName(name: string, { internal }: { readonly internal: boolean }): string {
  // A mailbox whose name is not known is named by its path, and no internal name has a slash.
  return internal || name.includes("/") ? name : externalName(name);
}

/** `text`, in which the internal name of this mailbox is replaced by the name to show. */
export function showName(
  text: string,
  name: string,
  options: { readonly internal: boolean },
): string {
  const shown = displayName(name, options);
  const parts = text.split(name);
  // A name that is only a part of another one stays as it is.
  return parts.reduce((before, after) => {
    const isWhole = !/[\w.!]$/.test(before) && !/^(\w|[.!]\w)/.test(after);
    return `${before}${isWhole ? shown : name}${after}`;
  });
}

/** A name from the command line as latin1: each character is one byte. */
export function bytesOfArgument(text: string): string {
  return latin1(utf8(text));
}

/** A user id from the command line; `fred^doe`, as names of mailboxes write it, is `fred.doe`. */
export function useridOfArgument(text: string): string {
  return bytesOfArgument(text).replaceAll("^", ".");
}

/** A user id or internal name as text: decoded if it is UTF-8, else one character a byte. */
export function textOfName(name: string): string {
  return textOf(fromLatin1(name)) ?? name;
}

/** The owner that USER on the command line means; with `--shared` it is a shared top level. */
export function ownerOfArgument(text: string, options: Readonly<Record<string, unknown>>): Owner {
  return options["shared"] === true
    ? { kind: "shared", toplevel: bytesOfArgument(text) }
    : { kind: "user", userid: useridOfArgument(text) };
}

/** The error for an owner who does not exist. */
export function nobody(owner: Owner, hint?: string): AppError {
  const options = hint === undefined ? {} : { hint };
  return new AppError("not_found", `Cannot find ${ownerWords(owner)}`, options);
}

/** The fields of an owner for `--json`. */
export function ownerFacts(owner: Owner): OwnerFacts {
  if (owner.kind === "user") return userFacts(owner.userid);
  const { user: toplevel, userBase64: toplevelBase64 } = userFacts(owner.toplevel);
  return { toplevel, toplevelBase64 };
}

/** The fields of a user id for `--json`. */
export function userFacts(userid: string): OwnerFacts {
  return { user: textOfName(userid), userBase64: base64Of(userid) };
}

/** A name that is not UTF-8 in base64, else undefined. */
function base64Of(name: string): string | undefined {
  const bytes = fromLatin1(name);
  return textOf(bytes) === undefined ? Buffer.from(bytes).toString("base64") : undefined;
}

/** The owner within a sentence: `user ann`, `shared mailbox lists`. */
export function ownerWords(owner: Owner): string {
  const { kind } = owner;
  return `${kind === "user" ? "user" : "shared mailbox"} ${textOfName(ownerName(owner))}`;
}

/** The owner in a list: `ann`, `lists (shared)`. */
export function ownerLabel(owner: Owner): string {
  return textOfName(ownerName(owner)) + (owner.kind === "user" ? "" : " (shared)");
}

/** The fields of a mailbox name for `--json`: both forms, and its bytes if not UTF-8. */
export function nameFacts(name: string): NameFacts {
  return {
    mailbox: displayName(name, { internal: false }),
    internalname: textOfName(name),
    base64: base64Of(name),
  };
}

/**
 * The internal names that the name of a mailbox on the command line may mean, the likeliest first.
 * `user/` and a word INBOX after the user may be there or not: `user/ann/Sent`, `ann/INBOX/Sent`.
 * Of a known owner the part after the user does too: `Sent`, `INBOX`. Last, it may be internal.
 */
export function namesMeant(text: string, owner?: Owner): string[] {
  const plain = text.replace(/^((?:user\/)?[^/]+)\/INBOX(?=\/|$)/, "$1");
  const below = text.replace(/^INBOX(\/|$)/, "");
  const user = owner?.kind === "user" ? textOfName(owner.userid) : undefined;
  const path = [user, below].filter((part) => part !== "").join("/");
  const texts = [
    text,
    ...(user === undefined ? [] : [path, `user/${path}`]),
    plain,
    ...(plain.startsWith("user/") ? [] : [`user/${plain}`]),
  ];
  return [...new Set([...texts.map(internalName), bytesOfArgument(text)])];
}

export interface MailboxChoice {
  /** The name as it was given. */
  readonly wanted: string;
  readonly owner: Owner;
}

/** The mailbox of an owner that a name means; undefined if there is none. */
export function chooseMailbox<Named extends { readonly name: string }>(
  mailboxes: readonly Named[],
  { wanted, owner }: MailboxChoice,
): Named | undefined {
  const byName = new Map(mailboxes.map((one) => [externalName(one.name), one]));
  return namesMeant(wanted, owner)
    .map((name) => byName.get(externalName(name)))
    .find((one) => one !== undefined);
}
