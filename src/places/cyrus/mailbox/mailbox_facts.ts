/** What the files of a mailbox say that the databases of the server say too: fsck compares them. */
import { stampAt } from "../../../core/file_stamp.ts";
import type { HeaderFile } from "../../../formats/cyrus/header_file.ts";
import type { IndexHeader } from "../../../formats/cyrus/index/index_header.ts";
import { readSpool } from "../layout/spool.ts";
import type { ImapdConf } from "../server/imapd_conf.ts";
import type { MailboxPaths } from "./mailbox_files.ts";
import { folderOf, headerFileOf } from "./mailbox_reading.ts";
import { openIndex } from "./opened_mailbox.ts";

export type HeaderFacts = Pick<HeaderFile, "type" | "name" | "uniqueid" | "quotaroot" | "acl">;

export type IndexFacts = Pick<
  IndexHeader,
  | ("minorVersion" | "uidvalidity" | "lastUid" | "highestmodseq" | "options")
  | ("exists" | "quotaMailboxUsed" | "quotaAnnotUsed")
>;

/** A mailbox folder as it lies on disk. Can be sent to and from workers. */
export interface MailboxFacts {
  /** Name of the partition. */
  readonly partition: string;
  /** Path below the roots of the partition. */
  readonly folder: string;
  /** The folder with the messages, or where the spool has none the one with the other files. */
  readonly path: string;
  /** Undefined where cyrus.header is missing or cannot be parsed. */
  readonly header: HeaderFacts | undefined;
  /** Undefined where the header of cyrus.index is missing, or fails its CRC. */
  readonly index: IndexFacts | undefined;
  /** Unix seconds: when an entry of the folder was last added or removed; 0 when it is gone. */
  readonly changedAt: number;
  /** Tells one state of cyrus.header and cyrus.index from another. */
  readonly stamp: string;
}

/** The facts of a mailbox whose files have been read; `readMailboxFacts` reads them. */
function mailboxFacts(
  place: Pick<MailboxFacts, "partition" | "folder" | "path" | "changedAt" | "stamp">,
  header: HeaderFile | undefined,
  index: IndexHeader | undefined,
): MailboxFacts {
  return {
    ...place,
    header: header && {
      type: header.type,
      name: header.name,
      uniqueid: header.uniqueid,
      quotaroot: header.quotaroot,
      acl: header.acl,
    },
    index: index && {
      minorVersion: index.minorVersion,
      uidvalidity: index.uidvalidity,
      lastUid: index.lastUid,
      highestmodseq: index.highestmodseq,
      options: index.options,
      // Before version 12 there were no other records in the file.
      exists: index.minorVersion < 12 ? index.numRecords : index.exists,
      quotaMailboxUsed: index.quotaMailboxUsed,
      quotaAnnotUsed: index.quotaAnnotUsed,
    },
  };
}

/** The mailbox folders of a server, and where there may be more of them. */
export interface ServerFolders {
  readonly mailboxes: readonly MailboxFacts[];
  /** Folders that could not be looked into, by their partitions. */
  readonly unread: readonly { readonly partition: string; readonly folder: string }[];
}

/** Reads the facts of every mailbox of every partition. */
export function readAllFacts(conf: Pick<ImapdConf, "partitions">): ServerFolders {
  const spools = [...conf.partitions].map(
    ([partition, roots]) => [partition, readSpool(roots)] as const,
  );
  return {
    mailboxes: spools.flatMap(([partition, { mailboxes }]) =>
      mailboxes.map((paths) => readMailboxFacts(partition, paths)),
    ),
    unread: spools.flatMap(([partition, { unreadable }]) =>
      unreadable.map(({ relative: folder }) => ({ partition, folder })),
    ),
  };
}

/**
 * Reads cyrus.header and the header of cyrus.index. Returns `before` if neither has changed since.
 */
export function readMailboxFacts(
  partition: string,
  paths: MailboxPaths,
  before?: MailboxFacts,
): MailboxFacts {
  const stamp = [paths.index, paths.header].map((path) => stampAt(path)).join();
  if (before?.stamp === stamp) return before;
  const { path = paths.data, stat } = folderOf(paths) ?? {};
  const changedAt = stat === undefined ? 0 : stat.mtimeMs / 1000;
  const place = { partition, folder: paths.relative, path, changedAt, stamp };
  return mailboxFacts(place, headerFileOf(paths), readIndexHeader(paths.index));
}

/** Undefined without a sound index: the checks of the mailbox itself report that. */
function readIndexHeader(path: string): IndexHeader | undefined {
  const opened = openIndex(path);
  if (opened.state !== "open") return undefined;
  opened.close();
  const { header, storedCrcs: crcs } = opened.image;
  return crcs?.stored === crcs?.computed ? header : undefined;
}
