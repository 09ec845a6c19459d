/**
 * Owners, modes and filesystems: rows PM01 and PM02. Those of messages are seen while they are
 * read.
 */
import type { Stats } from "node:fs";
import type { FileBytes } from "../../core/files.ts";
import type { OpenMailbox } from "../../places/cyrus/mailbox/opened_mailbox.ts";
import type { Collector } from "./collector.ts";

/** Owner and filesystem of the partition's own folder, which its mailboxes should share. */
export interface PartitionOwner {
  readonly uid: number;
  readonly device: number;
}

/** The folder against its partition, and its files against the folder. */
export function checkPermissions(
  mailbox: OpenMailbox,
  partition: PartitionOwner | undefined,
  collector: Collector,
): void {
  const { folder, paths, index } = mailbox;
  if (folder === undefined) return;
  const { path, stat } = folder;
  if (partition !== undefined && stat.uid !== partition.uid) {
    const owners = { expected: partition.uid, found: stat.uid };
    collector.add("PM01", { path }, { what: "folder_owner", ...owners });
  }
  if (!stat.isSymbolicLink()) checkMode(stat, path, collector);
  const device = path === paths.data ? partition?.device : undefined;
  if (device !== undefined && stat.dev !== device) collector.add("PM02", { path });
  checkFile(mailbox.header, paths.header, { folder: stat, collector });
  if (index.state === "open") checkStat(index.stat, paths.index, { folder: stat, collector });
  checkFile(mailbox.annotations, paths.annotations, { folder: stat, collector });
}

function checkFile(
  file: FileBytes,
  path: string,
  { folder, collector }: { readonly folder: Stats; readonly collector: Collector },
): void {
  if (file.state === "read") checkStat(file.stat, path, { folder, collector });
}

function checkStat(
  stat: Stats,
  path: string,
  { folder, collector }: { readonly folder: Stats; readonly collector: Collector },
): void {
  if (stat.uid !== folder.uid) {
    const owners = { expected: folder.uid, found: stat.uid };
    collector.add("PM01", { path }, { what: "file_owner", ...owners });
  }
  checkMode(stat, path, collector);
}

function checkMode(stat: Stats, path: string, collector: Collector): void {
  const mode = stat.mode & 0o777;
  if ((mode & 0o002) !== 0) collector.add("PM01", { path }, { what: "writable", mode });
  else if ((mode & 0o007) !== 0) collector.add("PM01", { path }, { what: "readable", mode });
}
