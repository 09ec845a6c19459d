/** Checks archives of backups, one after the other, with the states that lie beside them. */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { pushAll } from "../../core/lists.ts";
import { inboxOf, type Owner } from "../../model/names.ts";
import { ownerOfArchive, realOf } from "../../places/backup/read/open_backup.ts";
import { STATE_FILE } from "../../places/backup/state/open_state.ts";
import { flawOfState } from "../../places/backup/state/state_flaw.ts";
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
    const { state, size, path } = stateBeside(folder);
    try {
      const database = typeof state === "string" ? new Database(":memory:") : state;
      const owner = ownerOfArchive(folder, database);
      if (wanted !== undefined && !isWanted(owner, wanted)) continue;
      const check = { owner, path, state, size, onRead };
      const report = await (sample === undefined
        ? checkArchive(check)
        : checkSample(folder, { ...check, sample }));
      const whose = owner.kind === "user" ? { userid: owner.userid } : {};
      pushAll(
        findings,
        report.findings.map((one) => placed(one, whose)),
      );
      counts.mailboxes += report.mailboxes;
      counts.records += report.messages;
      counts.messagesRead += report.messages;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "bad_data") throw error;
      findings.push(finding("BK01", { path }, { why: error.message, coffset: 0 }));
    } finally {
      if (typeof state !== "string") state.close();
    }
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
    state = new Database(file, { readonly: true, strict: true });
    const flaw = flawOfState(state);
    if (flaw !== undefined) {
      state.close();
      return without(`the state cannot be used: ${flaw}`);
    }
    const row = state.query<StatusRow, []>("SELECT filename, size FROM status").get();
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
