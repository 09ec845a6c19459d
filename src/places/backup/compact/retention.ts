/**
 * What a compaction keeps: every state of the last days can still be read afterwards, and what no
 * such state has goes. Pure.
 */

/** How long what is no more is kept, in milliseconds. */
export interface Retention {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Of mailboxes that were deleted or renamed: their names. */
  readonly keepDeletedMs: number;
  /** Of messages that were expunged, and of flags and settings as they were. */
  readonly keepExpungedMs: number;
}

/** An entry that is no message: a row of x_entries (state_schema.ts). */
export interface EntryRow {
  readonly offset: number;
  readonly kind: "link" | "folder" | "meta";
  readonly name: string;
  /** Of a link, where it leads; null where the name is gone. */
  readonly folderid: number | null;
  /** Bytes; none says that the file is gone. */
  readonly size: number;
  /** Since when it is in force. Milliseconds since 1970. */
  readonly at: number;
}

/**
 * The offsets of the entries to keep, of `rows` by ascending offset: those in force now or at any
 * moment within the retention, and the ends of what is kept. Files of a folder to which no kept
 * name leads go with it.
 */
export function keptEntries(rows: readonly EntryRow[], retention: Retention): Set<number> {
  const { now, keepDeletedMs, keepExpungedMs } = retention;
  const kept = new Set<number>();
  const folders = new Set<number>();
  const byKey = Map.groupBy(rows, keyOf);
  for (const copies of byKey.values()) {
    const [first] = copies;
    const since = now - (first?.kind === "link" ? keepDeletedMs : keepExpungedMs);
    let isBegun = false;
    for (const [at, row] of copies.entries()) {
      const isInForce = (copies[at + 1]?.at ?? now) >= since;
      if (isEnd(row) ? !isBegun : !isInForce) continue;
      isBegun = true;
      kept.add(row.offset);
      if (row.kind === "link" && row.folderid !== null) folders.add(row.folderid);
    }
  }
  for (const { kind, folderid, offset } of rows) {
    if (kind === "folder" && !folders.has(folderid ?? -1)) kept.delete(offset);
  }
  return kept;
}

/** Copies of one file, or links of one name, have the same key. */
function keyOf({ kind, name, folderid }: EntryRow): string {
  return kind === "folder" ? `${kind} ${folderid} ${name}` : `${kind} ${name}`;
}

/** True for an entry that says that a file or a name is gone. */
function isEnd({ kind, folderid, size }: EntryRow): boolean {
  return kind === "link" ? folderid === null : size === 0;
}
