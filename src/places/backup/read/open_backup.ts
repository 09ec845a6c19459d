/** Opens archives to be read, as of now or of an earlier moment. Nothing is written. */
import type { Database } from "bun:sqlite";
import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { latin1, utf8 } from "../../../core/bytes.ts";
import { plural } from "../../../core/counts.ts";
import { AppError, isAbsence } from "../../../core/errors.ts";
import { stampAt } from "../../../core/file_stamp.ts";
import { FOLDER_FILE } from "../../../formats/backup/entry_name.ts";
import { parseStateLine } from "../../../formats/sync/state_line.ts";
import { type Owner, parseName } from "../../../model/names.ts";
import { diskError, statOf } from "../../../storage/disk.ts";
import { nameOfFolder } from "../../../storage/folder_name.ts";
import { sqliteError } from "../../../storage/sqlite.ts";
import { archivesIn, dataFilesIn, noArchive } from "../../backup_locator.ts";
import { ALL_HELD } from "../../place.ts";
import { HELD_BY_FILES } from "../../raw_mailbox.ts";
import { type Rebuilt, rebuildState } from "../rebuild.ts";
import { openScratchState, STATE_FILE } from "../state/open_state.ts";
import { readState } from "../state/read_state.ts";
import { statusIn } from "../state/state_extent.ts";
import { flawOfState } from "../state/state_flaw.ts";
import { BackupPlace } from "./backup_place.ts";
import { EntriesInForce } from "./entries_in_force.ts";
import { lostArchive, lostArchivesIn } from "./lost_archives.ts";
import { MemberBytes } from "./member_bytes.ts";

/** Compactions that may put another archive in the place of one while it is opened. */
const ATTEMPTS = 5;

export interface ReadBackupOptions {
  /** Milliseconds since 1970: what was in force then. Now if left out. */
  readonly at?: number | undefined;
  /** As a person would write the place. */
  readonly locator: string;
  /** It is looked at as what a run would find, and mend before it begins. */
  readonly isTarget?: boolean;
}

/**
 * The archive in `folder`. Its state is read where it fits the data file; otherwise the archive is
 * read from end to end first. Throws AppError (not_found, io), (bad_data) for a file that is none.
 */
export async function openBackup(folder: string, options: ReadBackupOptions): Promise<BackupPlace> {
  const { locator, at, isTarget = false } = options;
  const state = await openArchiveState(folder);
  const { database, bytes, rebuilt } = state;
  const began = beganIn(database);
  if (at !== undefined && at < began) {
    closeState(state);
    throw nothingThen(locator, { at, began });
  }
  // What a run commits while the archive is read does not count: all that is told is of one moment.
  const end = statusIn(database)?.offset;
  const moment = { ...(at !== undefined && { at }), ...(end !== undefined && { end }) };
  const entries = new EntriesInForce(database, bytes, moment);
  const isOurs = database.query("SELECT 1 FROM x_runs").get() !== null;
  return new BackupPlace({
    ...{ locator, entries, owner: ownerOfArchive(folder, database) },
    isTarget,
    holds: isOurs || isTarget ? ALL_HELD : HELD_BY_FILES,
    damage: isTarget ? undefined : damageOf(locator, rebuilt),
    close: async () => closeState(state),
  });
}

/** When the first entry came into force, in milliseconds since 1970; Infinity where none has. */
function beganIn(database: Database): number {
  const sql = "SELECT min(at) AS began FROM x_entries";
  return database.query<{ began: number | null }, []>(sql).get()?.began ?? Number.POSITIVE_INFINITY;
}

/** The same of an archive that is not open. Throws AppError (not_found, io, bad_data). */
export async function beganAt(folder: string): Promise<number> {
  const state = await openArchiveState(folder);
  try {
    return beganIn(state.database);
  } finally {
    closeState(state);
  }
}

/** The error for a moment before anything was backed up. */
export function nothingThen(
  locator: string,
  { at, began }: { readonly at: number; readonly began: number },
): AppError {
  const [then, first] = [at, began].map((ms) =>
    Number.isFinite(ms) ? new Date(ms).toISOString() : "no time",
  );
  return new AppError(
    "not_found",
    `Cannot read ${locator}: nothing in it is of ${then} or before`,
    {
      hint: `It begins at ${first}`,
    },
  );
}

function damageOf(locator: string, rebuilt: Rebuilt | undefined): string | undefined {
  const { damage, flaws = [] } = rebuilt ?? {};
  if (damage !== undefined) {
    const { coffset, why } = damage;
    return `${locator} is damaged behind byte ${coffset}, and read as far as it can be: ${why}`;
  }
  if (flaws.length === 0) return undefined;
  return `${locator} has ${plural(flaws.length, "entry", "entries")} that cannot be used`;
}

export interface OpenState {
  readonly database: Database;
  readonly bytes: MemberBytes;
  /** Where the state was made by reading the archive. */
  readonly rebuilt?: Rebuilt;
}

function closeState({ database, bytes }: OpenState): void {
  bytes.close();
  database.close();
}

/** The state of the archive in `folder`, made by reading all of it where none fits. */
export async function openArchiveState(folder: string): Promise<OpenState> {
  return openFittingState(folder) ?? (await scanArchive(folder));
}

/** The state beside the archive; undefined where there is none that is whole and says all. */
function openFittingState(folder: string): OpenState | undefined {
  const file = join(folder, STATE_FILE);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = stampAt(file);
    if (statOf(file)?.isFile() !== true) return undefined;
    const found = stateThatFits(folder, file);
    if (found !== undefined || stampAt(file) === before) return found;
  }
  return undefined;
}

function stateThatFits(folder: string, file: string): OpenState | undefined {
  let database: Database | undefined;
  try {
    database = readState(file);
    const isSound = flawOfState(database) === undefined;
    const path = isSound ? fittingData(folder, database) : undefined;
    if (path !== undefined) return { database, bytes: new MemberBytes(database, path) };
  } catch (error) {
    // Upstream's has no tables of ours; and a compaction may just have removed what was there.
    const known = sqliteError(error, file);
    if (!(known instanceof AppError) && !isSqlite(error)) throw error;
  }
  database?.close();
  return undefined;
}

function isSqlite(error: unknown): boolean {
  return error instanceof Error && error.name === "SQLiteError";
}

function fittingData(folder: string, database: Database): string | undefined {
  const status = statusIn(database);
  const path = status && realOf(join(folder, status.filename));
  const size = path === undefined ? -1 : (statOf(path)?.size ?? -1);
  // What lies behind the size is of a run that is at work or was killed: it does not count.
  return status?.saysAll && size >= status.size ? path : undefined;
}

/** Where the data file lies: upstream puts a link to it beside a state in another folder. */
export function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw diskError(error, "look at", path);
  }
}

async function scanArchive(folder: string): Promise<OpenState> {
  const name = dataFilesIn(folder).at(-1);
  const path = name === undefined ? undefined : realOf(join(folder, name));
  if (path === undefined) throw lostArchive(folder) ?? noArchive(folder);
  const database = openScratchState();
  try {
    const rebuilt = await rebuildState(database, path);
    return { database, bytes: new MemberBytes(database, path), rebuilt };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Whose archive lies in a folder by its name; undefined where that is a shortened one. */
export function ownerByFolder(folder: string): Owner | undefined {
  const path = realpathSync(folder);
  const name = basename(path);
  if (name.includes("%~")) return undefined;
  // Upstream names the folder just as the user.
  const whole = nameOfFolder(name) ?? latin1(utf8(name));
  const isShared = basename(dirname(dirname(path))) === "shared";
  return isShared ? { kind: "shared", toplevel: whole } : { kind: "user", userid: whole };
}

/** Whose archive lies in `folder`. Throws AppError (bad_data) where nothing tells. */
export function ownerOfArchive(folder: string, database: Database): Owner {
  return ownerByFolder(folder) ?? ownerByMailboxes(folder, database);
}

/** The same for one that is not open. Throws AppError (not_found, io, bad_data). */
export async function ownerOfFolder(folder: string): Promise<Owner> {
  const known = ownerByFolder(folder);
  if (known !== undefined) return known;
  const { database } = await openArchiveState(folder);
  try {
    return ownerByMailboxes(folder, database);
  } finally {
    database.close();
  }
}

/** The owners of all archives below `root`; none where it is not there. */
export async function* ownersBelow(root: string): AsyncGenerator<Owner, void> {
  for (const folder of [...archivesIn(root), ...lostArchivesIn(root)]) yield ownerOfFolder(folder);
}

/** The owner by the mailboxes in the archive, as Bobbin writes them. */
function ownerByMailboxes(folder: string, database: Database): Owner {
  const line = stateLineIn(database);
  if (line !== undefined) return parseName(parseStateLine(line).name).owner;
  throw new AppError("bad_data", `Cannot tell whose archive lies in ${folder}`);
}

function stateLineIn(database: Database): Uint8Array | undefined {
  const row = database
    .query<{ content: Uint8Array }, { name: string }>(
      "SELECT content FROM x_entries WHERE kind = 'folder' AND name = $name AND content NOTNULL",
    )
    .get({ name: FOLDER_FILE.state });
  return row?.content;
}
