/**
 * Salvage of a twoskip file whose chain is broken: every record of the file is read in the order it
 * was written, and transactions are applied one after the other, as Cyrus' second recovery does
 * (lib/cyrusdb_twoskip.c: recovery2). Two things differ, because this only looks:
 *
 * - Cyrus drops a transaction with one damaged byte, and so everything of a freshly checkpointed
 *   file. Here the intact records of it count; each has its own CRCs, and the damage is reported.
 * - A delete mark names the record *behind* the one it removes. Which one that was is read from the
 *   pointers of the removed record, which nobody has touched since.
 */
import { latin1 } from "../../../core/bytes.ts";
import {
  addProblem,
  type DatabaseContents,
  type DatabaseEntry,
  type DatabaseProblem,
} from "./database_contents.ts";
import { rawOrder } from "./key_order.ts";
import * as layout from "./twoskip_record.ts";

export interface ReplayOptions {
  /**
   * True when the header vouches that all of the file was committed; else only transactions count
   * whose commit record is there.
   */
  readonly committed: boolean;
  /** What made the replay necessary. */
  readonly problems: readonly DatabaseProblem[];
}

/** Records looked at, over all delete marks of a file, to find what each removed. */
const SEARCH_BUDGET = 10_000_000;

/** All entries that the committed part of the file leaves alive, sorted by raw bytes. */
export function replayTwoskip(file: layout.TwoskipFile, options: ReplayOptions): DatabaseContents {
  const log = readLog(file, options);
  const live = applyLog(log);
  const entries = [...live.values()].map((stored) => stored.entry);
  entries.sort((left, right) => rawOrder(left.key, right.key));
  return { entries, problems: log.problems, unfinished: log.pending.length > 0 };
}

interface Stored {
  readonly entry: DatabaseEntry;
  /** The higher of its two level 0 pointers. */
  readonly next: number;
}

interface Mark {
  readonly offset: number;
  /** The record behind the removed one, 0 at the end of the list. */
  readonly target: number;
}

type Change = { readonly stored: Stored } | { readonly mark: Mark };

/** What a file says was done to it, in order. */
interface Log {
  readonly problems: DatabaseProblem[];
  readonly committed: Change[];
  /** What the transaction under way has done. */
  pending: Change[];
}

function readLog(file: layout.TwoskipFile, options: ReplayOptions): Log {
  const log: Log = { problems: [...options.problems], committed: [], pending: [] };
  const record = layout.emptyRecord();
  let damagedFrom: number | undefined;
  let offset = layout.DUMMY_OFFSET;
  while (offset + 8 <= file.end) {
    if (layout.isBlank(file, offset)) {
      offset += 8;
      continue;
    }
    if (layout.readRecord(file, offset, record) !== undefined) {
      damagedFrom ??= offset;
      offset += 8;
      continue;
    }
    if (damagedFrom !== undefined) reportGap(log, damagedFrom, { to: offset });
    damagedFrom = undefined;
    const change = changeOf(file, record, log);
    if (change !== undefined) log.pending.push(change);
    if (options.committed || record.type === layout.TYPE_COMMIT) {
      for (const each of log.pending) log.committed.push(each);
      log.pending = [];
    }
    offset += record.size;
  }
  if (damagedFrom !== undefined && options.committed) reportGap(log, damagedFrom, { to: file.end });
  return log;
}

function changeOf(
  file: layout.TwoskipFile,
  record: layout.TwoskipRecord,
  log: Log,
): Change | undefined {
  const { offset, type } = record;
  if (type === layout.TYPE_DELETE) return { mark: { offset, target: layout.nextOf(file, record) } };
  if (type !== layout.TYPE_LIVE) return undefined;
  const fault = layout.checkTail(file, record);
  if (fault !== undefined) {
    addProblem(log.problems, fault);
    return undefined;
  }
  const entry = { key: layout.keyBytes(file, record), value: layout.valueBytes(file, record) };
  return { stored: { entry, next: layout.nextOf(file, record) } };
}

function applyLog(log: Log): Map<string, Stored> {
  const live = new Map<string, Stored>();
  const byNext = new Map<number, Stored[]>();
  const marks = new Map<number, number>();
  for (const change of log.committed) {
    if ("mark" in change) marks.set(change.mark.offset, change.mark.target);
  }
  let budget = SEARCH_BUDGET;
  for (const change of log.committed) {
    if ("stored" in change) {
      const { stored } = change;
      const behind = marks.get(stored.next) ?? stored.next;
      const others = byNext.get(behind);
      if (others === undefined) byNext.set(behind, [stored]);
      else others.push(stored);
      live.set(latin1(stored.entry.key), stored);
    } else {
      const candidates = byNext.get(change.mark.target) ?? [];
      budget -= candidates.length;
      const key = budget < 0 ? undefined : removedKey(candidates, change.mark, { live });
      if (key === undefined) reportMark(log, change.mark);
      else live.delete(key);
    }
  }
  return live;
}

/**
 * The removed record leads to the same place as the mark, but was last told so before the mark was
 * written: its predecessor, and whatever came to lie there later, lead there through a mark.
 */
function removedKey(
  candidates: readonly Stored[],
  mark: Mark,
  { live }: { readonly live: ReadonlyMap<string, Stored> },
): string | undefined {
  for (const stored of candidates) {
    const key = latin1(stored.entry.key);
    if (stored.next < mark.offset && live.get(key) === stored) return key;
  }
  return undefined;
}

function reportMark(log: Log, { offset }: Mark): void {
  const expected = "an intact record that it removes";
  addProblem(log.problems, { offset, what: "delete mark", expected, found: "none" });
}

function reportGap(log: Log, from: number, { to }: { readonly to: number }): void {
  const found = `${to - from} bytes of damage`;
  addProblem(log.problems, { offset: from, what: "records", expected: "sound records", found });
}
