/** Which mailboxes `--user` and `--mailbox` leave of a place. */
import { AppError } from "../core/errors.ts";
import {
  externalName,
  internalName,
  type Owner,
  ownerKey,
  parseName,
  useridOf,
} from "../model/names.ts";
import type { CommandEnv } from "./command.ts";
import { bytesOfArgument, namesMeant, useridOfArgument } from "./mailbox_names.ts";

export interface FilterOptions {
  /** User ids; none is all. */
  readonly user?: readonly string[];
  /** Names of mailboxes or patterns of names, external or internal; none is all. */
  readonly mailbox?: readonly string[];
  /** Whose mailboxes may be named without the user: `INBOX`, `Sent`. */
  readonly owners?: readonly Owner[];
}

/** A filter of mailboxes, which knows what of it has matched nothing yet. */
export interface MailboxFilter {
  /** True for the internal name of a mailbox of these users that has one of these names. */
  wants(name: string): boolean;
  /** Throws AppError (not_found) for users and names that fit no mailbox that was asked about. */
  refuseUnmatched(places: readonly string[]): void;
}

/** The filter of these options; undefined where they leave nothing out. */
export function mailboxFilter(options: FilterOptions): MailboxFilter | undefined {
  const { user = [], mailbox = [], owners = [] } = options;
  if (user.length + mailbox.length === 0) return undefined;
  const users = new Map(user.map((text) => [useridOfArgument(text), text]));
  const fitting = new Map(mailbox.map((text) => [text, fits(text, owners)]));
  const unmatched = new Set([...user, ...mailbox]);
  return {
    wants: (name) => {
      const owner = users.get(useridOf(name) ?? "");
      if (users.size > 0 && owner === undefined) return false;
      if (owner !== undefined) unmatched.delete(owner);
      const names = mailbox.filter((wanted) => fitting.get(wanted)?.(name));
      for (const wanted of names) unmatched.delete(wanted);
      return mailbox.length === 0 || names.length > 0;
    },
    refuseUnmatched: (places) => {
      if (unmatched.size === 0) return;
      const whose = users.size > 0 && mailbox.length > 0 ? " (--mailbox of a --user only)" : "";
      const what = `${[...unmatched].join(", ")}${whose}`;
      const [place = "PLACE"] = places;
      throw new AppError("not_found", `Cannot find ${what} below ${places.join(", ")}`, {
        hint: `\`bobbin ls ${place}\` lists the users, \`bobbin ls ${place} USER\` the mailboxes`,
      });
    },
  };
}

/** Whether `text` may mean an internal name; in it `*` is anything, and `%` anything in a part. */
function fits(text: string, owners: readonly Owner[]): (name: string) => boolean {
  const names = [undefined, ...owners].flatMap((owner) => namesMeant(text, owner));
  if (!/[*%]/.test(text)) {
    const shown = new Set(names.map(externalName));
    return (name) => shown.has(externalName(name));
  }
  const internal = names.map((pattern) => matcher(pattern, "."));
  const external = names.map((pattern) => matcher(externalName(pattern), "/"));
  return (name) =>
    internal.some((one) => one.test(name)) || external.some((one) => one.test(externalName(name)));
}

function matcher(pattern: string, separator: "." | "/"): RegExp {
  const within = `[^${separator}]*`;
  const source = pattern.replace(/[^*%]+|[*%]/g, (piece) =>
    piece === "*" ? ".*" : piece === "%" ? within : RegExp.escape(piece),
  );
  return new RegExp(`^${source}$`, "s");
}

/** The internal name that an argument means, in whichever form it is. */
export function internalOfArgument(
  text: string,
  { internalNames }: Pick<CommandEnv, "internalNames">,
): string {
  const isInternal = internalNames || (text.includes(".") && !/[/@]/.test(text));
  return isInternal ? bytesOfArgument(text) : internalName(text);
}

/** Whose mailboxes these are, each once. Throws AppError (usage) where a pattern is of anybody. */
export function ownersOfMailboxes(
  names: readonly string[],
  env: Pick<CommandEnv, "internalNames">,
): readonly Owner[] {
  const owners = new Map<string, Owner>();
  for (const text of names) {
    const { owner } = parseName(internalOfArgument(text, env));
    const key = ownerKey(owner);
    if (/[*%]/.test(key)) {
      throw new AppError("usage", `Cannot tell whose mailboxes ${text} are: name users too`);
    }
    owners.set(key, owner);
  }
  return [...owners.values()];
}
