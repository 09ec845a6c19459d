/** Mailbox names in internal form (`user.ann.Sub`) and as people write them. */
import { fromLatin1, latin1, textOf, utf8 } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { externalName, type Owner, ownerName, parseName } from "../model/names.ts";
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

export interface MailboxChoice {
  /** The name as it was given. */
  readonly wanted: string;
  readonly owner: Owner;
}

/**
 * The mailbox of an owner that a name means: its external or internal name, or the part of it after
 * the user's INBOX, which itself is `INBOX`. Undefined if there is none.
 */
export function chooseMailbox<Named extends { readonly name: string }>(
  mailboxes: readonly Named[],
  { wanted, owner }: MailboxChoice,
): Named | undefined {
  const whole = mailboxes.find(
    ({ name }) => externalName(name) === wanted || textOfName(name) === wanted,
  );
  if (whole !== undefined || owner.kind === "shared") return whole;
  return mailboxes.find(({ name }) => {
    const { isDeleted, local } = parseName(name);
    if (isDeleted) return false;
    const [, ...folders] = local.split(".").slice(1);
    const below = externalName(["user", "x", ...folders].join(".")).slice("user/x/".length);
    return below === "" ? wanted === "INBOX" : wanted === below;
  });
}
