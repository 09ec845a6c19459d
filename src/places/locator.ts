/**
 * The locator of a place, as the command line takes it: `cyrus:/var/spool/cyrus/mail`,
 * `store:/srv/bobbin`, or a bare path, which is recognised by what lies there.
 */

import { closeSync, existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import { openRegular, startOf } from "../core/files.ts";
import { DUMP_START } from "../formats/sync/dump_line.ts";
import { statOf } from "../storage/disk.ts";
import {
  archivesIn,
  type BackupLocator,
  DATA_FILE,
  isArchive,
  parseBackupPath,
  splitMoment,
} from "./backup_locator.ts";
import { type BackupAddress, isBackupAddress, parseBackupAddress } from "./backupcyrus_address.ts";
import { isSyncAddress, maskPassword, parseSyncAddress, type SyncAddress } from "./sync_address.ts";

export type Locator =
  /** A partition's folder, one mailbox's folder, or an imapd.conf. */
  | { readonly kind: "cyrus"; readonly path: string }
  | { readonly kind: "store"; readonly path: string };

/** Any place: a folder or file on this machine, a sync or backup server, backups or a dump. */
export type PlaceLocator =
  | Locator
  | { readonly kind: "sync"; readonly address: SyncAddress }
  | { readonly kind: "backupcyrus"; readonly address: BackupAddress }
  /** An archive, or a folder of them, which need not be there yet. */
  | ({ readonly kind: "backup" } & BackupLocator)
  /** A file, which need not be there yet; `-` is stdin or stdout. */
  | { readonly kind: "dump"; readonly path: string }
  /** A folder of messages, or a file of them, to be made. */
  | { readonly kind: "eml" | "mbox"; readonly path: string };

/** Kinds whose scheme stands before a path. */
const SCHEMES = ["cyrus", "store", "backup", "dump", "eml", "mbox"] as const;

/** A scheme has at least two letters, so that `c:\\mail` is a path. */
const SCHEME = /^([A-Za-z]{2,}):(.*)$/s;

/**
 * Parses any PLACE. Throws AppError (usage) for a kind that is not known, (not_found) for no path,
 * (refused) where this process may not look.
 */
export function parsePlace(text: string): PlaceLocator {
  if (isSyncAddress(text)) return { kind: "sync", address: parseSyncAddress(text) };
  if (isBackupAddress(text)) return { kind: "backupcyrus", address: parseBackupAddress(text) };
  const [, scheme, rest = ""] = SCHEME.exec(text) ?? [];
  // From a folder that may not be looked into no such path is seen, and a scheme is meant.
  if (scheme === undefined || existsSync(text)) return recognise(text);
  const kind = SCHEMES.find((known) => known === scheme);
  if (kind === undefined) throw noKind(maskPassword(text), scheme);
  if (kind === "backup") return { kind, ...parseBackupPath(rest) };
  if (rest === "") throw new AppError("usage", `Cannot read place ${text}: the path is empty`);
  if (kind === "dump" && rest === "-") return { kind, path: rest };
  const path = resolve(rest);
  return { kind, path: kind === "cyrus" || kind === "store" ? existing(path, kind) : path };
}

/** Parses a PLACE whose files can be looked at. Throws AppError as `parsePlace` does. */
export function parseLocator(text: string): Locator {
  const locator = parsePlace(text);
  if (locator.kind === "cyrus" || locator.kind === "store") return locator;
  throw notHere(maskPassword(text), locator.kind);
}

/**
 * What lies at a path without a scheme, the first of these: a store, by its settings; a mailbox of
 * Cyrus; a file that begins as a dump does; an archive or a folder of archives, by its data files.
 * Any other folder is one of mailboxes, and any other file an imapd.conf.
 */
function recognise(text: string): PlaceLocator {
  const path = resolve(text);
  if (isStore(path)) return { kind: "store", path };
  if (isMailbox(path)) return { kind: "cyrus", path };
  if (isDump(path)) return { kind: "dump", path };
  if (DATA_FILE.test(basename(path)) && isThere(path)) {
    throw new AppError("usage", `Cannot read place ${text}: this file is a part of an archive`, {
      hint: `Give the folder of the archive: ${dirname(path)}`,
    });
  }
  if (hasArchives(splitMoment(path).folder)) return { kind: "backup", ...parseBackupPath(path) };
  return { kind: "cyrus", path: existing(path) };
}

function isStore(path: string): boolean {
  return isThere(join(path, "bobbin.json"));
}

function isMailbox(path: string): boolean {
  return ["cyrus.header", "cyrus.index"].some((name) => isThere(join(path, name)));
}

function isDump(path: string): boolean {
  const opened = openRegular(path);
  if (opened.state !== "open") return false;
  try {
    return startOf(opened.fd, DUMP_START.length) === DUMP_START;
  } finally {
    closeSync(opened.fd);
  }
}

/** False also where one may not look, which whoever reads the folder will be told. */
function hasArchives(path: string): boolean {
  try {
    return archivesIn(path).length > 0;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

function notHere(masked: string, kind: Exclude<PlaceLocator["kind"], Locator["kind"]>): AppError {
  const isRemote = kind === "sync" || kind === "backupcyrus";
  const why = isRemote ? "its files cannot be looked at" : `a ${kind} is no store and no spool`;
  return new AppError("usage", `Cannot use ${masked} here: ${why}`, {
    hint: isRemote
      ? "Run it on that machine; `ls`, `diff` and `replicate` work over the network"
      : "`ls`, `cat`, `diff` and `replicate` read dumps and backups",
  });
}

function noKind(masked: string, scheme: string): AppError {
  const lower = masked.replace(/^[A-Za-z]+/, (letters) => letters.toLowerCase());
  const isLower = isSyncAddress(lower) || SCHEMES.some((known) => known === scheme.toLowerCase());
  const known = [...SCHEMES.map((kind) => `${kind}:PATH`), "sync://USER@HOST"];
  return new AppError(
    "usage",
    `Cannot read place ${masked}: no kind of place is called ${scheme}`,
    {
      hint: isLower
        ? `In small letters: ${lower}`
        : `Known: ${known.join(", ")} (syncs, imap and imaps likewise), or a bare path`,
    },
  );
}

/** The path of a store that is to be made: `PATH` or `store:PATH`. Throws AppError (usage). */
export function newStorePath(text: string): string {
  return pathAs("store", text) ?? refuse(text, "make a store at", "give a folder's path");
}

/**
 * The path of a folder of archives that a backup goes to, which need not be there yet: `PATH` or
 * `backup:PATH`. Throws AppError (usage) where anything else is meant or lies there.
 */
export function backupRootPath(text: string): string {
  const path = pathAs("backup", text) ?? refuse(text, "back up to", "give the path of a folder");
  if (isStore(path)) refuse(text, "back up to", "a store lies there");
  if (isMailbox(path)) refuse(text, "back up to", "a mailbox of Cyrus lies there");
  if (isArchive(path)) refuse(text, "back up to", "this is one archive; name the folder of all");
  return path;
}

/** Undefined where the text is of another kind of place, or empty. */
function pathAs(kind: "store" | "backup", text: string): string | undefined {
  const [, scheme = kind, rest = ""] = SCHEME.exec(text) ?? [undefined, undefined, text];
  return scheme === kind && rest !== "" ? resolve(rest) : undefined;
}

function refuse(text: string, doing: string, why: string): never {
  throw new AppError("usage", `Cannot ${doing} ${maskPassword(text)}: ${why}`);
}

function existing(path: string, kind?: Locator["kind"]): string {
  if (isThere(path)) return path;
  throw new AppError("not_found", `Cannot find place ${path}`, {
    hint:
      kind === "store"
        ? `Make one with \`bobbin store init ${path}\`, or look at the spelling`
        : `Is the path right, and the disk mounted? \`bobbin store init ${path}\` makes a store`,
  });
}

/** False only where nothing is there, be it behind a link. Throws AppError for what is closed. */
function isThere(path: string): boolean {
  return statOf(path, { followsLinks: true }) !== undefined;
}
