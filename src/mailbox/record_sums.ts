/**
 * What one record adds to the sums in the header of its index (spool-format 1.2, 5): counts, bytes and
 * the two sync CRCs. A change takes the old record's part out and puts the new one's in.
 */

import { hasBit, INTERNAL_FLAG, SYSTEM_FLAG } from "../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../formats/cyrus/index/index_header.ts";
import type { IndexRecord } from "../formats/cyrus/index/index_record.ts";

/** A record's part of each sum. The CRCs are joined by XOR, the rest by adding. */
export interface RecordSums {
  readonly exists: number;
  readonly answered: number;
  readonly flagged: number;
  readonly deleted: number;
  readonly unseen: number;
  readonly quotaMailboxUsed: bigint;
  readonly quotaDeletedUsed: bigint;
  readonly quotaExpungedUsed: bigint;
  readonly quotaAnnotUsed: bigint;
  readonly syncCrc: number;
  readonly syncCrcAnnot: number;
}

export const NO_SUMS: RecordSums = {
  exists: 0,
  answered: 0,
  flagged: 0,
  deleted: 0,
  unseen: 0,
  quotaMailboxUsed: 0n,
  quotaDeletedUsed: 0n,
  quotaExpungedUsed: 0n,
  quotaAnnotUsed: 0n,
  syncCrc: 0,
  syncCrcAnnot: 0,
};

/** What a record adds beside what its own bytes say. */
export interface RecordCrcs {
  readonly syncCrc: number;
  readonly syncCrcAnnot: number;
  /** Bytes of its annotations' values. */
  readonly annotBytes: number;
}

/** The part of `record`; an expunged one counts in quotaExpungedUsed alone, an unlinked one nowhere. */
export function sumsOf(record: IndexRecord, crcs: RecordCrcs): RecordSums {
  const { systemFlags } = record;
  const size = BigInt(record.size);
  if (hasBit(systemFlags, INTERNAL_FLAG.expunged)) {
    const unlinked = hasBit(systemFlags, INTERNAL_FLAG.unlinked);
    return { ...NO_SUMS, quotaExpungedUsed: unlinked ? 0n : size };
  }
  const count = (mask: number): number => (hasBit(systemFlags, mask) ? 1 : 0);
  return {
    exists: 1,
    answered: count(SYSTEM_FLAG.answered),
    flagged: count(SYSTEM_FLAG.flagged),
    deleted: count(SYSTEM_FLAG.deleted),
    unseen: 1 - count(SYSTEM_FLAG.seen),
    quotaMailboxUsed: size,
    quotaDeletedUsed: count(SYSTEM_FLAG.deleted) === 1 ? size : 0n,
    quotaExpungedUsed: 0n,
    quotaAnnotUsed: BigInt(crcs.annotBytes),
    syncCrc: crcs.syncCrc,
    syncCrcAnnot: crcs.syncCrcAnnot,
  };
}

/** `header` with `before` taken out of its sums and `after` put in. */
export function moveSums(header: IndexHeader, before: RecordSums, after: RecordSums): IndexHeader {
  return {
    ...header,
    exists: header.exists - before.exists + after.exists,
    answered: header.answered - before.answered + after.answered,
    flagged: header.flagged - before.flagged + after.flagged,
    deleted: header.deleted - before.deleted + after.deleted,
    unseen: header.unseen - before.unseen + after.unseen,
    quotaMailboxUsed: header.quotaMailboxUsed - before.quotaMailboxUsed + after.quotaMailboxUsed,
    quotaDeletedUsed: header.quotaDeletedUsed - before.quotaDeletedUsed + after.quotaDeletedUsed,
    quotaExpungedUsed:
      header.quotaExpungedUsed - before.quotaExpungedUsed + after.quotaExpungedUsed,
    quotaAnnotUsed: header.quotaAnnotUsed - before.quotaAnnotUsed + after.quotaAnnotUsed,
    syncCrc: (header.syncCrc ^ before.syncCrc ^ after.syncCrc) >>> 0,
    syncCrcAnnot: (header.syncCrcAnnot ^ before.syncCrcAnnot ^ after.syncCrcAnnot) >>> 0,
  };
}
