/** Secrets out of lines that are shown: whatever follows the words with which one signs in. */

/** The line with what would give a password away as an ellipsis. */
export function maskSecrets(line: string): string {
  return line
    .replace(/^((?:\S+ )?AUTHENTICATE \S+) .*$/is, "$1 …")
    .replace(/^((?:\S+ )?LOGIN \S+) .*$/is, "$1 …");
}
