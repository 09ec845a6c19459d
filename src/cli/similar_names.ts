/** What a person may have meant by the name of a user or mailbox that is not there. */
import type { OwnedMailboxes } from "../model/mailbox.ts";
import { externalName, type Owner, ownerName } from "../model/names.ts";
import type { Outcome } from "../model/outcome.ts";
import type { Place } from "../places/place.ts";
import { textOfName } from "./mailbox_names.ts";

/** Names that a wrong one is compared with; of a larger place no name is offered. */
const NAMES = 20_000;
/** Letters that a slip of the hand leaves out, adds or changes. */
const SLIPS = 2;

/** The hint for an owner whom `place` does not have; undefined where nothing is like it. */
export async function ownerHint(owner: Owner, place: Place): Promise<string | undefined> {
  const name = textOfName(ownerName(owner));
  const [, user = "", folders = ""] = /^(?:user[/.])?([^/]+?)(?:[/](.*))?$/.exec(name) ?? [];
  if (user !== name && user !== "") {
    const more = folders === "" ? "" : `, and its mailbox as the next word: ${user} ${folders}`;
    return `A USER is named without user/: ${user}${more}`;
  }
  const other = await otherKind(owner, place);
  if (other !== undefined) return other;
  const names: string[] = [];
  if (place.holds.userList) {
    const listed = await place.owners();
    if (listed.kind === "refused") return undefined;
    for await (const one of listed.value) {
      if (one.kind === owner.kind) names.push(textOfName(ownerName(one)));
      if (names.length >= NAMES) return undefined;
    }
  } else if (owner.kind === "user") {
    const small = owner.userid.toLowerCase();
    if (small !== owner.userid && holdsAny(await place.user(small))) names.push(textOfName(small));
  }
  const similar = similarName(name, names);
  if (similar !== undefined) return `Is ${similar} meant?`;
  const kind = owner.kind === "user" ? "users" : "shared mailboxes";
  return place.holds.userList ? `\`bobbin ls ${place.locator}\` lists its ${kind}` : undefined;
}

/** The hint where the name is that of a user instead of shared mailboxes, or the other way. */
async function otherKind(owner: Owner, place: Place): Promise<string | undefined> {
  if (owner.kind === "shared") {
    const isUser = holdsAny(await place.user(owner.toplevel));
    return isUser ? `${textOfName(owner.toplevel)} is a user: leave out --shared` : undefined;
  }
  const isShared = holdsAny(await place.sharedMailboxes(owner.userid));
  const name = textOfName(owner.userid);
  return isShared ? `${name} is the name of shared mailboxes: add --shared` : undefined;
}

function holdsAny(owned: Outcome<OwnedMailboxes>): boolean {
  return owned.kind === "ok" && owned.value.mailboxes.length > 0;
}

/** The hint for a mailbox that is not among those with these internal names. */
export function mailboxHint(wanted: string, names: readonly string[]): string | undefined {
  const shown = names.map((name) => externalName(name));
  const short = shown.map((name) => name.replace(/^user\/[^/]+\/?/, "") || "INBOX");
  const similar = similarName(wanted, short) ?? similarName(wanted, shown);
  return similar === undefined ? undefined : `Is ${similar} meant?`;
}

/**
 * The name that is most like `wanted`: equal but for case and separators or with or without its
 * domain, or else a slip or two away, or the only one that begins with it or has it as last word.
 */
export function similarName(wanted: string, names: readonly string[]): string | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[./^]/g, "/").trim();
  const bare = (name: string) => plain(name).replace(/@.*/, "");
  const same =
    names.find((name) => plain(name) === plain(wanted)) ??
    names.find((name) => bare(name) === bare(wanted));
  if (same !== undefined) return same;
  const most = Math.min(SLIPS, Math.floor(wanted.length / 3));
  const near = names
    .filter((name) => Math.abs(name.length - wanted.length) <= most)
    .map((name) => ({ name, slips: slipsBetween(plain(name), plain(wanted)) }))
    .toSorted((left, right) => left.slips - right.slips)[0];
  if (near !== undefined && near.slips <= most) return near.name;
  const whole = names.filter((name) => isPartOf(plain(wanted), plain(name)));
  return whole.length === 1 ? whole[0] : undefined;
}

function isPartOf(part: string, name: string): boolean {
  if (part.length < 2) return false;
  return name.startsWith(part) || name.endsWith(` ${part}`) || name.endsWith(`/${part}`);
}

/** Letters to put in, take out or change to make one of the other (Levenshtein). */
function slipsBetween(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let at = 1; at <= left.length; at++) {
    const before = row;
    row = [at];
    for (let to = 1; to <= right.length; to++) {
      const changed = (before[to - 1] ?? 0) + (left[at - 1] === right[to - 1] ? 0 : 1);
      row.push(Math.min(changed, (before[to] ?? 0) + 1, (row[to - 1] ?? 0) + 1));
    }
  }
  return row[right.length] ?? 0;
}
