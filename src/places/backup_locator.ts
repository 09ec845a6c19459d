/**
 * Where backups lie: `backup:/srv/backup/f/fred`, or `backup:/srv/backup` for all that lie there,
 * and with `@2026-11-20T08:00:00Z` behind it as they were at that moment.
 */
import { basename, join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import { isThere } from "../core/files.ts";
import { foldersIn, namesIn } from "../storage/disk.ts";

export interface BackupLocator {
  /** Absolute. */
  readonly path: string;
  /** Milliseconds since 1970; now if absent. */
  readonly at?: number;
  /** As an administrator would write it. */
  readonly text: string;
}

/** The data file of an archive; the number is when it was begun or compacted, in Unix seconds. */
export const DATA_FILE = /^backupdata-\d+\.tar(\.gz)?$/;

/** The names of the data files in a folder, the newest last. */
export function dataFilesIn(folder: string): string[] {
  return namesIn(folder).filter((name) => DATA_FILE.test(name));
}

/** True for the folder of one archive, and false for one in which archives lie. */
export function isArchive(folder: string): boolean {
  return dataFilesIn(folder).length > 0;
}

/**
 * The folder of one archive, or all below it: `f/fred`, `shared/l/lists`, or upstream's `fred`.
 * `isOne` says what counts as one.
 */
export function archivesIn(path: string, isOne = isArchive): string[] {
  if (isOne(path)) return [path];
  const below = (folder: string) => foldersIn(folder).map((name) => join(folder, name));
  const hashed = [path, join(path, "shared")].flatMap((top) =>
    below(top).filter((folder) => /^[a-z]$/.test(basename(folder))),
  );
  return [...below(path), ...hashed.flatMap(below)].filter(isOne).sort();
}

/** The error for a folder that was named and has none. */
export function noArchive(folder: string): AppError {
  return new AppError("not_found", `Cannot find an archive in ${folder}`, {
    hint: "Give the folder with a backupdata-….tar.gz, or one in which such folders lie",
  });
}

/** Seconds since 1970, or a date, which is its beginning, or date and time; in UTC without zone. */
const MOMENT =
  /^(?:\d{9,11}|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)$/i;

/**
 * Parses what follows `backup:`. An @ belongs to the path where such a path is there: user ids have
 * it. Throws AppError (usage) for no path, and for what looks like a moment and is none.
 */
export function parseBackupPath(text: string): BackupLocator {
  if (text === "") throw new AppError("usage", "Cannot read place backup: the path is empty");
  const { folder, moment } = splitMoment(text);
  const path = resolve(folder);
  if (moment === undefined) return { path, text: `backup:${path}` };
  return { path, at: parseMoment(moment), text: `backup:${path}@${moment}` };
}

/** The path in `text`, and what stands behind its @ where that does not belong to the path. */
export function splitMoment(text: string): { readonly folder: string; readonly moment?: string } {
  const split = text.lastIndexOf("@");
  const [folder, moment] = [text.slice(0, split), text.slice(split + 1)];
  const isPlain = split <= 0 || moment.includes("/") || isThere(text);
  return isPlain || (!/^\d/.test(moment) && !isThere(folder))
    ? { folder: text }
    : { folder, moment };
}

function parseMoment(text: string): number {
  const [, zone] = MOMENT.exec(text) ?? [];
  const isTime = text.length > 11 && zone === undefined;
  const at = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(isTime ? `${text}Z` : text);
  if (MOMENT.test(text) && !Number.isNaN(at)) return at;
  throw new AppError("usage", `Cannot read backups as of ${text}: this is no date and no time`, {
    hint: "Like @2026-11-20 (its beginning, in UTC), @2026-11-20T08:00:00+01:00, or @1795132800",
  });
}
