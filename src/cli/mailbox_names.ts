/** Mailbox names as people write them, and back (internal `user.ann.Sub` is `user/ann/Sub`). */
import { fromLatin1, latin1, textOf, utf8 } from "../core/bytes.ts";
import { AppError } from "../core/errors.ts";
import { externalName, type Owner, parseName, useridOf } from "../model/names.ts";

/** The name to show for an internal one. */
export function displayName(name: string, { internal }: { readonly internal: boolean }): string {
  // A mailbox whose name is not known goes by its path: no internal name has a slash.
  return internal || name.includes("/") ? name : externalName(name);
}

/** `text` about the mailbox of this internal name, with the name to show. */
export function showName(
  text: string,
  name: string,
  options: { readonly internal: boolean },
): string {
  const shown = displayName(name, options);
  const parts = text.split(name);
  // Where it is only the beginning or the end of another name it stays.
  return parts.reduce((before, after) => {
    const isWhole = !/[\w.!]$/.test(before) && !/^(\w|[.!]\w)/.test(after);
    return `${before}${isWhole ? shown : name}${after}`;
  });
}

/** A test by internal name for `--user` and `--mailbox`; undefined when neither was given. */
export function mailboxFilter(
  users: readonly string[],
  mailboxes: readonly string[],
): ((name: string) => boolean) | undefined {
  if (users.length === 0 && mailboxes.length === 0) return undefined;
  const wantedUsers = new Set(users);
  const wantedNames = new Set(mailboxes);
  return (name) => {
    const user = useridOf(name);
    const byUser = user !== undefined && wantedUsers.has(user);
    const byName = wantedNames.has(name) || wantedNames.has(displayName(name, { internal: false }));
    return byUser || byName;
  };
}

/** A user id or name from the command line in the model's form: one character a byte. */
export function bytesOfArgument(text: string): string {
  return latin1(utf8(text));
}

/** A user id or internal name as text: UTF-8 where it is that, else one character a byte. */
export function textOfName(name: string): string {
  return textOf(fromLatin1(name)) ?? name;
}

/** The owner that a USER on the command line means: of shared mailboxes with --shared. */
export function ownerOfArgument(text: string, options: Readonly<Record<string, unknown>>): Owner {
  const name = bytesOfArgument(text);
  return options["shared"] === true
    ? { kind: "shared", toplevel: name }
    : { kind: "user", userid: name };
}

/** The error that there is no such owner. */
export function nobody(owner: Owner): AppError {
  return new AppError("not_found", `Cannot find user ${ownerLabel(owner)}`, {
    ...(owner.kind === "user" && { hint: "Shared mailboxes are listed with --shared" }),
  });
}

/** An owner in `--json`. */
export function ownerFacts(owner: Owner): Readonly<Record<string, string>> {
  return owner.kind === "user"
    ? { user: textOfName(owner.userid) }
    : { toplevel: textOfName(owner.toplevel) };
}

/** An owner in words. */
export function ownerLabel(owner: Owner): string {
  return owner.kind === "user"
    ? textOfName(owner.userid)
    : `${textOfName(owner.toplevel)} (shared)`;
}

/** A mailbox in `--json`: both forms of its name, and the bytes of one that is not UTF-8. */
export function nameFacts(name: string): Readonly<Record<string, string>> {
  const bytes = fromLatin1(name);
  return {
    mailbox: displayName(name, { internal: false }),
    internalname: textOfName(name),
    ...(textOf(bytes) === undefined && { base64: Buffer.from(bytes).toString("base64") }),
  };
}

export interface MailboxChoice {
  /** As a person wrote it. */
  readonly wanted: string;
  readonly owner: Owner;
}

/**
 * The mailbox of an owner that is meant: by external or internal name, or by what follows the name of a
 * user's INBOX, which is `INBOX` itself. Undefined where none is.
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
