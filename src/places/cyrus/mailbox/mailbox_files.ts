/** The paths of the files of one Cyrus mailbox (spool-format 6.4, 6.5). */

import { join } from "node:path";
import { isThere } from "../../../core/files.ts";

/** The roots of a partition. A mailbox has the same relative path below each of them. */
export interface PartitionRoots {
  readonly data: string;
  /** `archivepartition-*`: files of records with the ARCHIVED bit. */
  readonly archive?: string;
  /** `metapartition-*`: cyrus.* files that do not lie with the messages. */
  readonly meta?: Readonly<Partial<Record<MetaFile, string>>>;
  /** A meta partition of which nobody says what lies there: any file does, or with the mail. */
  readonly anyMeta?: string;
}

/** The cyrus.* files that a metapartition can hold. */
export type MetaFile = "header" | "index" | "cache" | "annotations" | "archivecache";

/** Absolute paths of one mailbox's folder and files. */
export interface MailboxPaths {
  /** Path below the partition roots; "" for a place that is itself a mailbox. */
  readonly relative: string;
  readonly data: string;
  readonly archive: string | undefined;
  readonly header: string;
  readonly index: string;
  readonly cache: string;
  readonly archiveCache: string | undefined;
  readonly annotations: string;
}

/** The paths of the mailbox at `relative` below `roots`. */
export function mailboxPaths(roots: PartitionRoots, relative: string): MailboxPaths {
  const { meta, archive, anyMeta } = roots;
  const exists = (root: string, file: string) => isThere(join(root, relative, file));
  const rootOf = (file: string) =>
    anyMeta !== undefined && (exists(anyMeta, file) || !exists(roots.data, file))
      ? anyMeta
      : roots.data;
  const at = (root: string | undefined, file: string) => join(root ?? rootOf(file), relative, file);
  // Cyrus gives both caches one name, so that only one of them can be on a meta partition.
  const holdsArchives =
    anyMeta !== undefined && [anyMeta, roots.data].every((root) => exists(root, "cyrus.cache"));
  return {
    relative,
    data: join(roots.data, relative),
    archive: archive === undefined ? undefined : join(archive, relative),
    header: at(meta?.header, "cyrus.header"),
    index: at(meta?.index, "cyrus.index"),
    cache: at(holdsArchives ? roots.data : meta?.cache, "cyrus.cache"),
    archiveCache:
      archive === undefined
        ? undefined
        : at(holdsArchives ? anyMeta : (meta?.archivecache ?? archive), "cyrus.cache"),
    annotations: at(meta?.annotations, "cyrus.annotations"),
  };
}

/** Where a message's file may lie: spool, then archive. While Cyrus moves it, in both. */
export function messagePaths({ data, archive }: MailboxPaths, uid: number): string[] {
  const folders = archive === undefined ? [data] : [data, archive];
  return folders.map((folder) => join(folder, `${uid}.`));
}
