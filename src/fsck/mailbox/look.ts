/**
 * One look at one mailbox: everything that its index, header, cache, annotations and folder
 * listings say of each other. A message is opened only where the cache says something odd of it.
 */
import { FormatError } from "../../core/errors.ts";
import type { FileBytes } from "../../core/files.ts";
import type { HeaderFile } from "../../formats/cyrus/header_file.ts";
import { hasBit, INTERNAL_FLAG } from "../../formats/cyrus/index/index_flags.ts";
import { IndexImage } from "../../mailbox/index_image.ts";
import { hasMessage, type MessageTable } from "../../mailbox/message_table.ts";
import { useridOf } from "../../model/names.ts";
import { fileAge, listMailbox } from "../../places/cyrus/mailbox/mailbox_reading.ts";
import type { OpenMailbox } from "../../places/cyrus/mailbox/opened_mailbox.ts";
import type { Finding } from "../finding.ts";
import { checkAnnotationsFile, checkMessageAnnotations } from "./check_annotations.ts";
import { CacheCheck } from "./check_cache.ts";
import { checkHeaderFile, checkHeaderFileCrc } from "./check_header_file.ts";
import { checkIndexHeader, checkIndexOpening, checkSums } from "./check_index_header.ts";
import { checkListing, type PresentFiles } from "./check_listing.ts";
import { checkPermissions, type PartitionOwner } from "./check_permissions.ts";
import { checkRecords, type RecordsResult } from "./check_records.ts";
import { Collector } from "./collector.ts";

export interface Look {
  readonly findings: readonly Finding[];
  readonly header: HeaderFile | undefined;
  readonly uidvalidity: number;
  /** Records that the index holds, expunged ones included. */
  readonly records: number;
  /** What the good records say; undefined when there is no index to read. */
  readonly messages: MessageTable | undefined;
  readonly present: PresentFiles;
}

export interface LookContext {
  readonly nowSeconds: number;
  readonly partition: PartitionOwner | undefined;
  /** True: no message may be opened. */
  readonly quick: boolean;
}

/** Checks an opened mailbox against itself and against the folder as it is now. */
export function lookAt(mailbox: OpenMailbox, context: LookContext): Look {
  const { paths } = mailbox;
  const { nowSeconds, partition, quick } = context;
  const collector = new Collector();
  checkPermissions(mailbox, partition, collector);
  const header = checkHeaderFile(paths, mailbox.header, collector);
  const index = checkIndexOpening(mailbox.index, paths.index, collector);
  const isTrusted = index !== undefined && checkIndexHeader(index, paths.index, collector);
  if (isTrusted && mailbox.index.state === "open") {
    const { headerFileCrc: crc } = index.header;
    const recorded = { crc, indexMtimeMs: mailbox.index.stat.mtimeMs };
    checkHeaderFileCrc(mailbox.header, recorded, { path: paths.header, collector });
  }
  const records =
    index && checkContents(index, { mailbox, header, isTrusted, nowSeconds, quick, collector });
  const present = checkListing(
    {
      paths,
      ...listMailbox(paths),
      messages: records?.messages,
      gaps: records?.gaps ?? [],
      lastUid: isTrusted ? index.header.lastUid : undefined,
      expungedUids: readExpungedUids(mailbox.expunge),
      nowSeconds,
      ageSeconds: (path) => fileAge(path, nowSeconds),
    },
    collector,
  );
  return {
    findings: collector.findings(),
    header,
    uidvalidity: index?.header.uidvalidity ?? 0,
    records: index?.recordCount ?? 0,
    messages: records?.messages,
    present,
  };
}

/** Records, cache and annotations, and what the header says of them. */
function checkContents(
  index: IndexImage,
  context: {
    readonly mailbox: OpenMailbox;
    readonly header: HeaderFile | undefined;
    readonly isTrusted: boolean;
    readonly nowSeconds: number;
    readonly quick: boolean;
    readonly collector: Collector;
  },
): RecordsResult {
  const { mailbox, header, isTrusted, nowSeconds, quick, collector } = context;
  const { paths } = mailbox;
  const cacheAt = (path: string) =>
    new CacheCheck(path, { collector, messages: quick ? undefined : paths });
  const cache = cacheAt(paths.cache);
  const archiveCache = paths.archiveCache === undefined ? cache : cacheAt(paths.archiveCache);
  try {
    const annotations = checkAnnotationsFile(mailbox.annotations, paths.annotations, collector);
    const records = checkRecords(
      {
        index,
        path: paths.index,
        userFlags: header?.userFlags,
        annotations,
        owner: header?.name ? useridOf(header.name) : undefined,
        nowSeconds,
        onRecord: (record) => {
          const archived = hasBit(record.systemFlags, INTERNAL_FLAG.archived);
          (archived ? archiveCache : cache).check(record);
        },
      },
      collector,
    );
    // If a record cannot be read, its UID is unknown, and annotations of it may look like orphans.
    if (annotations !== undefined && records.gaps.length === 0) {
      const hasRecord = (uid: number) => hasMessage(records.messages, uid);
      const { minorVersion } = index.header;
      const all = [...annotations.values()].flat();
      const input = { annotations: all, hasRecord, minorVersion, path: paths.annotations };
      for (const one of checkMessageAnnotations(input)) collector.note(one);
    }
    if (isTrusted) cache.finish(index.header.generationNo, mailbox.hasNewCache);
    if (isTrusted && records.sums !== undefined && index.missingRecords === 0) {
      const known = { userFlags: header !== undefined, annotations: annotations !== undefined };
      checkSums(index, records.sums, { path: paths.index, collector, known });
    }
    return records;
  } finally {
    cache.close();
    if (archiveCache !== cache) archiveCache.close();
  }
}

/** UIDs in cyrus.expunge, where Cyrus 2.3 moved expunged records until their files were removed. */
function readExpungedUids(file: FileBytes): Uint32Array {
  if (file.state !== "read") return new Uint32Array();
  try {
    const image = IndexImage.open(file.bytes, "cyrus.expunge");
    const uids = Uint32Array.from({ length: image.count }, (_, number) => image.uidAt(number));
    return uids.sort();
  } catch (error) {
    if (error instanceof FormatError) return new Uint32Array(); // EX01 reports the file itself
    throw error;
  }
}
