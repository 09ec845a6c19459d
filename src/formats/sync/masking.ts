/** Hides secrets in lines of the protocol that are shown to people. */

/** The line with an ellipsis in place of whatever would give a password away. */
export function maskSecrets(line: string): string {
  return line
    .replace(/^((?:\S+ )?AUTHENTICATE \S+) .*$/is, "$1 …")
    .replace(/^((?:\S+ )?LOGIN \S+) .*$/is, "$1 …");
}
