/**
 * What the records of a mailbox add up to: the counts, the quota and the two sync checksums that
 * the header of cyrus.index holds (spool-format 1.2 and 5). fsck and the readers add up every
 * record; the store takes the old record out and puts the new one in, so that a change costs the
 * same in a mailbox of any size.
 */
import { type MessageAnnotation, OWNER_TOKEN } from "../formats/cyrus/annotations_db.ts";
import {
  hasBit,
  INTERNAL_FLAG,
  SYSTEM_FLAG,
  SYSTEM_FLAGS,
} from "../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../formats/cyrus/index/index_header.ts";
import { effectiveModseq, type IndexRecord } from "../formats/cyrus/index/index_record.ts";
import type { IndexTable } from "../formats/cyrus/index/index_table.ts";
import {
  ANNOT_VARIANTS,
  type AnnotVariant,
  annotationCrc,
  BASIC_INIT,
  basicRecordCrc,
  flagCrc,
  isVirtualAnnotation,
  virtualAnnotationsCrc,
} from "../model/sync_crc.ts";

const SYSTEM_FLAG_CRCS = SYSTEM_FLAGS.map(({ mask, name }) => ({ mask, crc: flagCrc(name) }));

/** User flags that a record has bits for. */
const SLOTS = 128;

/** The checksums of a mailbox's user flags by slot, 0 for slots without a name. */
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

/** What must be known of a mailbox to add its records up. */
export interface SumsContext {
  /** The version says which fields of a record count as annotations, and what its modseq means. */
  readonly header: Pick<IndexHeader, "minorVersion" | "highestmodseq">;
  readonly userFlags: UserFlagCrcs;
  /** The annotations of a message as its mailbox holds them now. */
  readonly annotations: (uid: number) => readonly MessageAnnotation[];
  /** The owner's user id: annotations stored under `OWNER_TOKEN` are hashed under it. */
  readonly owner: string | undefined;
}

/** The sums of the records added so far, less those taken out. */
export class MailboxSums {
  exists = 0;
  answered = 0;
  flagged = 0;
  deleted = 0;
  unseen = 0;
  // Sums of sizes stay exact up to 9 PB in a mailbox, far beyond what real sizes can reach.
  mailboxBytes = 0;
  deletedBytes = 0;
  expungedBytes = 0;
  /** Bytes of the values of messages' annotations; those of the mailbox itself lie elsewhere. */
  annotationBytes = 0;
  /** Highest UID and modseq, and the first UID with that modseq. Taking out does not lower them. */
  maxUid = 0;
  maxModseq = 0n;
  maxModseqUid = 0;
  /** Oldest last_updated of an expunged record, 0 without any. */
  firstExpunged = 0;
  #syncCrc = BASIC_INIT;
  /** By `ANNOT_VARIANTS`, without the value that each starts from. */
  readonly #annots: number[] = ANNOT_VARIANTS.map(() => 0);
  readonly #context: SumsContext;
  readonly #version: number;

  constructor(context: SumsContext) {
    this.#context = context;
    this.#version = context.header.minorVersion;
  }

  get syncCrc(): number {
    return this.#syncCrc >>> 0;
  }

  /** What the records add by XOR to SYNC_CRC_ANNOT in the form of `variant`. */
  annotPart(variant: AnnotVariant): number {
    const at = ANNOT_VARIANTS.findIndex(({ name }) => name === variant.name);
    return (this.#annots[at] ?? 0) >>> 0;
  }

  /** SYNC_CRC_ANNOT of a mailbox that holds exactly these records, in each of `ANNOT_VARIANTS`. */
  get annotCrcs(): readonly number[] {
    return ANNOT_VARIANTS.map(({ init }, at) => ((this.#annots[at] ?? 0) ^ init) >>> 0);
  }

  add(record: IndexRecord): void {
    const modseq = effectiveModseq(record, this.#context.header);
    if (record.uid > this.maxUid) this.maxUid = record.uid;
    if (modseq > this.maxModseq) {
      this.maxModseq = modseq;
      this.maxModseqUid = record.uid;
    }
    this.#count(record, modseq, 1);
  }

  /** Takes out a record that was added before, with the annotations that it had then. */
  remove(record: IndexRecord): void {
    this.#count(record, effectiveModseq(record, this.#context.header), -1);
  }

  #count(record: IndexRecord, modseq: bigint, times: 1 | -1): void {
    const { systemFlags, size } = record;
    if (hasBit(systemFlags, INTERNAL_FLAG.expunged)) {
      this.#countExpunged(record, times);
      return;
    }
    this.exists += times;
    this.mailboxBytes += times * size;
    if (hasBit(systemFlags, SYSTEM_FLAG.answered)) this.answered += times;
    if (hasBit(systemFlags, SYSTEM_FLAG.flagged)) this.flagged += times;
    if (!hasBit(systemFlags, SYSTEM_FLAG.seen)) this.unseen += times;
    if (hasBit(systemFlags, SYSTEM_FLAG.deleted)) {
      this.deleted += times;
      this.deletedBytes += times * size;
    }
    const fields = modseq === record.modseq ? record : { ...record, modseq };
    this.#syncCrc ^= basicRecordCrc(fields, recordFlagsCrc(record, this.#context.userFlags));
    this.#countAnnotations(record, times);
  }

  #countExpunged({ lastUpdated, systemFlags, size }: IndexRecord, times: 1 | -1): void {
    // Before version 12 every record in the file exists (a downgrade keeps expunged ones).
    if (this.#version < 12) this.exists += times;
    if (this.firstExpunged === 0 || lastUpdated < this.firstExpunged) {
      this.firstExpunged = lastUpdated;
    }
    if (!hasBit(systemFlags, INTERNAL_FLAG.unlinked)) this.expungedBytes += times * size;
  }

  #countAnnotations(record: IndexRecord, times: 1 | -1): void {
    const version = this.#version;
    const short = virtualAnnotationsCrc(record, version, "short");
    // Thread ids of 16 digits look the same in all variants.
    const isShort = record.cid !== 0n && record.cid < SIXTEEN_DIGITS;
    const padded = isShort ? virtualAnnotationsCrc(record, version, "padded") : short;
    for (let at = 0; at < ANNOT_VARIANTS.length; at++) {
      const part = ANNOT_VARIANTS[at]?.thrid === "short" ? short : padded;
      this.#annots[at] = (this.#annots[at] ?? 0) ^ part;
    }
    for (const annotation of this.#context.annotations(record.uid)) {
      this.#countAnnotation(record.uid, annotation, times);
    }
  }

  /** An annotation that somebody has set, not one that stands in the record itself. */
  #countAnnotation(uid: number, annotation: MessageAnnotation, times: 1 | -1): void {
    const { entry, deleted, value } = annotation;
    if (deleted || isVirtualAnnotation(entry, this.#version)) return;
    this.annotationBytes += times * value.length;
    const isOwners = annotation.userid === OWNER_TOKEN;
    const userid = isOwners ? this.#context.owner : annotation.userid;
    ANNOT_VARIANTS.forEach((variant, at) => {
      const crc = annotationCrc(uid, { ...annotation, userid }, variant);
      this.#annots[at] = (this.#annots[at] ?? 0) ^ crc;
    });
  }
}

const SIXTEEN_DIGITS = 2n ** 60n;

/** `header` with `sums` added to its own; `variant` is the form of its annotation checksum. */
export function addSums(
  header: IndexHeader,
  sums: MailboxSums,
  { table, variant }: { readonly table: IndexTable; readonly variant: AnnotVariant },
): IndexHeader {
  // Versions below 18 have no field for the bytes of deleted and expunged messages.
  const hasAllQuotas = table.header.quotaExpungedUsed !== undefined;
  const more = (bytes: number): bigint => (hasAllQuotas ? BigInt(bytes) : 0n);
  return {
    ...header,
    exists: header.exists + sums.exists,
    answered: header.answered + sums.answered,
    flagged: header.flagged + sums.flagged,
    deleted: header.deleted + sums.deleted,
    unseen: header.unseen + sums.unseen,
    quotaMailboxUsed: header.quotaMailboxUsed + BigInt(sums.mailboxBytes),
    quotaDeletedUsed: header.quotaDeletedUsed + more(sums.deletedBytes),
    quotaExpungedUsed: header.quotaExpungedUsed + more(sums.expungedBytes),
    quotaAnnotUsed: header.quotaAnnotUsed + BigInt(sums.annotationBytes),
    syncCrc: (header.syncCrc ^ sums.syncCrc) >>> 0,
    syncCrcAnnot: (header.syncCrcAnnot ^ sums.annotPart(variant)) >>> 0,
  };
}

/** `header` with nothing added up yet, but for the bytes of the mailbox's own annotations. */
export function withoutSums(
  header: IndexHeader,
  {
    variant,
    annotationBytes,
  }: { readonly variant: AnnotVariant; readonly annotationBytes: number },
): IndexHeader {
  return {
    ...header,
    ...{ exists: 0, answered: 0, flagged: 0, deleted: 0, unseen: 0 },
    ...{ quotaMailboxUsed: 0n, quotaDeletedUsed: 0n, quotaExpungedUsed: 0n },
    quotaAnnotUsed: BigInt(annotationBytes),
    syncCrc: BASIC_INIT,
    syncCrcAnnot: variant.init,
  };
}

const CHECKSUMS_SINCE = 12;
const ANNOT_SINCE = 13;
/** The version that Cyrus 3.13 made, whose checksum has thread ids of 16 digits. */
const PADDED_SINCE = 20;

/**
 * SYNC_CRC_ANNOT as the header means it: in the variant that the header fits; where it fits none,
 * in that of the index version. Versions below 13 hold none, and Cyrus answers 0 for what it does
 * not hold: that would compare as equal to anything, and this does not.
 */
export function annotCrcFor(header: IndexHeader, sums: MailboxSums): number {
  const hasAnnot = header.minorVersion >= ANNOT_SINCE;
  if (hasAnnot && sums.annotCrcs.includes(header.syncCrcAnnot)) return header.syncCrcAnnot;
  return sums.annotCrcs[header.minorVersion >= PADDED_SINCE ? 1 : 0] ?? 0;
}

/**
 * True when header and records agree in everything that can be compared: they are of one moment
 * (spool-format 9). False for versions below 12, which have no checksums to compare.
 */
export function sumsAgree(header: IndexHeader, sums: MailboxSums): boolean {
  const { minorVersion } = header;
  return (
    minorVersion >= CHECKSUMS_SINCE &&
    header.syncCrc === sums.syncCrc &&
    (minorVersion < ANNOT_SINCE || sums.annotCrcs.includes(header.syncCrcAnnot)) &&
    header.exists === sums.exists &&
    sums.maxUid <= header.lastUid &&
    sums.maxModseq <= header.highestmodseq
  );
}
