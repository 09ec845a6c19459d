/**
 * Checks the archive of one owner: the packing, every content against its SHA-1, the files of every
 * mailbox, and the state beside the archive against the archive itself (backup-format.md 5).
 */
import type { Database } from "bun:sqlite";
import { AppError } from "../../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/limits.ts";
import { FOLDER_FILE } from "../../formats/backup/entry_name.ts";
import { internalOfLink } from "../../formats/backup/mailbox_link.ts";
import { parseHeaderFile } from "../../formats/cyrus/header_file.ts";
import type { Owner } from "../../model/names.ts";
import { expectedSha1 } from "../../places/backup/read/archive_entries.ts";
import { EntriesInForce, type LinkInForce } from "../../places/backup/read/entries_in_force.ts";
import { MemberBytes } from "../../places/backup/read/member_bytes.ts";
import { rebuildState } from "../../places/backup/rebuild.ts";
import type { EntryFlaw } from "../../places/backup/state/backup_state.ts";
import { openScratchState } from "../../places/backup/state/open_state.ts";
import { readingOfRaw } from "../../places/raw_mailbox.ts";
import type { Finding } from "../finding.ts";
import { Collector } from "../mailbox/collector.ts";
import { compareStates } from "./compare_states.ts";

export interface ArchiveCheck {
  readonly owner: Owner;
  /** Of the data file. */
  readonly path: string;
  /** The state beside it; or why there is none that can be read. */
  readonly state: Database | string;
  /** Of the data file, the bytes that count: a run may be at work behind them. */
  readonly size: number;
  readonly onRead: (files: number, bytes: number) => void;
  readonly signal?: AbortSignal;
  readonly limits?: Limits;
}

export interface ArchiveReport {
  readonly findings: readonly Finding[];
  readonly mailboxes: number;
  /** Messages in the archive: each was read. */
  readonly messages: number;
}

/** Throws AppError (io). Everything else that is wrong is a finding. */
export async function checkArchive(check: ArchiveCheck): Promise<ArchiveReport> {
  const { path, state, size, limits = DEFAULT_LIMITS } = check;
  const collector = new Collector();
  const rebuilt = openScratchState();
  try {
    const { flaws, damage } = await rebuildState(rebuilt, path, { limits, size });
    if (damage !== undefined) collector.add("BK01", { path }, damage);
    for (const flaw of flaws) noteFlaw(flaw, { check, rebuilt, collector });
    checkLacking(rebuilt, check, collector);
    if (typeof state === "string") collector.add("BK02", { path }, { why: state });
    else for (const row of compareStates(state, rebuilt)) collector.add("BK06", { path }, row);
    const mailboxes = checkMailboxes(rebuilt, check, collector);
    const count = rebuilt.query<{ n: number }, []>("SELECT count(*) AS n FROM files").get();
    const messages = count?.n ?? 0;
    check.onRead(messages, size);
    return { findings: collector.findings(), mailboxes, messages };
  } finally {
    rebuilt.close();
  }
}

interface Noting {
  readonly check: ArchiveCheck;
  readonly rebuilt: Database;
  readonly collector: Collector;
}

function noteFlaw(flaw: EntryFlaw, { check: { path }, rebuilt, collector }: Noting): void {
  switch (flaw.kind) {
    case "unknown":
      collector.add("BK04", { path }, { name: flaw.entry.name });
      return;
    case "unreadable":
      collector.add("BK07", { path: `${path}:${flaw.entry.name}` }, { why: flaw.why });
      return;
    case "damaged": {
      const expected = expectedSha1(flaw.entry) ?? "";
      const sound = "SELECT 1 FROM files WHERE guid = ?";
      const isReplaced = rebuilt.query(sound).get(expected) !== null;
      collector.add("BK03", { path: `${path}:${flaw.entry.name}` }, { expected, isReplaced });
      return;
    }
  }
}

interface LackingRow {
  readonly uniqueid: string;
  readonly uid: number;
  readonly guid: string;
}

/** Messages that the indexes in force list, and that the archive does not hold, or not sound. */
function checkLacking(rebuilt: Database, { path }: ArchiveCheck, collector: Collector): void {
  const sql = "SELECT uniqueid, uid, guid FROM x_lacking JOIN folders USING (folderid)";
  for (const { uniqueid, uid, guid } of rebuilt.query<LackingRow, []>(sql).iterate()) {
    collector.add("BK05", { path: `${path}:folders/${uniqueid}`, uid }, { guid });
  }
}

/** Each mailbox that is in force must have files that can be read, and that are its own. */
function checkMailboxes(rebuilt: Database, check: ArchiveCheck, collector: Collector): number {
  const { path, owner } = check;
  const bytes = new MemberBytes(rebuilt, path);
  try {
    const entries = new EntriesInForce(rebuilt, bytes);
    const links = entries.links();
    for (const link of links) {
      check.signal?.throwIfAborted();
      const mailbox = internalOfLink(link.link, owner);
      const why = mailboxFlaw(entries, link, mailbox);
      if (why !== undefined) collector.add("BK08", { mailbox, path }, { why });
    }
    return links.length;
  } finally {
    bytes.close();
  }
}

function mailboxFlaw(
  entries: EntriesInForce,
  link: LinkInForce,
  mailbox: string,
): string | undefined {
  const files = entries.files(link);
  const fileOf = (name: string) => {
    const file = files.get(name);
    return file && entries.content(file);
  };
  try {
    const header = fileOf(FOLDER_FILE.header);
    const index = fileOf(FOLDER_FILE.index);
    // A name in the tree without a mailbox has no files but the line that says so.
    if (header === undefined && index === undefined && files.has(FOLDER_FILE.state))
      return undefined;
    const annotations = fileOf(FOLDER_FILE.annotations);
    const reading = readingOfRaw(mailbox, { header, index, annotations });
    if (reading.kind === "refused") return reading.text;
    const { uniqueid } = header === undefined ? {} : parseHeaderFile(header);
    if (uniqueid === link.uniqueid || uniqueid === undefined) return undefined;
    return `cyrus.header has the uniqueid ${uniqueid}, and its folder is ${link.uniqueid}`;
  } catch (error) {
    if (error instanceof AppError && error.code === "bad_data") return error.message;
    throw error;
  }
}
