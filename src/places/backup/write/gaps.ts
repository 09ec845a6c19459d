/**
 * The gaps between two runs: what came to a mailbox after the first, and was gone before the second
 * (backup-format.md 11). Where a server keeps expunged messages and deleted mailboxes for a while
 * there are none, for the second run brings them.
 */
import type { Gap } from "../../../formats/backup/run_mark.ts";
import type { DeletedMailbox, MailboxState, UnreadableMailbox } from "../../../model/mailbox.ts";
import { type Owner, parseName } from "../../../model/names.ts";
import type { Place } from "../../place.ts";
import type { EntriesInForce } from "../read/entries_in_force.ts";

/** A mailbox as the run before has left it. */
export type SeenMailbox = Pick<MailboxState, "name" | "uniqueid" | "lastUid" | "highestmodseq">;

/** The place that is backed up, asked for what has become of mailboxes. */
export type GapSource = Pick<Place, "deletions" | "mailboxesByUniqueid" | "holds">;

export interface GapsRequest {
  readonly owner: Owner;
  /** The mailboxes that this run has changed or removed, as they were before. */
  readonly seen: ReadonlyMap<string, SeenMailbox>;
  /** The archive as it is after the run. */
  readonly entries: EntriesInForce;
  /** When the run before began, in milliseconds since 1970; undefined where there was none. */
  readonly since: number | undefined;
  /** What this run could not have, for which nothing can be told. */
  readonly missing: readonly UnreadableMailbox[];
  readonly source: GapSource | undefined;
}

/** The gaps that a run has found, by mailbox. */
export async function findGaps(request: GapsRequest): Promise<Gap[]> {
  const { owner, seen, entries, since, missing, source } = request;
  const failed = new Set(missing.flatMap(({ name, uniqueid }) => [name, uniqueid]));
  const gaps: Gap[] = [];
  const gone = new Map<string, Gap>();
  for (const { name, uniqueid, lastUid, highestmodseq } of seen.values()) {
    if (failed.has(name) || failed.has(uniqueid)) continue;
    const gap = { name, uniqueid, lastUid, highestmodseq: highestmodseq.toString() };
    if (entries.linkTo(uniqueid) !== undefined) {
      const messages = entries.unlistedAbove(uniqueid, lastUid);
      if (messages > 0) gaps.push({ ...gap, messages });
      // No mail is delivered to a mailbox below DELETED.
    } else if (!parseName(name).isDeleted) gone.set(uniqueid, gap);
  }
  const deletions = (await source?.deletions?.(owner)) ?? [];
  for (const [uniqueid, names] of Map.groupBy(deletions, ({ uniqueid }) => uniqueid)) {
    const last = lastOf(names);
    const known = gone.get(uniqueid);
    if (known !== undefined) gone.set(uniqueid, { ...known, deleted: last.deleted });
    // Servers note times in whole seconds.
    const isNew = since !== undefined && last.deleted > since - 1000 && !failed.has(uniqueid);
    if (!isNew || known !== undefined || entries.folder(uniqueid) !== undefined) continue;
    const { name, deleted } = last;
    gone.set(uniqueid, { name, uniqueid, lastUid: 0, highestmodseq: "0", deleted });
  }
  // One that another owner has now was not deleted.
  const moved = gone.size === 0 ? [] : await elsewhere([...gone.keys()], source);
  for (const uniqueid of moved) gone.delete(uniqueid);
  return [...gaps, ...gone.values()];
}

/**
 * Which of these mailboxes the source has, with anybody. A place that lists its users and remembers
 * no deletions would have to be searched as a whole, and is not asked.
 */
async function elsewhere(
  uniqueids: readonly string[],
  source: GapSource | undefined,
): Promise<readonly string[]> {
  if (source === undefined || (source.holds.userList && !source.deletions)) return [];
  const found = await source.mailboxesByUniqueid(uniqueids);
  return found.kind === "ok" ? found.value.map(({ uniqueid }) => uniqueid) : [];
}

/** Its last name at which mail could come to it. */
function lastOf(names: readonly DeletedMailbox[]): DeletedMailbox {
  const sorted = names.toSorted((left, right) => left.deleted - right.deleted);
  const last = sorted.findLast(({ name }) => !parseName(name).isDeleted) ?? sorted.at(-1);
  return last as DeletedMailbox; // a group has a member
}
