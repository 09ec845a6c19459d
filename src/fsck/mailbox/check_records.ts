/**
 * Every record of an index: rows IX03, IX06, IX16, IX18, IX20 and IX21, and on the way the sums
 * that the header must hold and the table of messages that the folder must hold.
 */
import { viewOf } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import {
  type IndexRecord,
  parseIndexRecord,
  recordCrcs,
} from "../../formats/cyrus/index/index_record.ts";
import { RECORD_FIELDS } from "../../formats/cyrus/index/index_table.ts";
import { annotationsIn } from "../../mailbox/annotation_image.ts";
import type { RecordPiece } from "../../mailbox/index_image.ts";
import { badRecordCrcs } from "../../mailbox/index_records.ts";
import { type MessageTable, MessageTableBuilder } from "../../mailbox/message_table.ts";
import { MailboxSums, userFlagCrcs } from "../../mailbox/sums.ts";
import { UidGaps } from "../../mailbox/uid_gaps.ts";
import type { UidRange } from "../../model/sequence_set.ts";
import { RecordCheck, type RecordContext } from "./check_record.ts";
import type { Collector } from "./collector.ts";
import { explainCrc } from "./explain_crc.ts";

export interface RecordsInput extends RecordContext {
  /** The user who owns the mailbox: their private annotations are hashed under this name. */
  readonly owner: string | undefined;
  /** Is told of every good record, for the checks of the cache. */
  readonly onRecord: (record: IndexRecord) => void;
}

export interface RecordsResult {
  readonly messages: MessageTable;
  readonly gaps: readonly UidRange[];
  /** Undefined when a record is bad: then no sum can be right. */
  readonly sums: MailboxSums | undefined;
}

/** Checks all records that the header counts and the file holds. */
export function checkRecords(input: RecordsInput, collector: Collector): RecordsResult {
  const { index, path } = input;
  const { recordSize } = index.table;
  const messages = new MessageTableBuilder(index);
  const sums = new MailboxSums({
    header: index.header,
    userFlags: userFlagCrcs(input.userFlags ?? []),
    annotations: annotationsIn(input.annotations),
    owner: input.owner,
  });
  const checks = new RecordCheck(input, collector);
  const gaps = new UidGaps();
  let seen = 0;
  let isSound = true;
  for (const piece of index.pieces()) {
    const bad = new Set(
      badRecordCrcs(piece.bytes, { table: index.table, at: 0, count: piece.count }),
    );
    for (let at = 0; at < piece.count; at++) {
      const place = { piece, number: piece.first + at, offset: at * recordSize };
      if (bad.has(at)) reportBadCrc(input, place, collector);
      const record = bad.has(at) ? undefined : readRecord(input, place, collector);
      if (record === undefined) {
        isSound = false;
        gaps.open();
        continue;
      }
      const { uid } = record;
      if (uid <= gaps.lastUid) {
        isSound = false;
        collector.add("IX06", { uid, path }, { uid, after: gaps.lastUid });
        continue;
      }
      gaps.pass(uid);
      messages.push(record, piece.bytes, place.offset);
      checks.check(record, messages);
      sums.add(record);
      input.onRecord(record);
    }
    seen += piece.count;
  }
  // Records that are cut off at the end of the file had UIDs too.
  if (index.missingRecords > 0 || seen < index.recordCount) gaps.open();
  return {
    messages: messages.table(),
    gaps: gaps.ranges,
    sums: isSound && seen === index.recordCount ? sums : undefined,
  };
}

/** Where one record lies. */
interface RecordPlace {
  readonly piece: RecordPiece;
  /** From 0. */
  readonly number: number;
  /** In the bytes of the piece. */
  readonly offset: number;
}

function readRecord(
  { index, path }: RecordsInput,
  { piece, number, offset }: RecordPlace,
  collector: Collector,
): IndexRecord | undefined {
  try {
    return parseIndexRecord(piece.view, offset, index.table);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const at = piece.fileOffset + error.offset;
    collector.add("IX03", { path }, { record: number + 1, expected: error.expected, at });
    return undefined;
  }
}

function reportBadCrc(
  { index, path }: RecordsInput,
  { piece, number, offset }: RecordPlace,
  collector: Collector,
): void {
  const crcs = recordCrcs(piece.bytes, offset, index.table);
  if (crcs === undefined) return;
  const covered = piece.bytes.subarray(offset, offset + index.table.recordAt.recordCrc);
  const fields = RECORD_FIELDS.flatMap((name) => {
    const slot = index.table.record[name];
    return slot === undefined ? [] : [{ name, offset: slot.offset, size: slot.size }];
  });
  const base = piece.fileOffset + offset;
  const crc = explainCrc(crcs, { bytes: covered, base, fields });
  // The UID it shows is a hint only, but mostly right: it is four bytes of a hundred.
  const uid = viewOf(covered).getUint32(0);
  collector.add("IX03", { path, ...(uid !== 0 && { uid }) }, { record: number + 1, crc });
}
