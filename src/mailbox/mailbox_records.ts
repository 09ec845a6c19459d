/** The records of a mailbox in the terms of replication, from its index (spool-format 2, sync-protocol 4.4). */

import { hasBit, INTERNAL_FLAG, SYSTEM_FLAGS } from "../formats/cyrus/index/index_flags.ts";
import {
  effectiveModseq,
  type IndexRecord,
  parseIndexRecord,
} from "../formats/cyrus/index/index_record.ts";
import type { Annotation } from "../model/annotation.ts";
import { SYSTEM_FLAGS as FLAG_ORDER } from "../model/flags.ts";
import type { RecordSource } from "../model/mailbox.ts";
import { foldAnnotations, type MailRecord } from "../model/record.ts";
import type { MailboxSnapshot } from "../places/cyrus/snapshot.ts";
import { type IndexFile, recordOffset } from "./index_file.ts";

/** Records parsed at a time: enough to keep the cost of a batch low, few enough for little memory. */
const BATCH_RECORDS = 1000;

const NO_ANNOTATIONS: readonly Annotation[] = [];

/** The system flags of a record in the order in which Cyrus prints them. */
const SYSTEM_BITS = FLAG_ORDER.flatMap((name) => SYSTEM_FLAGS.filter((bit) => bit.name === name));

/** All records of a snapshot, tombstones included. Each pass parses them again: nothing is kept. */
export function recordsOfSnapshot(snapshot: MailboxSnapshot): RecordSource {
  return { batches: () => batchesOf(snapshot) };
}

function* batchesOf(snapshot: MailboxSnapshot): Generator<readonly MailRecord[], void> {
  const { index } = snapshot;
  for (let from = 0; from < index.recordCount; from += BATCH_RECORDS) {
    const to = Math.min(from + BATCH_RECORDS, index.recordCount);
    const batch: MailRecord[] = [];
    for (let number = from; number < to; number++) {
      batch.push(mailRecordOf(recordAt(index, number), snapshot));
    }
    yield batch;
  }
}

function recordAt(index: IndexFile, number: number): IndexRecord {
  return parseIndexRecord(index.view, recordOffset(index, number), index.table);
}

/** The record with this UID, found by halving; undefined where the mailbox has none. */
export function findRecord(snapshot: MailboxSnapshot, uid: number): MailRecord | undefined {
  const { index } = snapshot;
  let low = 0;
  let high = index.recordCount;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (uidAt(index, middle) < uid) low = middle + 1;
    else high = middle;
  }
  if (low >= index.recordCount || uidAt(index, low) !== uid) return undefined;
  return mailRecordOf(recordAt(index, low), snapshot);
}

function uidAt(index: IndexFile, number: number): number {
  return index.view.getUint32(recordOffset(index, number) + index.table.recordAt.uid);
}

function mailRecordOf(record: IndexRecord, snapshot: MailboxSnapshot): MailRecord {
  const { index, header, annotations } = snapshot;
  const expunged = hasBit(record.systemFlags, INTERNAL_FLAG.expunged);
  const unlinked = hasBit(record.systemFlags, INTERNAL_FLAG.unlinked);
  // Where the version of the index has no place for a field, it may stand in the database.
  const folded = foldAnnotations(annotations.get(record.uid) ?? NO_ANNOTATIONS);
  return {
    uid: record.uid,
    modseq: effectiveModseq(record, index.header),
    lastUpdated: record.lastUpdated,
    flags: flagNames(record, header.userFlags),
    expunged,
    ...(unlinked && { unlinked }),
    internaldate: record.internaldate,
    internaldateNsec: record.internaldateNsec || folded.internaldateNsec,
    size: record.size,
    guid: record.guid,
    cid: record.cid || folded.cid,
    basecid: record.basecid || folded.basecid,
    savedate: record.savedate || folded.savedate,
    createdmodseq: record.createdmodseq || folded.createdmodseq,
    annotations: folded.annotations,
  };
}

/** System flags in Cyrus' order, then keywords by slot; a bit without a name means nothing. */
function flagNames(record: IndexRecord, userFlags: readonly (string | undefined)[]): string[] {
  const names: string[] = [];
  for (const { mask, name } of SYSTEM_BITS) {
    if (hasBit(record.systemFlags, mask)) names.push(name);
  }
  for (let word = 0; word < 4; word++) {
    for (let bits = record.userFlags[word] ?? 0; bits !== 0; bits &= bits - 1) {
      const name = userFlags[32 * word + 31 - Math.clz32(bits & -bits)];
      if (name !== undefined) names.push(name);
    }
  }
  return names;
}
