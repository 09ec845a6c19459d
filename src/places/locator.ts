/**
 * The locator of a place, as the command line takes it: `cyrus:/var/spool/cyrus/mail`,
 * `store:/srv/bobbin`, or a bare path, which is recognised by what lies there.
 */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError, errnoOf } from "../core/errors.ts";
import { type BackupLocator, dataFilesIn, parseBackupPath } from "./backup_locator.ts";
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

const KINDS: readonly Locator["kind"][] = ["cyrus", "store"];

/** A scheme has at least two letters, so that `c:\mail` is a path. */
const SCHEME = /^([A-Za-z]{2,}):(.*)$/s;

const DUMP = /^dump:(.*)$/s;
const BACKUP = /^backup:(.*)$/s;
const MAIL_FILES = /^(eml|mbox):(.+)$/s;

/**
 * Parses any PLACE. Throws AppError (usage) for a kind that is not known, (not_found) for no path.
 */
export function parsePlace(text: string): PlaceLocator {
  if (isSyncAddress(text)) return { kind: "sync", address: parseSyncAddress(text) };
  if (isBackupAddress(text)) return { kind: "backupcyrus", address: parseBackupAddress(text) };
  const [, backup] = BACKUP.exec(text) ?? [];
  if (backup !== undefined) return { kind: "backup", ...parseBackupPath(backup) };
  if (isArchive(text)) return { kind: "backup", ...parseBackupPath(resolve(text)) };
  const [, form, files = ""] = MAIL_FILES.exec(text) ?? [];
  if (form === "eml" || form === "mbox") return { kind: form, path: resolve(files) };
  const [, path] = DUMP.exec(text) ?? [];
  if (path === undefined) return parseLocator(text);
  if (path === "") throw new AppError("usage", `Cannot read place ${text}: the path is empty`);
  return { kind: "dump", path: path === "-" ? path : resolve(path) };
}

/**
 * Parses a PLACE on this machine. Throws AppError (usage) for one that is none or lies elsewhere,
 * (not_found) for no path, (refused) where this process may not look.
 */
export function parseLocator(text: string): Locator {
  const [, scheme, rest = ""] = SCHEME.exec(text) ?? [];
  if (scheme === undefined || existsSync(text)) return recognise(resolve(text));
  const kind = KINDS.find((known) => known === scheme);
  const masked = maskPassword(text);
  if (kind === undefined) throw noKind(masked, scheme);
  if (rest === "") throw new AppError("usage", `Cannot read place ${text}: the path is empty`);
  return { kind, path: existing(resolve(rest), kind) };
}

/** True for the path alone of one archive. */
function isArchive(text: string): boolean {
  return (!SCHEME.test(text) || existsSync(text)) && dataFilesIn(resolve(text)).length > 0;
}

function noKind(masked: string, scheme: string): AppError {
  if (isSyncAddress(masked) || isBackupAddress(masked)) {
    return new AppError("usage", `Cannot use ${masked} here: its files cannot be looked at`, {
      hint: "Run it on that machine; `ls`, `diff` and `replicate` work over the network",
    });
  }
  if (scheme === "dump") {
    return new AppError("usage", `Cannot use ${masked} here: a dump is no store and no spool`, {
      hint: "`ls`, `cat`, `diff` and `replicate` read dumps",
    });
  }
  if (scheme === "backup") {
    return new AppError("usage", `Cannot use ${masked} here: a backup is no store and no spool`, {
      hint: "`ls`, `cat`, `diff` and `replicate` read backups",
    });
  }
  const lower = masked.replace(/^[A-Za-z]+/, (letters) => letters.toLowerCase());
  const isLower =
    isSyncAddress(lower) || [...KINDS, "backup", "dump"].includes(scheme.toLowerCase());
  const known = [
    ...KINDS.map((kind) => `${kind}:PATH`),
    "backup:PATH",
    "dump:FILE",
    "sync://USER@HOST",
  ];
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
  const [, scheme = "store", rest = ""] = SCHEME.exec(text) ?? [undefined, undefined, text];
  if (scheme === "store" && rest !== "") return resolve(rest);
  throw new AppError("usage", `Cannot make a store at ${maskPassword(text)}: give a folder's path`);
}

function recognise(path: string): Locator {
  const isStore = isThere(join(existing(path), "bobbin.json"));
  return { kind: isStore ? "store" : "cyrus", path };
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

/** False only where nothing is there; that one may not look is another matter. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOTDIR") return false;
    throw new AppError("io", `Cannot look at ${path}: ${errno}`, { cause: error });
  }
}
