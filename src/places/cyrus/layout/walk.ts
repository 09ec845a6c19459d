/**
 * Finds the folders of mailboxes below a spool: by uniqueid, by name with or without hashing,
 * deleted ones, those of domains. Nothing is assumed of the layout: a folder that holds cyrus.*
 * files or messages is a mailbox, wherever it lies. Links are never followed.
 */
import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AppError, type ErrorCode, errnoOf } from "../../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import type { PartitionRoots } from "../mailbox/mailbox_files.ts";

/** What is found below a spool. */
export type WalkStep =
  | { readonly kind: "mailbox"; readonly relative: string }
  /** `stage./` and `sync./` of a partition, where deliveries and replication put files first. */
  | { readonly kind: "staging"; readonly relative: string }
  | { readonly kind: "unreadable"; readonly relative: string; readonly errno: string };

const MAILBOX_FILE = /^(cyrus\.(header|index|cache|annotations|expunge)|[0-9]+\.)$/;

/**
 * Every folder of a mailbox below the roots, parents before children, names in byte order. The
 * roots of meta files and of the archive are walked too: a mailbox may have all of its messages in
 * the archive, or have lost its folder in one partition. Throws AppError when the data root itself
 * cannot be read.
 */
export function* walkMailboxes(roots: PartitionRoots): Generator<WalkStep> {
  const tops = [...new Set([roots.data, roots.archive, ...Object.values(roots.meta ?? {})])].filter(
    (top) => top !== undefined,
  );
  requireFolder(roots.data);
  const pending = [{ relative: "", depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { relative, depth } = next;
    const children = new Set<string>();
    let isMailbox = false;
    for (const top of tops) {
      const seen = lookInto(join(top, relative), children);
      isMailbox ||= seen.isMailbox;
      if (seen.errno !== undefined) yield { kind: "unreadable", relative, errno: seen.errno };
    }
    if (isMailbox) yield { kind: "mailbox", relative };
    const below = [...children].sort().reverse();
    for (const name of below) {
      const child = relative === "" ? name : `${relative}/${name}`;
      if (relative === "" && (name === "stage." || name === "sync.")) {
        yield { kind: "staging", relative: child };
      } else if (name.includes("\u{fffd}")) {
        yield { kind: "unreadable", relative: child, errno: "the name is not UTF-8" };
      } else if (depth + 1 > DEFAULT_LIMITS.folderDepth) {
        yield { kind: "unreadable", relative: child, errno: "too many folders inside each other" };
      } else {
        pending.push({ relative: child, depth: depth + 1 });
      }
    }
  }
}

interface Look {
  readonly isMailbox: boolean;
  readonly errno?: string;
}

/**
 * Tells whether a folder is a mailbox, and adds its subfolders to `children`. A folder without
 * subfolders has a link count of 2 on most file systems; then the long listing of a mailbox is not
 * read.
 */
function lookInto(folder: string, children: Set<string>): Look {
  try {
    const stat = lstatSync(folder);
    if (!stat.isDirectory()) return { isMailbox: false };
    if (stat.nlink === 2 && exists(join(folder, "cyrus.index"))) return { isMailbox: true };
    let isMailbox = false;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      // No mailbox begins with a dot: snapshots of filesystems do, and what a store keeps for
      // itself.
      if (isFolder(folder, entry)) {
        if (!entry.name.startsWith(".")) children.add(entry.name);
        continue;
      }
      isMailbox ||= MAILBOX_FILE.test(entry.name);
    }
    return { isMailbox };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno === "ENOENT" ? { isMailbox: false } : { isMailbox: false, errno };
  }
}

/** True for a folder. Some file systems do not tell the type of an entry in the listing. */
function isFolder(folder: string, entry: Dirent): boolean {
  if (entry.isDirectory()) return true;
  const known = entry.isFile() || entry.isSymbolicLink() || entry.isFIFO() || entry.isSocket();
  if (known || entry.isBlockDevice() || entry.isCharacterDevice()) return false;
  return lstatSync(join(folder, entry.name), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const ROOT_ERRORS: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not_found",
  ENOTDIR: "not_found",
  EACCES: "refused",
  EPERM: "refused",
};

function requireFolder(path: string): void {
  try {
    readdirSync(path);
  } catch (error) {
    const errno = errnoOf(error);
    const code = ROOT_ERRORS[errno ?? ""] ?? "io";
    throw new AppError(code, `Cannot read folder ${path}: ${errno ?? String(error)}`, {
      cause: error,
      hint: "Give the folder of a partition, of one mailbox, or the imapd.conf of the server",
    });
  }
}
