/** The messages that a session has staged, by partition (sync-protocol.md 5.2). */
import type { Guid } from "./guid.ts";

export type StagedGuids = Map<string, Set<Guid>>;

/** The staged messages of one partition, a set that the caller may add to. */
export function stagedIn(staged: StagedGuids, partition: string): Set<Guid> {
  const known = staged.get(partition);
  if (known !== undefined) return known;
  const guids = new Set<Guid>();
  staged.set(partition, guids);
  return guids;
}
