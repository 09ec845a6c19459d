/**
 * Finds the folders of mailboxes below a spool: by uniqueid, by name with or without hashing,
 * deleted ones, those of domains. Nothing is assumed of the layout: a folder that holds cyrus.*
 * files or messages is a mailbox, wherever it lies. A link to a folder outside of the spool is
 * followed, as Cyrus does; whatever is not looked into is told, never passed over.
 */
import {
  type Dirent,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { AppError, errnoOf, isAbsence } from "../../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../../core/limits.ts";
import type { PartitionRoots } from "../mailbox/mailbox_files.ts";

/** What is found below a spool. */
export type WalkStep =
  | { readonly kind: "mailbox"; readonly relative: string }
  /** `stage./` and `sync./` of a partition, where deliveries and replication put files first. */
  | { readonly kind: "staging"; readonly relative: string }
  /** A folder of the archive whose messages belong to no mailbox: Cyrus 3.0 to 3.6 leaves them. */
  | { readonly kind: "leftover"; readonly relative: string; readonly path: string }
  | ({ readonly kind: "unreadable" } & UnreadableFolder)
  /** What stands where only the folder of a mailbox would have its name. */
  | ({ readonly kind: "misplaced"; readonly inMailbox: boolean } & UnreadableFolder);

/** A folder that was not looked into: mailboxes may lie in it and below. */
export interface UnreadableFolder {
  /** Below the roots. */
  readonly relative: string;
  /** Where it lies; the roots have many folders of one relative path. */
  readonly path: string;
  /** The errno, or what else keeps Bobbin out. */
  readonly errno: string;
}

const MAILBOX_FILE = /^(cyrus\.(header|index|cache|annotations|expunge)|[0-9]+\.)$/;
/** Files that Cyrus keeps in the folder of a mailbox: none of them is a folder or a link to one. */
const FILE_NAME = /^(cyrus\..+|[0-9]+\.)$/;
/** The folder that a file system makes for itself in its root. */
const LOST_AND_FOUND = "lost+found";

/**
 * Every folder of a mailbox below the roots, parents before children, names in byte order. The
 * roots of meta files and of the archive are walked too: a mailbox may have all of its messages in
 * the archive, or have lost its folder in one partition.
 */
export function* walkMailboxes(roots: PartitionRoots): Generator<WalkStep> {
  const tops = rootsIn(roots);
  /** Folders that are walked with all that lies below them: the roots, and targets of links. */
  const walked = tops.flatMap((top) => realPath(top) ?? []);
  const pending = [{ relative: "", depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { relative, depth } = next;
    const children = new Set<string>();
    const misplaced: UnreadableFolder[] = [];
    let isMailbox = false;
    let leftover: string | undefined;
    for (const top of tops) {
      const path = join(top, relative);
      const own = new Set<string>();
      const seen = lookInto(path, { children: own, walked });
      if (seen.other !== undefined && relative !== "") {
        yield { kind: "unreadable", relative, path, errno: seen.other };
        continue;
      }
      for (const name of own) children.add(name);
      const isLeftover = top === roots.archive && top !== roots.data && !seen.hasIndex;
      if (seen.isMailbox && isLeftover) leftover = path;
      else isMailbox ||= seen.isMailbox;
      for (const { name, type } of seen.misplaced) {
        // But for domains, a mailbox never has a dot in the name of its folder.
        if (name.includes(".") && !relative.startsWith("domain/")) continue;
        const place = { relative: join(relative, name), path: join(path, name) };
        misplaced.push({ ...place, errno: `it is a ${type}, no folder` });
      }
      const closedLinks = seen.closed.toSorted((one, two) => (one.name < two.name ? -1 : 1));
      for (const { name, errno } of closedLinks) {
        const closed = { relative: join(relative, name), path: join(path, name), errno };
        yield { kind: "unreadable", ...closed };
      }
      const isRoot = relative === "" && top === roots.data;
      const errno = seen.errno ?? (seen.isMissing && isRoot ? "ENOENT" : undefined);
      const isSystems = relative === LOST_AND_FOUND && errno === "EACCES";
      if (errno !== undefined && !isSystems) yield { kind: "unreadable", relative, path, errno };
    }
    if (isMailbox) yield { kind: "mailbox", relative };
    else if (leftover !== undefined) yield { kind: "leftover", relative, path: leftover };
    for (const one of misplaced) yield { kind: "misplaced", inMailbox: isMailbox, ...one };
    const below = [...children].sort().reverse();
    for (const name of below) {
      const child = join(relative, name);
      const closed = { relative: child, path: join(roots.data, child) };
      if (relative === "" && (name === "stage." || name === "sync.")) {
        yield { kind: "staging", relative: child };
      } else if (name.includes("\u{fffd}")) {
        yield { kind: "unreadable", ...closed, errno: "the name is not UTF-8" };
      } else if (depth + 1 > DEFAULT_LIMITS.folderDepth) {
        yield { kind: "unreadable", ...closed, errno: "too many folders inside each other" };
      } else {
        pending.push({ relative: child, depth: depth + 1 });
      }
    }
  }
}

/** The folders that hold mailboxes of the partition. */
export function rootsIn({ data, archive, meta = {}, anyMeta }: PartitionRoots): readonly string[] {
  const tops = new Set([data, archive, anyMeta, ...Object.values(meta)]);
  return [...tops].filter((top) => top !== undefined);
}

interface Look {
  readonly isMailbox: boolean;
  /** It has cyrus.header or cyrus.index. */
  readonly hasIndex?: boolean;
  readonly isMissing?: true;
  /** What it is besides: the root of another place, which is not walked as a part of this one. */
  readonly other?: string;
  /** Why the folder cannot be read. */
  readonly errno?: string;
  /** Links in it that are not followed. */
  readonly closed: readonly { readonly name: string; readonly errno: string }[];
  /** What neither is a folder, nor leads to one, nor is called like a file of a mailbox. */
  readonly misplaced: readonly Pick<Entry, "name" | "type">[];
}

interface Walk {
  /** Is given the names of the subfolders. */
  readonly children: Set<string>;
  /** Real paths; a link that is followed adds its own. */
  readonly walked: string[];
}

/** What only the root of a place holds. No mailbox is called so: its name would end with a dot. */
const ROOT_OF: Readonly<Record<string, string>> = {
  "bobbin.json": "it is a store, a place of its own",
  "stage.": "it is a partition of a server, a place of its own",
  "sync.": "it is a partition of a server, a place of its own",
};

/** Tells whether a folder is a mailbox, and what folders lie in it. */
function lookInto(folder: string, { children, walked }: Walk): Look {
  const closed: { name: string; errno: string }[] = [];
  const misplaced: Pick<Entry, "name" | "type">[] = [];
  const without = { isMailbox: false, closed, misplaced } as const;
  try {
    const stat = statSync(folder, { throwIfNoEntry: false });
    if (stat === undefined) return { ...without, isMissing: true };
    if (!stat.isDirectory()) return { ...without, errno: "ENOTDIR" };
    let [isMailbox, hasIndex] = [false, false];
    let other: string | undefined;
    for (const { name, type } of entriesOf(folder, { isLeaf: stat.nlink === 2 })) {
      const isFolder = type === "folder";
      isMailbox ||= !isFolder && MAILBOX_FILE.test(name);
      if (Object.hasOwn(ROOT_OF, name)) other ??= ROOT_OF[name];
      hasIndex ||= name === "cyrus.header" || name === "cyrus.index";
      // No mailbox begins with a dot: snapshots of filesystems do, and what a store keeps for
      // itself.
      if (name.startsWith(".")) continue;
      if (isFolder) children.add(name);
      if (children.has(name) || FILE_NAME.test(name)) continue;
      if (type !== "link") {
        misplaced.push({ name, type });
        continue;
      }
      const errno = followLink(join(folder, name), walked);
      if (errno === "followed") children.add(name);
      else if (errno === undefined) misplaced.push({ name, type });
      else closed.push({ name, errno });
    }
    return { isMailbox, hasIndex, closed, misplaced, ...(other !== undefined && { other }) };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    // ENOTDIR: something above it is no folder, of which the walk has told.
    return isAbsence(error) ? { ...without, isMissing: true } : { ...without, errno };
  }
}

interface Entry {
  readonly name: string;
  readonly type: "folder" | "link" | "file" | "FIFO" | "socket" | "device";
}

/**
 * The entries of a folder. One without subfolders (`isLeaf`) has a link count of 2 on most file
 * systems; then only what is not called like a file of a mailbox can be a link to a folder.
 */
function* entriesOf(folder: string, { isLeaf }: { readonly isLeaf: boolean }): Generator<Entry> {
  if (!isLeaf) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const { name } = entry;
      // Some file systems do not tell the type of an entry in the listing.
      const type = typeOf(entry) ?? typeAt(join(folder, name));
      if (type !== undefined) yield { name, type };
    }
    return;
  }
  for (const name of readdirSync(folder)) {
    const type = FILE_NAME.test(name) ? "file" : typeAt(join(folder, name));
    if (type !== undefined) yield { name, type };
  }
}

/** The type of what lies at a path; undefined for what has gone since it was listed. */
function typeAt(path: string): Entry["type"] | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat && typeOf(stat);
}

function typeOf(entry: Dirent | Stats): Entry["type"] | undefined {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "folder";
  if (entry.isSymbolicLink()) return "link";
  if (entry.isFIFO()) return "FIFO";
  if (entry.isSocket()) return "socket";
  return entry.isBlockDevice() || entry.isCharacterDevice() ? "device" : undefined;
}

/**
 * Whether a link leads to a folder that is to be walked; otherwise why it is not, or undefined for
 * a link to a file. Where its target lies in what is walked anyway, or holds that, the same
 * mailboxes would be met again under other names, or without end.
 */
function followLink(path: string, walked: string[]): "followed" | string | undefined {
  try {
    if (!statSync(path).isDirectory()) return undefined;
    const target = realpathSync(path);
    const other = walked.find((one) => isWithin(one, target) || isWithin(target, one));
    if (other !== undefined) return `a link to ${target}, which is no folder outside of ${other}`;
    walked.push(target);
    return "followed";
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return `${errno}, a link to ${linkText(path)}`;
  }
}

function linkText(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    return errnoOf(error) ?? String(error); // it was a link a moment ago
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // reading the folder tells what is wrong with it
  }
}

/** True where `inner` is the folder `outer`, or lies below it. */
function isWithin(outer: string, inner: string): boolean {
  return `${inner}/`.startsWith(outer === "/" ? outer : `${outer}/`);
}

/** Throws AppError where the data root of a spool cannot be read. */
export function requireRoot({ data: path }: PartitionRoots): void {
  try {
    readdirSync(path);
  } catch (error) {
    const code = isAbsence(error) ? "not_found" : "io";
    throw new AppError(code, `Cannot read folder ${path}: ${errnoOf(error) ?? String(error)}`, {
      cause: error,
      ...(code === "not_found" && {
        hint: "Give the folder of a partition, of one mailbox, or the imapd.conf of the server",
      }),
    });
  }
}
