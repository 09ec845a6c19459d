/** Flags of messages as the protocol writes them (sync-protocol.md 3). */

/** System flags in the order in which Cyrus prints them; `\Expunged` marks an expunged record. */
export const FLAG_ORDER = [
  "\\Deleted",
  "\\Answered",
  "\\Flagged",
  "\\Draft",
  "\\Expunged",
  "\\Seen",
] as const;

export type SystemFlag = (typeof FLAG_ORDER)[number];

const BY_LOWER_CASE = new Map<string, SystemFlag>(
  FLAG_ORDER.map((flag) => [flag.toLowerCase(), flag]),
);

/** The system flag of this name in any case, or undefined. */
export function systemFlagOf(name: string): SystemFlag | undefined {
  return BY_LOWER_CASE.get(name.toLowerCase());
}

/**
 * The system flags in their order and spelling, then keywords in the order given; each name once,
 * whatever its case. Unknown names with a backslash are dropped, as Cyrus does.
 */
export function orderFlags(flags: readonly string[]): string[] {
  const system = new Set<SystemFlag>();
  const keywords = new Map<string, string>();
  for (const flag of flags) {
    const found = systemFlagOf(flag);
    if (found !== undefined) system.add(found);
    else if (!flag.startsWith("\\") && !keywords.has(flag.toLowerCase())) {
      keywords.set(flag.toLowerCase(), flag);
    }
  }
  return [...FLAG_ORDER.filter((flag) => system.has(flag)), ...keywords.values()];
}

/** True if both hold the same flags, in any order and case. */
export function sameFlags(left: readonly string[], right: readonly string[]): boolean {
  if (left.length !== right.length) return false;
  const names = new Set(left.map((flag) => flag.toLowerCase()));
  return right.every((flag) => names.has(flag.toLowerCase()));
}

/** True for a keyword that Cyrus accepts: an IMAP atom in 7 bits, in which `]` may stand too. */
export function isKeyword(name: string): boolean {
  return /^[!#$&'+-Z[\]-z|}~]+$/.test(name);
}
