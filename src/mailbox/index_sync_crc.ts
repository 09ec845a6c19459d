/** The sync checksums of a mailbox from its index records (spool-format 5). */

import { hasBit, INTERNAL_FLAG, SYSTEM_FLAGS } from "../formats/cyrus/index/index_flags.ts";
import type { IndexRecord } from "../formats/cyrus/index/index_record.ts";
import {
  type AnnotVariant,
  BASIC_INIT,
  basicRecordCrc,
  flagCrc,
  virtualAnnotationsCrc,
} from "../model/sync_crc.ts";

const SYSTEM_FLAG_CRCS = SYSTEM_FLAGS.map(({ mask, name }) => ({ mask, crc: flagCrc(name) }));

const SLOTS = 128;

/** The values of a mailbox's user flags by slot, 0 for slots without a name: made once per mailbox. */
export type UserFlagCrcs = Uint32Array;

/** From the user flags of cyrus.header. Names behind the 128th have no bit in a record. */
export function userFlagCrcs(names: readonly (string | undefined)[]): UserFlagCrcs {
  const crcs = new Uint32Array(SLOTS);
  for (const [slot, name] of names.slice(0, SLOTS).entries()) {
    if (name !== undefined) crcs[slot] = flagCrc(name);
  }
  return crcs;
}

/** What the flags of a record add to its text; a bit without a name adds nothing. */
export function recordFlagsCrc(
  record: Pick<IndexRecord, "systemFlags" | "userFlags">,
  userFlags: UserFlagCrcs,
): number {
  let crc = 0;
  for (const { mask, crc: flag } of SYSTEM_FLAG_CRCS) {
    if (hasBit(record.systemFlags, mask)) crc ^= flag;
  }
  for (let word = 0; word < 4; word++) {
    for (let bits = record.userFlags[word] ?? 0; bits !== 0; bits &= bits - 1) {
      const bit = 31 - Math.clz32(bits & -bits);
      crc ^= userFlags[32 * word + bit] ?? 0;
    }
  }
  return crc >>> 0;
}

/** What a record adds to `syncCrc` by XOR: nothing once it is expunged. */
export function recordSyncCrc(record: IndexRecord, userFlags: UserFlagCrcs): number {
  if (hasBit(record.systemFlags, INTERNAL_FLAG.expunged)) return 0;
  return basicRecordCrc(record, recordFlagsCrc(record, userFlags));
}

/**
 * What the fields of a record add to `syncCrcAnnot` by XOR, beside its annotations in the database:
 * nothing once it is expunged.
 */
export function recordVirtualCrc(
  record: IndexRecord,
  indexVersion: number,
  thrid: AnnotVariant["thrid"],
): number {
  if (hasBit(record.systemFlags, INTERNAL_FLAG.expunged)) return 0;
  return virtualAnnotationsCrc(record, indexVersion, thrid);
}

/** The basic checksum of a mailbox: what the header's `syncCrc` must be since version 12. */
export function syncCrcOf(records: Iterable<IndexRecord>, userFlags: UserFlagCrcs): number {
  let crc = BASIC_INIT;
  for (const record of records) crc ^= recordSyncCrc(record, userFlags);
  return crc >>> 0;
}
