/**
 * What lies in a mailbox's folders against what its records say must lie there: rows MS01 and MS06
 * to MS10, TM01 and EX01 of the catalogue. One walk over two sorted lists; no message is opened.
 */
import { join } from "node:path";
import { MESSAGE, type MessageTable } from "../../mailbox/message_table.ts";
import type { UidRange } from "../../model/sequence_set.ts";
import type { FolderListing, OtherEntry } from "../../places/cyrus/mailbox/listing.ts";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import type { Collector } from "./collector.ts";

export interface ListingInput {
  readonly paths: MailboxPaths;
  readonly spool: FolderListing;
  /** Undefined where the mailbox has no archive folder. */
  readonly archive: FolderListing | undefined;
  /** Undefined where the index could not be read: then no file can be called an orphan. */
  readonly messages: MessageTable | undefined;
  readonly gaps: readonly UidRange[];
  /** Highest UID ever given out; undefined when the header cannot be trusted. */
  readonly lastUid: number | undefined;
  /** UIDs that Cyrus 2.3 moved to cyrus.expunge: their files stay. Ascending. */
  readonly expungedUids: Uint32Array;
  readonly nowSeconds: number;
  /** Seconds since the file at `path` was last written; 0 when it is gone. */
  readonly ageSeconds: (path: string) => number;
}

/** Rows of the message table whose file is there, in spool or archive. */
export interface PresentFiles {
  readonly spool: Uint32Array;
  readonly archive: Uint32Array;
  /** The number of messages that have no file and should have one. */
  readonly missing: number;
}

/** Compares folders and records. The result says which messages can be read. */
export function checkListing(input: ListingInput, collector: Collector): PresentFiles {
  const { paths, spool, archive, messages } = input;
  checkFolder(paths.data, { listing: spool, input, collector });
  if (paths.archive !== undefined && archive !== undefined) {
    checkFolder(paths.archive, { listing: archive, input, collector });
  }
  if (messages === undefined) return NOTHING;
  const here = { spool: uidsOf(spool), archive: uidsOf(archive) };
  checkOrphans(paths.data, here.spool, { messages, input, collector });
  if (paths.archive !== undefined) {
    checkOrphans(paths.archive, here.archive, { messages, input, collector });
  }
  return checkPresence(messages, here, { input, collector });
}

const NOTHING = { spool: new Uint32Array(), archive: new Uint32Array(), missing: 0 };

interface Uids {
  readonly spool: Uint32Array;
  readonly archive: Uint32Array;
}

function uidsOf(listing: FolderListing | undefined): Uint32Array {
  return listing?.state === "listed" ? listing.uids : new Uint32Array();
}

/**
 * For each record, its file: MS01, MS09, MS10. In a folder that cannot be listed every message
 * counts as present: opening it will tell.
 */
function checkPresence(
  messages: MessageTable,
  here: Uids,
  { input, collector }: { input: ListingInput; collector: Collector },
): PresentFiles {
  const rows = {
    spool: new Uint32Array(messages.length),
    archive: new Uint32Array(messages.length),
  };
  const counts = { spool: 0, archive: 0 };
  const cursor = { spool: 0, archive: 0 };
  let missing = 0;
  for (let row = 0; row < messages.length; row++) {
    const uid = messages.uids[row] ?? 0;
    const state = messages.states[row] ?? 0;
    while ((here.spool[cursor.spool] ?? Infinity) < uid) cursor.spool += 1;
    while ((here.archive[cursor.archive] ?? Infinity) < uid) cursor.archive += 1;
    const inSpool = here.spool[cursor.spool] === uid;
    const inArchive = here.archive[cursor.archive] === uid;
    const unlisted = inSpool || inArchive ? undefined : unlistedSide(state, input);
    if (unlisted !== undefined) {
      if ((state & MESSAGE.unlinked) === 0) rows[unlisted][counts[unlisted]++] = row;
      continue;
    }
    if (inSpool) rows.spool[counts.spool++] = row;
    if (inArchive) rows.archive[counts.archive++] = row;
    if (inSpool || inArchive) {
      if ((state & MESSAGE.unlinked) !== 0) collector.tally("MS09", { uid });
      checkSide(uid, { state, inSpool, inArchive, input, collector });
    } else if ((state & MESSAGE.unlinked) === 0) {
      const expunged = (state & MESSAGE.expunged) !== 0;
      const folder = (state & MESSAGE.archived) !== 0 ? input.paths.archive : undefined;
      const path = join(folder ?? input.paths.data, `${uid}.`);
      collector.add("MS01", { uid, path }, { expunged });
      missing += 1;
    }
  }
  return {
    missing,
    spool: rows.spool.subarray(0, counts.spool),
    archive: rows.archive.subarray(0, counts.archive),
  };
}

/** The folder that cannot be listed and in which the message should lie, or may. */
function unlistedSide(
  state: number,
  { paths, spool, archive }: ListingInput,
): "spool" | "archive" | undefined {
  const isArchived = paths.archive !== undefined && (state & MESSAGE.archived) !== 0;
  const sides = isArchived ? (["archive", "spool"] as const) : (["spool", "archive"] as const);
  const listings = { spool, archive };
  return sides.find((side) => listings[side]?.state === "unreadable");
}

/** MS10: where the archive is a partition of its own, the ARCHIVED bit says where the file lies. */
function checkSide(
  uid: number,
  side: {
    readonly state: number;
    readonly inSpool: boolean;
    readonly inArchive: boolean;
    readonly input: ListingInput;
    readonly collector: Collector;
  },
): void {
  const { state, inSpool, inArchive, input, collector } = side;
  if (input.paths.archive === undefined || (state & MESSAGE.needsCleanup) !== 0) return;
  if (inSpool && inArchive) {
    const other = join(input.paths.archive, `${uid}.`);
    const path = join(input.paths.data, `${uid}.`);
    if ((state & MESSAGE.archived) !== 0) {
      collector.add("MS10", { uid, path }, { what: "both", other });
    } else {
      collector.add("MS10", { uid, path: other }, { what: "left_in_archive", other: path });
    }
    return;
  }
  const archived = (state & MESSAGE.archived) !== 0;
  if (archived !== inArchive) {
    const path = join(inArchive ? input.paths.archive : input.paths.data, `${uid}.`);
    const what = archived ? "archived_in_spool" : "in_archive";
    collector.add("MS10", { uid, path }, { what });
  }
}

/** Message files that no record names: MS06, MS07. */
function checkOrphans(
  folder: string,
  uids: Uint32Array,
  context: { messages: MessageTable; input: ListingInput; collector: Collector },
): void {
  const { messages, input, collector } = context;
  const { lastUid, expungedUids, gaps } = input;
  let row = 0;
  let expunged = 0;
  let gap = 0;
  for (const uid of uids) {
    while (row < messages.length && (messages.uids[row] ?? 0) < uid) row += 1;
    while ((expungedUids[expunged] ?? Infinity) < uid) expunged += 1;
    if (messages.uids[row] === uid && row < messages.length) continue;
    if (expungedUids[expunged] === uid) continue;
    while ((gaps[gap]?.last ?? Infinity) < uid) gap += 1;
    if ((gaps[gap]?.first ?? Infinity) <= uid) continue;
    const path = join(folder, `${uid}.`);
    if (lastUid !== undefined && uid <= lastUid) {
      collector.add("MS06", { uid, path }, { inArchive: folder === input.paths.archive });
    } else if (input.ageSeconds(path) > HOUR_SECONDS) collector.add("MS07", { uid, path });
  }
}

const HOUR_SECONDS = 60 * 60;
const DAY_SECONDS = 24 * 60 * 60;
/** Files of Cyrus' own in a mailbox folder, except those that are just being written. */
const CYRUS_FILES = /^cyrus\.(header|index|cache|annotations|squat|dav|seen|lock)$/;

/** Entries that are neither messages nor Cyrus' own: MS08, TM01, EX01. */
function checkFolder(
  folder: string,
  context: { listing: FolderListing; input: ListingInput; collector: Collector },
): void {
  const { listing, input, collector } = context;
  if (listing.state === "unreadable") {
    collector.add("PM01", { path: folder }, { what: "folder", errno: listing.errno });
  }
  if (listing.state !== "listed") return;
  for (const entry of listing.others) {
    const path = join(folder, entry.name);
    const code = codeOf(entry, input.nowSeconds);
    if (code === "MS08") {
      const isHidden = entry.name.startsWith(".");
      collector.add("MS08", { path }, { what: "entry", kind: entry.kind, isHidden });
    } else if (code !== undefined) {
      collector.add(code, { path });
    }
  }
}

function codeOf(entry: OtherEntry, nowSeconds: number): "MS08" | "EX01" | "TM01" | undefined {
  if (entry.kind !== "file") return "MS08";
  if (CYRUS_FILES.test(entry.name)) return undefined;
  if (entry.name === "cyrus.expunge") return "EX01";
  if (/^cyrus\..+\.NEW$/.test(entry.name)) {
    return nowSeconds - entry.stat.mtimeMs / 1000 > DAY_SECONDS ? "TM01" : undefined;
  }
  return "MS08";
}
