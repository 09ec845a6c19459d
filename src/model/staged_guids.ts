/** Messages that a session has staged: by partition, for a server looks nowhere else (sync-protocol.md 5.2). */
import type { Guid } from "./guid.ts";

export type StagedGuids = Map<string, Set<Guid>>;

/** Those of one partition, to be added to. */
export function stagedIn(staged: StagedGuids, partition: string): Set<Guid> {
  const known = staged.get(partition);
  if (known !== undefined) return known;
  const guids = new Set<Guid>();
  staged.set(partition, guids);
  return guids;
}
