/** Checks archives of backups, one after the other, with the states that lie beside them. */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { stampAt } from "../../core/file_stamp.ts";
import { pushAll } from "../../core/lists.ts";
import { inboxOf, type Owner } from "../../model/names.ts";
import { lostArchive } from "../../places/backup/read/lost_archives.ts";
import { ownerOfArchive, realOf } from "../../places/backup/read/open_backup.ts";
import { STATE_FILE } from "../../places/backup/state/open_state.ts";
import { readState } from "../../places/backup/state/read_state.ts";
import { flawOfState, hasTable } from "../../places/backup/state/state_flaw.ts";
import { DATA_FILE, dataFilesIn } from "../../places/backup_locator.ts";
import { statOf } from "../../storage/disk.ts";
import { sqliteError } from "../../storage/sqlite.ts";
import { type Finding, finding, placed } from "../finding.ts";
import { type ArchiveCheck, type ArchiveReport, checkArchive } from "./check_archive.ts";
import {
  checkMembers,
  chooseMembers,
  membersOf,
  type Sample,
  type Sampled,
} from "./sample_archive.ts";

/** Looks at an archive that is written to again and again meanwhile. */
const MOST_LOOKS = 5;

export interface ArchivesCheck {
  /** Says by its internal name whether a mailbox is to be checked; undefined: all are. */
  readonly wanted: ((name: string) => boolean) | undefined;
  readonly onRead: (files: number, bytes: number) => void;
  /** Only some members of each archive; all where left out. */
  readonly sample?: SampleCheck | undefined;
}

export interface SampleCheck extends Sample {
  /** Told of each archive, by its folder. */
  readonly told: (folder: string, sampled: Sampled) => void;
}

export interface ArchivesReport {
  readonly findings: readonly Finding[];
  readonly unstable: number;
  readonly counts: {
    readonly mailboxes: number;
    readonly records: number;
    readonly messagesRead: number;
  };
}

/** Throws AppError (io). An archive in which nothing can be read is a finding. */
export async function checkArchives(
  folders: readonly string[],
  { wanted, onRead, sample }: ArchivesCheck,
): Promise<ArchivesReport> {
  const findings: Finding[] = [];
  const counts = { mailboxes: 0, records: 0, messagesRead: 0 };
  for (const folder of folders) {
    const report = await settledReport(folder, { wanted, onRead, sample });
    if (report === undefined) continue;
    pushAll(findings, report.findings);
    counts.mailboxes += report.mailboxes;
    counts.records += report.messages;
    counts.messagesRead += report.messages;
  }
  return { findings, unstable: 0, counts };
}

/** Without a state that knows the members all of the archive is read. */
async function checkSample(
  folder: string,
  { sample, ...check }: ArchiveCheck & { readonly sample: SampleCheck },
): Promise<ArchiveReport> {
  const { state, size } = check;
  const all = typeof state === "string" ? [] : membersOf(state, size);
  if (typeof state === "string" || all.length === 0) {
    const report = await checkArchive(check);
    sample.told(folder, { members: undefined, ofMembers: 0, bytes: size, ofBytes: size });
    return report;
  }
  const members = chooseMembers(all, sample);
  const report = await checkMembers(members, { ...check, state });
  sample.told(folder, {
    ...{ members: members.map(({ coffset }) => coffset), ofMembers: all.length },
    bytes: members.reduce((sum, { coffset, end }) => sum + end - coffset, 0),
    ofBytes: size,
  });
  return report;
}

/** A look that found flaws is taken again where a run or a compaction was at work meanwhile. */
async function settledReport(
  folder: string,
  check: ArchivesCheck,
): Promise<ArchiveReport | undefined> {
  const stamp = () => stampAt(join(folder, STATE_FILE));
  for (let look = 1; ; look++) {
    const before = stamp();
    const isLast = () => look === MOST_LOOKS || stamp() === before;
    try {
      const report = await reportOn(folder, check);
      if (report === undefined || report.findings.length === 0 || isLast()) return report;
    } catch (error) {
      if (isLast()) throw error; // else the data file may have been the one before a compaction
    }
  }
}

/** Undefined for an archive that nobody wants to be checked. */
async function reportOn(
  folder: string,
  { wanted, onRead, sample }: ArchivesCheck,
): Promise<ArchiveReport | undefined> {
  const lost = lostArchive(folder);
  if (lost !== undefined) {
    const damage = finding("BK01", { path: folder }, { why: lost.message, coffset: 0 });
    return { findings: [damage], mailboxes: 0, messages: 0 };
  }
  const { state, size, path } = stateBeside(folder);
  try {
    const database = typeof state === "string" ? new Database(":memory:") : state;
    const owner = ownerOfArchive(folder, database);
    if (wanted !== undefined && !isWanted(owner, wanted)) return undefined;
    const check = { owner, path, state, size, onRead };
    const report = await (sample === undefined
      ? checkArchive(check)
      : checkSample(folder, { ...check, sample }));
    const whose = owner.kind === "user" ? { userid: owner.userid } : {};
    return { ...report, findings: report.findings.map((one) => placed(one, whose)) };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "bad_data") throw error;
    const damage = finding("BK01", { path }, { why: error.message, coffset: 0 });
    return { findings: [damage], mailboxes: 0, messages: 0 };
  } finally {
    if (typeof state !== "string") state.close();
  }
}

function isWanted(owner: Owner, wanted: (name: string) => boolean): boolean {
  if (owner.kind === "shared") return wanted(owner.toplevel);
  return wanted(inboxOf(owner.userid, { virtualDomains: true }));
}

interface StateBeside {
  /** Or why there is none. */
  readonly state: Database | string;
  /** Of the data file, and how many bytes of it count. */
  readonly path: string;
  readonly size: number;
}

interface StatusRow {
  readonly filename: string;
  readonly size: number;
}

function stateBeside(folder: string): StateBeside {
  const newest = join(folder, dataFilesIn(folder).at(-1) ?? "");
  const newestPath = realOf(newest) ?? newest;
  const without = (state: string): StateBeside => {
    return { state, path: newestPath, size: statOf(newestPath)?.size ?? 0 };
  };
  const file = join(folder, STATE_FILE);
  const stat = statOf(file);
  if (stat === undefined) return without("no state lies beside the archive");
  if (!stat.isFile()) return without("what lies in the place of the state is no file");
  let state: Database | undefined;
  try {
    state = readState(file);
    const flaw = flawOfState(state);
    if (flaw !== undefined) {
      state.close();
      return without(`the state cannot be used: ${flaw}`);
    }
    const sql = "SELECT filename, size FROM status";
    const row = hasTable(state, "status") ? state.query<StatusRow, []>(sql).get() : null;
    const path =
      row && DATA_FILE.test(row.filename) ? realOf(join(folder, row.filename)) : undefined;
    const size = path === undefined ? undefined : statOf(path)?.size;
    const isThere = row !== null && path !== undefined && size !== undefined;
    if (isThere && size >= row.size) return { state, path, size: row.size };
    state.close();
    if (!isThere) return without("the state is of another archive, or of none");
    return without(`the archive has ${size} bytes, and its state is of ${row.size}`);
  } catch (error) {
    state?.close();
    const known = sqliteError(error, file);
    if (known instanceof AppError) return without(`the state cannot be read: ${known.message}`);
    if (error instanceof Error && error.name === "SQLiteError") {
      return without(`the state cannot be read: ${error.message}`);
    }
    throw error;
  }
}
