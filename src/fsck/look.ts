/**
 * One look at one mailbox: everything that its index, header, cache, annotations and folder listings say
 * of each other. No message is opened here.
 */
import { FormatError } from "../core/errors.ts";
import type { FileBytes } from "../core/files.ts";
import { type MessageAnnotation, parseMessageAnnotation } from "../formats/cyrus/annotations_db.ts";
import type { HeaderFile } from "../formats/cyrus/header_file.ts";
import { type IndexFile, openIndexFile, recordsOf } from "../formats/cyrus/index_file.ts";
import { hasBit, INTERNAL_FLAG } from "../formats/cyrus/index_flags.ts";
import { readTwoskip } from "../formats/cyrus/twoskip.ts";
import { useridOf } from "../model/names.ts";
import { fileAge, listMailbox, type MailboxReading } from "../places/cyrus/mailbox_reading.ts";
import { CacheCheck } from "./check_cache.ts";
import { checkHeaderFile, checkHeaderFileCrc } from "./check_header_file.ts";
import { checkIndexHeader, checkSums } from "./check_index_header.ts";
import { checkListing, type PresentFiles } from "./check_listing.ts";
import { checkPermissions, type PartitionOwner } from "./check_permissions.ts";
import { checkRecords, type RecordsResult } from "./check_records.ts";
import { Collector } from "./collector.ts";
import type { Finding } from "./finding.ts";
import type { MessageTable } from "./message_table.ts";
import { describeUnreadable } from "./unreadable.ts";

export interface Look {
  readonly findings: readonly Finding[];
  readonly header: HeaderFile | undefined;
  readonly index: IndexFile | undefined;
  /** What the good records say; undefined when there is no index to read. */
  readonly messages: MessageTable | undefined;
  readonly present: PresentFiles;
}

export interface LookContext {
  readonly nowSeconds: number;
  readonly partition: PartitionOwner;
}

/** Checks a reading of a mailbox against itself and against the folder as it is now. */
export function lookAt(reading: MailboxReading, context: LookContext): Look {
  const { paths } = reading;
  const { nowSeconds, partition } = context;
  const collector = new Collector();
  checkPermissions(reading, partition, collector);
  const header = checkHeaderFile(paths, reading.header, collector);
  const checked = checkIndexHeader(reading.index, paths.index, collector);
  let records: RecordsResult | undefined;
  if (checked !== undefined) {
    const { index, headerTrusted } = checked;
    if (headerTrusted && reading.index.state === "read") {
      checkHeaderFileCrc(
        reading.header,
        { crc: index.header.headerFileCrc, indexMtimeMs: reading.index.stat.mtimeMs },
        { path: paths.header, collector },
      );
    }
    const cache = new CacheCheck(paths.cache, collector);
    const archiveCache =
      paths.archiveCache === undefined ? cache : new CacheCheck(paths.archiveCache, collector);
    try {
      records = checkRecords(
        {
          index,
          path: paths.index,
          userFlags: header?.userFlags,
          annotations: readAnnotations(reading.annotations, paths.annotations, collector),
          owner: header?.name ? useridOf(header.name) : undefined,
          nowSeconds,
          onRecord: (record) => {
            const archived = hasBit(record.systemFlags, INTERNAL_FLAG.archived);
            (archived ? archiveCache : cache).check(record);
          },
        },
        collector,
      );
      if (headerTrusted) cache.finish(index.header.generationNo, reading.hasNewCache);
    } finally {
      cache.close();
      if (archiveCache !== cache) archiveCache.close();
    }
    if (headerTrusted && records.sums !== undefined && index.missingRecords === 0) {
      checkSums(index, records.sums, { path: paths.index, collector });
    }
  }
  const present = checkListing(
    {
      paths,
      ...listMailbox(paths),
      messages: records?.messages,
      gaps: records?.gaps ?? [],
      lastUid: checked?.headerTrusted ? checked.index.header.lastUid : undefined,
      expungedUids: readExpungedUids(reading.expunge),
      nowSeconds,
      ageSeconds: (path) => fileAge(path, nowSeconds),
    },
    collector,
  );
  return {
    findings: collector.findings(),
    header,
    index: checked?.index,
    messages: records?.messages,
    present,
  };
}

/** Message annotations by UID; undefined where they cannot be read. A missing file holds none. */
function readAnnotations(
  file: FileBytes,
  path: string,
  collector: Collector,
): ReadonlyMap<number, readonly MessageAnnotation[]> | undefined {
  const byUid = new Map<number, MessageAnnotation[]>();
  if (file.state === "missing") return byUid;
  if (file.state !== "read") {
    collector.add("AN01", { text: `cyrus.annotations ${describeUnreadable(file)}`, path });
    return undefined;
  }
  const contents = readTwoskip(file.bytes);
  let sound = contents.problems.length === 0;
  for (const problem of contents.problems) {
    collector.add("AN01", {
      text: `cyrus.annotations: ${problem.what}`,
      path,
      found: problem.offset,
    });
  }
  for (const entry of contents.entries) {
    try {
      const annotation = parseMessageAnnotation(entry);
      const same = byUid.get(annotation.uid);
      if (same === undefined) byUid.set(annotation.uid, [annotation]);
      else same.push(annotation);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      sound = false;
      collector.add("AN01", { text: `annotation cannot be parsed: ${error.message}`, path });
    }
  }
  return sound ? byUid : undefined;
}

/** UIDs in cyrus.expunge, where Cyrus 2.3 moved expunged records until their files were removed. */
function readExpungedUids(file: FileBytes): Uint32Array {
  if (file.state !== "read") return new Uint32Array();
  try {
    const uids = [...recordsOf(openIndexFile(file.bytes))].map(({ uid }) => uid);
    return Uint32Array.from(uids).sort();
  } catch (error) {
    if (error instanceof FormatError) return new Uint32Array(); // EX01 reports the file itself
    throw error;
  }
}
