/**
 * Writes an archive anew without what its retention has outlived (backup-format.md 8). It is read
 * as a stream, each content is checked, and the new archive takes the place of the old one only
 * when all of it is durable.
 */
import type { Database } from "bun:sqlite";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { collectEvery } from "../../../core/garbage.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../core/limits.ts";
import { parseEntryName, parseLinkTarget } from "../../../formats/backup/entry_name.ts";
import { LATEST_MTIME, parseTarHeader, TAR_BLOCK } from "../../../formats/tar/tar_header.ts";
import type { PlacedEntry } from "../../../formats/tar/tar_splitter.ts";
import { diskError } from "../../../storage/disk.ts";
import { syncPath } from "../../../storage/durable.ts";
import { noArchive } from "../../backup_locator.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";
import {
  archiveEntries,
  contentFlaw,
  type DamagedContent,
  type WholeEntry,
} from "../read/archive_entries.ts";
import { MemberBytes } from "../read/member_bytes.ts";
import { openArchiveState } from "../read/open_backup.ts";
import { STATE_FILE } from "../state/open_state.ts";
import { type Status, statusIn } from "../state/state_extent.ts";
import { ArchiveWriter, type NewEntry, type WriterOptions } from "../write/archive_writer.ts";
import { clearLeftovers, NEW_FOLDER } from "../write/clear_leftovers.ts";
import { type CompactionPlan, planCompaction } from "./plan_compaction.ts";
import type { Retention } from "./retention.ts";

/** Unpacked bytes that are garbage soon. */
const COLLECT_BYTES = 16 * 1024 * 1024;

export interface CompactOptions extends Pick<WriterOptions, "pack" | "notice"> {
  readonly retention: Retention;
  /** Only where less than this percentage of the contents would stay; 101 always. */
  readonly below: number;
  /** Only plans. */
  readonly isDry: boolean;
  readonly limits?: Limits;
  /** Ends the work with what the signal says; the archive stays as it was. */
  readonly signal?: AbortSignal;
}

export interface Compaction {
  readonly plan: CompactionPlan;
  /** Bytes of the data file before and, where it was written anew, after. */
  readonly before: number;
  readonly after?: number;
  readonly damaged: readonly DamagedContent[];
}

/**
 * Compacts the archive in `folder`. Throws AppError: busy where another process writes it, bad_data
 * where it cannot be read to its end, io; the archive is as before then.
 */
export async function compactArchive(folder: string, options: CompactOptions): Promise<Compaction> {
  if (options.isDry) return foresee(folder, options.retention);
  const files: MemberBytes[] = [];
  const committed = (database: Database, path: string): MemberBytes => {
    const bytes = new MemberBytes(database, path);
    files.push(bytes);
    return bytes;
  };
  const { retention } = options;
  const seconds = Math.floor(retention.now / 1000);
  const writing = { ...options, committed, now: () => seconds };
  const old = await ArchiveWriter.open(folder, writing);
  try {
    const status = statusOf(old.database, folder);
    const plan = await planCompaction({ database: old.database, bytes: old }, retention);
    const idle = { plan, before: status.size, damaged: [] };
    if (plan.livePercent >= options.below) return idle;
    if (plan.keptEntries.size === 0) {
      throw new AppError("refused", `Cannot compact ${folder}: nothing of it would be left`, {
        hint: "The user is gone for longer than the retention; remove the folder by hand",
      });
    }
    const later = Number(/\d+/.exec(status.filename)?.[0]) + 1; // another name than that of before
    const into = { ...writing, now: () => Math.max(seconds, later) };
    const { damaged, made } = await writeAnew(old, { folder, plan, status, into });
    replaceArchive(folder, { from: status.filename, to: made.filename });
    return { ...idle, after: made.size, damaged };
  } finally {
    await old.close();
    for (const file of files) file.close();
  }
}

/** The plan alone: the archive is only read, whatever state it is in. */
async function foresee(folder: string, retention: Retention): Promise<Compaction> {
  const { database, bytes } = await openArchiveState(folder);
  try {
    const plan = await planCompaction({ database, bytes }, retention);
    return { plan, before: statusOf(database, folder).size, damaged: [] };
  } finally {
    bytes.close();
    database.close();
  }
}

function statusOf(database: Database, folder: string): Status {
  const status = statusIn(database);
  if (status === undefined) throw noArchive(folder);
  return status;
}

interface Writing {
  readonly folder: string;
  readonly plan: CompactionPlan;
  readonly status: Status;
  readonly into: CompactOptions & WriterOptions;
}

/** Writes what is kept, in its order, into a new archive in a folder of its own. */
async function writeAnew(
  old: ArchiveWriter,
  { folder, plan, status, into }: Writing,
): Promise<{ readonly damaged: readonly DamagedContent[]; readonly made: Status }> {
  const { limits = DEFAULT_LIMITS, signal } = into;
  const facts = entryFacts(old.database);
  const damaged: DamagedContent[] = [];
  const collect = collectEvery(COLLECT_BYTES);
  const fresh = await ArchiveWriter.open(join(folder, NEW_FOLDER), into);
  try {
    const wants = ({ name, offset }: PlacedEntry): boolean => {
      const parsed = parseEntryName(name);
      if (parsed?.kind !== "message") return plan.keptEntries.has(offset);
      return plan.keptMessages.has(offset) || plan.lacking.has(parsed.guid);
    };
    const entries = archiveEntries(join(folder, status.filename), {
      ...{ size: status.size, wants, limits },
    });
    const write = ({ entry, pieces }: WholeEntry): Promise<void> | undefined => {
      const flaw = contentFlaw(entry, pieces);
      if (flaw !== undefined) damaged.push(flaw);
      fresh.append(renewed(entry, facts), pieces, { damaged: flaw !== undefined });
      return fresh.room;
    };
    const written = new Set([...plan.early.values()].flat());
    for await (const { entry, pieces } of entries) {
      signal?.throwIfAborted();
      for (const offset of plan.early.get(entry.offset) ?? []) await write(messageAt(old, offset));
      if (written.has(entry.offset)) continue;
      await write({ entry, pieces });
      collect(entry.size);
    }
    copyIdleRuns(old.database, {
      to: fresh,
      since: into.retention.now - into.retention.keepExpungedMs,
    });
    await fresh.commit();
    return { damaged, made: statusOf(fresh.database, folder) };
  } finally {
    await fresh.close();
  }
}

/** The message whose header, one block, begins at `offset`. */
function messageAt(bytes: ArchiveBytes, offset: number): WholeEntry {
  const header = parseTarHeader(bytes.read(offset, TAR_BLOCK));
  const pieces = [bytes.read(offset + TAR_BLOCK, header.size)];
  return { entry: { ...header, type: "file", offset }, pieces };
}

/** Of an entry by its offset: what the tar has no room for, or says only by its order. */
interface EntryFacts {
  readonly inodes: ReadonlyMap<number, number>;
  /** Since when the deletion of a file counts, in Unix seconds. */
  readonly ends: ReadonlyMap<number, number>;
}

function entryFacts(database: Database): EntryFacts {
  const numbers = (sql: string): Map<number, number> =>
    new Map(
      database
        .query<{ offset: number; n: number }, []>(sql)
        .all()
        .map(({ offset, n }) => [offset, n]),
    );
  return {
    inodes: numbers("SELECT offset, inode AS n FROM fmeta UNION SELECT offset, inode FROM meta"),
    ends: numbers("SELECT offset, at / 1000 AS n FROM x_entries WHERE kind <> 'link' AND size = 0"),
  };
}

function renewed(
  { name, type, mtime, linkname, inode, offset }: PlacedEntry,
  facts: EntryFacts,
): NewEntry {
  return {
    ...{ name, type, mtime: Math.min(facts.ends.get(offset) ?? mtime, LATEST_MTIME) },
    linkname: type === "link" ? (parseLinkTarget(linkname) ?? "") : linkname,
    inode: facts.inodes.get(offset) ?? inode,
  };
}

/** Runs that found nothing new are in no tar: the last one, and those within the retention. */
function copyIdleRuns(
  database: Database,
  { to, since }: { readonly to: ArchiveWriter; readonly since: number },
): void {
  const runs = database
    .query<{ ended: number; mark: string }, []>(
      "SELECT ended, mark FROM x_runs WHERE offset IS NULL ORDER BY ended",
    )
    .all();
  for (const [at, { ended, mark }] of runs.entries()) {
    if (ended >= since || at === runs.length - 1) to.noteRun(Buffer.from(mark), ended);
  }
}

/**
 * Puts the new archive in the place of the old one. The state decides which data file counts: a
 * kill before it is replaced leaves the old archive, one after it the new.
 */
function replaceArchive(
  folder: string,
  { from, to }: { readonly from: string; readonly to: string },
): void {
  const made = join(folder, NEW_FOLDER);
  let counted: string | undefined = from;
  try {
    renameSync(join(made, to), join(folder, to));
    syncPath(folder, "folder");
    renameSync(join(made, STATE_FILE), join(folder, STATE_FILE));
    counted = undefined; // nobody knows which of them it is until that is on the disk
    syncPath(folder, "folder");
    counted = to;
  } catch (error) {
    throw diskError(error, "replace the archive", folder);
  } finally {
    if (counted !== undefined) clearLeftovers(folder, counted);
  }
}
