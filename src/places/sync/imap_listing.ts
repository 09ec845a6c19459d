/**
 * The names of all mailboxes at a Cyrus, of which the sync protocol has no list: IMAP shows them to
 * an administrator, also in a session that speaks the sync protocol within IMAP. Where there are
 * virtual domains the list is not whole: the first name of a domain is left out where it stands
 * above the last one of the domain before (both seen at 3.6.1).
 */
import { printGet } from "../../formats/sync/get_command.ts";
import { isOwnedBy } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { Dialogue } from "./dialogue.ts";
import { answersOf } from "./refusals.ts";
import type { Link } from "./sign_in.ts";

/** Whether all owners can be listed over this link. No other command may be under way on it. */
export async function listsByImap({ dialogue, peer }: Link): Promise<boolean> {
  if (peer.software !== "cyrus") return false;
  const found = await listed(dialogue, `("user/%@%" "user.%@%" "%@%")`);
  if (found.kind === "refused") return false;
  // A name with an @ is one in a domain, or one of a server without domains: one of both is there.
  const names = found.value.slice(0, SAMPLE).map(inDomain);
  if (names.length === 0) return true;
  const reply = await dialogue.command("GET", printGet({ kind: "mailboxes", names }));
  return !answersOf(reply, "mailbox").some(({ state }) => names.includes(state.name));
}

/** Names that are asked for: some may be deleted meanwhile. */
const SAMPLE = 100;

/**
 * Internal names, deleted mailboxes included, of one shared top level or of everybody; of a top
 * level also names that may only stand above others, for the tree has placeholders there. No other
 * command may be under way.
 */
export async function listWithinImap(
  dialogue: Dialogue,
  toplevel?: string,
): Promise<Outcome<string[]>> {
  if (toplevel === undefined) {
    const all = await listed(dialogue, `"*"`);
    return all.kind === "refused" ? all : ok(all.value.filter(isMailbox).map(internalOf));
  }
  const root = await listed(dialogue, `""`);
  if (root.kind === "refused") return root;
  const below = await listed(dialogue, patternsOf(toplevel, root.value[0]?.separator ?? "/"));
  if (below.kind === "refused") return below;
  const names = below.value.map(internalOf);
  return ok(names.filter((name) => isOwnedBy(name, { kind: "shared", toplevel })));
}

interface Listed {
  /** In lower case. */
  readonly attributes: string;
  /** As IMAP has it, in modified UTF-7. */
  readonly name: string;
  readonly separator: string;
}

const LISTED = /^\* LIST \(([^)]*)\) (?:"(.)"|NIL) (?:"(.*)"|([^\s"{]\S*))$/i;

async function listed(dialogue: Dialogue, patterns: string): Promise<Outcome<Listed[]>> {
  const { status, lines } = await dialogue.imap(`LIST "" ${patterns}`);
  if (status.kind !== "OK") return refused("failed", `LIST: ${status.text}`);
  const found: Listed[] = [];
  for (const line of lines) {
    const [, words, separator = "", quoted, bare = ""] = LISTED.exec(line) ?? [];
    if (words !== undefined) {
      found.push({ attributes: words.toLowerCase(), name: quoted ?? bare, separator });
    } else if (/^\* LIST /i.test(line)) {
      return refused("notSupported", `A name in the list cannot be read: ${line}`);
    }
  }
  return ok(found);
}

function isMailbox({ attributes }: Listed): boolean {
  return !/\\(?:nonexistent|noselect)/.test(attributes);
}

/** The top level, what lies below it and what was deleted there. */
function patternsOf(toplevel: string, separator: string): string {
  const top = separator === "/" ? toplevel.replaceAll("^", ".") : toplevel;
  const names = [top, `${top}${separator}*`, `DELETED${separator}${top}${separator}*`];
  return `(${names.map((name) => `"${name.replace(/["\\]/g, "\\$&")}"`).join(" ")})`;
}

const INWARD: Readonly<Record<string, string>> = { "/": ".", ".": "^" };

function internalOf({ name, separator }: Pick<Listed, "name" | "separator">): string {
  return separator === "/" ? name.replace(/[/.]/g, (char) => INWARD[char] ?? char) : name;
}

/** What the name is where what follows its last @ is a virtual domain. */
function inDomain({ name, separator }: Listed): string {
  const at = name.lastIndexOf("@");
  return `${name.slice(at + 1)}!${internalOf({ name: name.slice(0, at), separator })}`;
}
