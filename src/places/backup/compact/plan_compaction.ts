/** Reads the state of an archive for what a compaction would keep, and what would go. */
import type { Database } from "bun:sqlite";
import { breathe } from "../../../core/breathe.ts";
import { FOLDER_FILE } from "../../../formats/backup/entry_name.ts";
import { TAR_BLOCK } from "../../../formats/tar/tar_header.ts";
import type { Guid } from "../../../model/guid.ts";
import type { ArchiveBytes } from "../archive_bytes.ts";
import { listedIn } from "../state/listed_messages.ts";
import { type EntryRow, keptEntries, type Retention } from "./retention.ts";

/** Entries by where they begin in the unpacked stream. */
export interface CompactionPlan {
  readonly keptEntries: ReadonlySet<number>;
  readonly keptMessages: ReadonlySet<number>;
  /**
   * Messages to be written before an index, both by where they begin: it lists them, and they stand
   * behind it, for a copy before it was damaged.
   */
  readonly early: ReadonlyMap<number, readonly number[]>;
  /** Messages that are listed and not held: what there is of them, damaged, stays too. */
  readonly lacking: ReadonlySet<Guid>;
  readonly gone: Gone;
  /** How much of the contents is kept, in whole percent; 100 of an empty archive. */
  readonly livePercent: number;
}

export interface Gone {
  readonly messages: number;
  /** Bytes of contents, those of messages and of everything else. */
  readonly bytes: number;
  /** Copies of files and names that were replaced or deleted. */
  readonly entries: number;
}

interface MessageRow {
  readonly guid: Guid;
  readonly size: number;
  readonly offset: number;
}

/**
 * The plan for the archive whose state is `database`. A message is kept where an index that is kept
 * lists it, and where an index that lists it cannot be read.
 */
export async function planCompaction(
  { database, bytes }: { readonly database: Database; readonly bytes: ArchiveBytes },
  retention: Retention,
): Promise<CompactionPlan> {
  const rows = database
    .query<EntryRow, []>(
      "SELECT offset, kind, name, folderid, size, at FROM x_entries ORDER BY offset",
    )
    .all();
  const kept = keptEntries(rows, retention);
  const messages = database.query<MessageRow, []>("SELECT guid, size, offset FROM files").all();
  const offsets = new Map(messages.map(({ guid, offset }) => [guid, offset]));
  const wanted = new Set<Guid>();
  const early = new Map<number, number[]>();
  const indexes = rows.filter(
    ({ kind, name, size, offset }) =>
      kind === "folder" && name === FOLDER_FILE.index && size > 0 && kept.has(offset),
  );
  for (const { folderid, offset, size } of indexes) {
    await breathe();
    const listed = listedIn(bytes.read(offset + TAR_BLOCK, size));
    const guids =
      listed.kind === "read"
        ? Iterator.from(listed.records).map(({ guid }) => guid)
        : listedBefore(database, folderid ?? -1);
    const late: number[] = [];
    for (const guid of guids) {
      const message = offsets.get(guid);
      if (!wanted.has(guid) && message !== undefined && message > offset) late.push(message);
      wanted.add(guid);
    }
    if (late.length > 0) early.set(offset, late);
  }
  const keptMessages = new Set<number>();
  const lacking = new Set(wanted);
  for (const { guid, offset } of messages) {
    if (lacking.delete(guid)) keptMessages.add(offset);
  }
  const goneMessages = messages.filter(({ offset }) => !keptMessages.has(offset));
  const goneEntries = rows.filter(({ offset }) => !kept.has(offset));
  const gone: Gone = {
    messages: goneMessages.length,
    bytes: sizeOf(goneMessages) + sizeOf(goneEntries),
    entries: goneEntries.length,
  };
  const all = sizeOf(messages) + sizeOf(rows);
  const livePercent = all === 0 ? 100 : Math.floor((100 * (all - gone.bytes)) / all);
  return { keptEntries: kept, keptMessages, early, lacking, gone, livePercent };
}

/** GUIDs that the last index of a folder that could be read has listed. */
function listedBefore(database: Database, folderid: number): string[] {
  return database
    .query<{ readonly guid: string }, [number]>(
      "SELECT guid FROM indexed JOIN files USING (fileid) WHERE folderid = ?",
    )
    .all(folderid)
    .map(({ guid }) => guid);
}

function sizeOf(rows: readonly { readonly size: number }[]): number {
  return rows.reduce((sum, { size }) => sum + size, 0);
}
