/** A record's part of the two sync CRCs, in the form that an index version and a peer's release give them. */
import { type MessageAnnotation, OWNER_TOKEN } from "../formats/cyrus/annotations_db.ts";
import { hasBit, SYSTEM_FLAGS } from "../formats/cyrus/index/index_flags.ts";
import type { IndexRecord } from "../formats/cyrus/index/index_record.ts";
import {
  type AnnotVariant,
  annotationCrc,
  basicRecordCrc,
  flagCrc,
  virtualAnnotationsCrc,
} from "../model/sync_crc.ts";
import type { RecordCrcs } from "./record_sums.ts";

/** How the CRCs of one mailbox are computed. */
export interface CrcForm {
  readonly variant: AnnotVariant;
  /** Version of cyrus.index: says which fields of a record count as virtual annotations. */
  readonly indexVersion: number;
  /** The owner's userid, in latin1: annotations of the owner are hashed under it. */
  readonly owner: string;
}

/** The CRCs of `record`, which is not expunged. `names` are the mailbox's user flags by slot. */
export function recordCrcs(
  record: IndexRecord,
  beside: {
    readonly names: readonly (string | undefined)[];
    readonly annotations: readonly MessageAnnotation[];
    readonly form: CrcForm;
  },
): RecordCrcs {
  const { variant, indexVersion, owner } = beside.form;
  let syncCrcAnnot = virtualAnnotationsCrc(record, indexVersion, variant.thrid);
  let annotBytes = 0;
  for (const annotation of beside.annotations) {
    const userid = annotation.userid === OWNER_TOKEN ? owner : annotation.userid;
    syncCrcAnnot ^= annotationCrc(record.uid, { ...annotation, userid }, variant);
    annotBytes += annotation.value.length;
  }
  const syncCrc = basicRecordCrc(record, flagsOf(record, beside.names));
  return { syncCrc, syncCrcAnnot: syncCrcAnnot >>> 0, annotBytes };
}

function flagsOf(record: IndexRecord, names: readonly (string | undefined)[]): number {
  let crc = 0;
  for (const { mask, name } of SYSTEM_FLAGS) {
    if (hasBit(record.systemFlags, mask)) crc ^= knownFlagCrc(name);
  }
  for (const [slot, name] of names.entries()) {
    const word = record.userFlags[slot >>> 5] ?? 0;
    if (name !== undefined && hasBit(word, 1 << (slot & 31))) crc ^= knownFlagCrc(name);
  }
  return crc >>> 0;
}

/** Flags seen lately: a mailbox of a million records has a dozen of them. */
const flagCrcs = new Map<string, number>();
const FLAG_CRCS_MAX = 10_000;

function knownFlagCrc(name: string): number {
  const known = flagCrcs.get(name);
  if (known !== undefined) return known;
  const crc = flagCrc(name);
  if (flagCrcs.size < FLAG_CRCS_MAX) flagCrcs.set(name, crc);
  return crc;
}
