/**
 * What the records of an index add up to, for two questions: which sync checksums the mailbox has, and
 * whether header and records were written together (spool-format 5, 9).
 */

import { hasBit, INTERNAL_FLAG } from "../formats/cyrus/index/index_flags.ts";
import { effectiveModseq, type IndexRecord } from "../formats/cyrus/index/index_record.ts";
import {
  ANNOT_VARIANTS,
  annotationCrc,
  BASIC_INIT,
  basicRecordCrc,
  virtualAnnotationsCrc,
} from "../model/sync_crc.ts";
import type { MessageAnnotations } from "../places/cyrus/message_annotations.ts";
import type { IndexFile } from "./index_file.ts";
import { recordsOf } from "./index_file.ts";
import { recordFlagsCrc, userFlagCrcs } from "./index_sync_crc.ts";

export interface MailboxSums {
  readonly syncCrc: number;
  /**
   * In the variant that the header fits; where it fits none, in that of the index version. Versions
   * below 13 hold none (below 12 no checksum at all), and Cyrus answers 0 for what it does not hold:
   * that would compare as equal to anything, and this does not.
   */
  readonly syncCrcAnnot: number;
  /**
   * Header and records agree in everything that can be compared: they are of one moment. False for
   * versions below 12, which have no checksums to compare.
   */
  readonly agrees: boolean;
  /** The highest of header and records: after a crash within a commit the header is behind (L6). */
  readonly lastUid: number;
  readonly highestmodseq: bigint;
  /** Number, counted from 0, of the first record whose UID is not above the one before it. */
  readonly disorder: number | undefined;
}

/** One pass over the records. `userFlags` are those of cyrus.header. */
export function sumMailbox(
  index: IndexFile,
  userFlags: readonly (string | undefined)[],
  annotations: MessageAnnotations,
): MailboxSums {
  const { header } = index;
  const flagCrcs = userFlagCrcs(userFlags);
  const annot: AnnotSums = [0, 0, 0];
  let syncCrc = BASIC_INIT;
  let exists = 0;
  let lastUid = 0;
  let modseq = 0n;
  let number = 0;
  let disorder: number | undefined;
  for (const record of recordsOf(index)) {
    if (record.uid <= lastUid) disorder ??= number;
    lastUid = Math.max(lastUid, record.uid);
    const recordModseq = effectiveModseq(record, header);
    if (recordModseq > modseq) modseq = recordModseq;
    number += 1;
    if (hasBit(record.systemFlags, INTERNAL_FLAG.expunged)) continue;
    exists += 1;
    const fields = recordModseq === record.modseq ? record : { ...record, modseq: recordModseq };
    syncCrc ^= basicRecordCrc(fields, recordFlagsCrc(record, flagCrcs));
    addAnnotations(annot, record, { annotations, version: header.minorVersion });
  }
  const variants = ANNOT_VARIANTS.map(({ init }, at) => ((annot[at] ?? 0) ^ init) >>> 0);
  const hasAnnot = header.minorVersion >= ANNOT_SINCE;
  const annotFits = hasAnnot && variants.includes(header.syncCrcAnnot);
  const ownVariant = header.minorVersion >= PADDED_SINCE ? 1 : 0;
  const agrees =
    header.minorVersion >= CHECKSUMS_SINCE &&
    header.syncCrc === syncCrc >>> 0 &&
    (!hasAnnot || annotFits) &&
    header.exists === exists &&
    lastUid <= header.lastUid &&
    modseq <= header.highestmodseq &&
    highestAnnotation(annotations) <= header.highestmodseq;
  return {
    syncCrc: syncCrc >>> 0,
    syncCrcAnnot: annotFits ? header.syncCrcAnnot : (variants[ownVariant] ?? 0),
    agrees,
    lastUid: Math.max(lastUid, header.lastUid),
    highestmodseq: modseq > header.highestmodseq ? modseq : header.highestmodseq,
    disorder,
  };
}

const CHECKSUMS_SINCE = 12;
const ANNOT_SINCE = 13;
/** The version that Cyrus 3.13 made, whose checksum has thread ids of 16 digits. */
const PADDED_SINCE = 20;

/** XOR sums by `ANNOT_VARIANTS`, without what each starts from. */
type AnnotSums = [number, number, number];

function addAnnotations(
  sums: AnnotSums,
  record: IndexRecord,
  { annotations, version }: { readonly annotations: MessageAnnotations; readonly version: number },
): void {
  const short = virtualAnnotationsCrc(record, version, "short");
  const isShort = record.cid !== 0n && record.cid < SIXTEEN_DIGITS;
  const padded = isShort ? virtualAnnotationsCrc(record, version, "padded") : short;
  const real = annotations.get(record.uid) ?? [];
  for (const [at, variant] of ANNOT_VARIANTS.entries()) {
    let crc = variant.thrid === "short" ? short : padded;
    for (const one of real) crc ^= annotationCrc(record.uid, one, variant);
    sums[at] = (sums[at] ?? 0) ^ crc;
  }
}

/** Thread ids from here on look the same in all variants. */
const SIXTEEN_DIGITS = 2n ** 60n;

function highestAnnotation(annotations: MessageAnnotations): bigint {
  let highest = 0n;
  for (const list of annotations.values()) {
    for (const { modseq } of list) if (modseq > highest) highest = modseq;
  }
  return highest;
}
