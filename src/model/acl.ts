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

/** The inverse of `parseAcl`, each field with its TAB. */
export function printAcl(entries: readonly AclEntry[]): string {
  return entries.map((entry) => `${entry.identifier}\t${entry.rights}\t`).join("");
}
