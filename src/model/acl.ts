/**
 * ACLs in the form in which Cyrus stores and sends them: `id TAB rights TAB id TAB rights TAB`
 * (sync-protocol.md 3). The text is passed on unchanged; these functions are for code that must
 * look inside.
 */

export interface AclEntry {
  /** A user id, `anyone` or `group:…`, in latin1; a `-` in front takes the rights away. */
  readonly identifier: string;
  /** The letters of RFC 4314 and those of Cyrus. */
  readonly rights: string;
}

/** The entries of an ACL; undefined if the text is not of this form. */
export function parseAcl(acl: string): AclEntry[] | undefined {
  if (acl === "") return [];
  const fields = acl.endsWith("\t") ? acl.slice(0, -1).split("\t") : acl.split("\t");
  if (fields.length % 2 !== 0) return undefined;
  const entries: AclEntry[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const [identifier = "", rights = ""] = fields.slice(at, at + 2);
    if (identifier === "") return undefined;
    entries.push({ identifier, rights });
  }
  return entries;
}

/** True if both give and take the same rights, in any order of entries and letters. */
export function sameAcl(left: string, right: string): boolean {
  if (left === right) return true;
  const [one, other] = [parseAcl(left), parseAcl(right)];
  return one !== undefined && other !== undefined && rightsText(one) === rightsText(other);
}

/** One text for all ACLs of one meaning. */
function rightsText(entries: readonly AclEntry[]): string {
  const rights = new Map<string, Set<string>>();
  for (const { identifier, rights: letters } of entries) {
    rights.set(identifier, new Set([...(rights.get(identifier) ?? []), ...plainRights(letters)]));
  }
  const lines = [...rights].map(([identifier, set]) => [identifier, [...set].sort().join("")]);
  return lines
    .flatMap(([id, set]) => (set === "" ? [] : [`${id}\t${set}`]))
    .sort()
    .join("\n");
}

/** The inverse of `parseAcl`, each field with its TAB. */
export function printAcl(entries: readonly AclEntry[]): string {
  return entries.map((entry) => `${entry.identifier}\t${entry.rights}\t`).join("");
}

/** What the ACL of a new mailbox gives its owner: every right there is. */
export const OWNER_RIGHTS = "lrswipkxtecdan";

/**
 * Rights of before RFC 4314 and the rights that they stand for (its section 2.1.1, with `x` where
 * Cyrus' `deleteright` has it by default).
 */
const OLD_RIGHTS: Readonly<Record<string, string>> = { c: "kx", d: "te" };

function* plainRights(rights: string): Generator<string> {
  for (const letter of rights) yield* OLD_RIGHTS[letter] ?? letter;
}
