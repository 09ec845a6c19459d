/** What the records of an index add up to: counts, quota, and the sync checksums (spool-format 1.2, 5). */
import { type MessageAnnotation, OWNER_TOKEN } from "../formats/cyrus/annotations_db.ts";
import { hasBit, INTERNAL_FLAG, SYSTEM_FLAG } from "../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../formats/cyrus/index/index_header.ts";
import { effectiveModseq, type IndexRecord } from "../formats/cyrus/index/index_record.ts";
import {
  ANNOT_VARIANTS,
  annotationCrc,
  BASIC_INIT,
  isVirtualAnnotation,
  virtualAnnotationsCrc,
} from "../model/sync_crc.ts";
import { recordSyncCrc, type UserFlagCrcs, userFlagCrcs } from "./index_sync_crc.ts";

/** Messages are counted, and their sizes summed, as Cyrus does for the index header. */
export interface RecordSums {
  readonly exists: number;
  readonly answered: number;
  readonly flagged: number;
  readonly deleted: number;
  readonly unseen: number;
  readonly quotaMailboxUsed: bigint;
  readonly quotaDeletedUsed: bigint;
  readonly quotaExpungedUsed: bigint;
  /** Bytes of the annotations of messages; those of the mailbox itself lie elsewhere. */
  readonly quotaAnnotMessages: bigint | undefined;
  readonly maxUid: number;
  readonly maxModseq: bigint;
  /** The first UID with that modseq. */
  readonly maxModseqUid: number;
  /** Oldest last_updated of an expunged record, 0 without any. */
  readonly firstExpunged: number;
  /** Undefined when the names of user flags are not known: they are part of it. */
  readonly syncCrc: number | undefined;
  /** One for each way in which versions of Cyrus compute it; undefined without the annotations. */
  readonly syncCrcAnnots: readonly number[] | undefined;
}

export interface SumsContext {
  readonly index: { readonly header: IndexHeader };
  /** Names of the user flags by their bit; undefined when they are not known. */
  readonly userFlags: readonly (string | undefined)[] | undefined;
  /** Annotations by UID; undefined when they cannot be read. */
  readonly annotations: ReadonlyMap<number, readonly MessageAnnotation[]> | undefined;
  readonly owner: string | undefined;
}

/** Adds up records, one at a time: a million of them are never in memory together. */
export class SumsBuilder {
  readonly #context: SumsContext;
  readonly #version: number;
  readonly #userFlags: UserFlagCrcs;
  readonly #annots: number[] = ANNOT_VARIANTS.map((variant) => variant.init);
  #exists = 0;
  #answered = 0;
  #flagged = 0;
  #deleted = 0;
  #unseen = 0;
  // Sums of sizes stay exact up to 9 PB in a mailbox, far beyond what real sizes can reach.
  #used = 0;
  #usedDeleted = 0;
  #usedExpunged = 0;
  #usedAnnotations = 0;
  #maxUid = 0;
  #maxModseq = 0n;
  #maxModseqUid = 0;
  #firstExpunged = 0;
  #syncCrc = BASIC_INIT;

  constructor(context: SumsContext) {
    this.#context = context;
    this.#version = context.index.header.minorVersion;
    this.#userFlags = userFlagCrcs(context.userFlags ?? []);
  }

  add(record: IndexRecord): void {
    const { systemFlags, uid, size } = record;
    const modseq = effectiveModseq(record, this.#context.index.header);
    if (uid > this.#maxUid) this.#maxUid = uid;
    if (modseq > this.#maxModseq) {
      this.#maxModseq = modseq;
      this.#maxModseqUid = uid;
    }
    if (hasBit(systemFlags, INTERNAL_FLAG.expunged)) {
      this.#addExpunged(record);
      return;
    }
    this.#exists += 1;
    this.#used += size;
    if (hasBit(systemFlags, SYSTEM_FLAG.answered)) this.#answered += 1;
    if (hasBit(systemFlags, SYSTEM_FLAG.flagged)) this.#flagged += 1;
    if (!hasBit(systemFlags, SYSTEM_FLAG.seen)) this.#unseen += 1;
    if (hasBit(systemFlags, SYSTEM_FLAG.deleted)) {
      this.#deleted += 1;
      this.#usedDeleted += size;
    }
    if (this.#version >= 12) this.#syncCrc ^= recordSyncCrc(record, this.#userFlags);
    if (this.#version >= 13) this.#addAnnotations(record);
  }

  result(): RecordSums {
    const { annotations, userFlags } = this.#context;
    return {
      exists: this.#exists,
      answered: this.#answered,
      flagged: this.#flagged,
      deleted: this.#deleted,
      unseen: this.#unseen,
      quotaMailboxUsed: BigInt(this.#used),
      quotaDeletedUsed: BigInt(this.#usedDeleted),
      quotaExpungedUsed: BigInt(this.#usedExpunged),
      quotaAnnotMessages: annotations === undefined ? undefined : BigInt(this.#usedAnnotations),
      maxUid: this.#maxUid,
      maxModseq: this.#maxModseq,
      maxModseqUid: this.#maxModseqUid,
      firstExpunged: this.#firstExpunged,
      syncCrc: userFlags === undefined ? undefined : this.#syncCrc >>> 0,
      syncCrcAnnots: annotations === undefined ? undefined : this.#annots.map((crc) => crc >>> 0),
    };
  }

  #addExpunged(record: IndexRecord): void {
    const { lastUpdated, systemFlags, size } = record;
    // Before version 12 every record in the file exists (a downgrade keeps expunged ones).
    if (this.#version < 12) this.#exists += 1;
    if (this.#firstExpunged === 0 || lastUpdated < this.#firstExpunged) {
      this.#firstExpunged = lastUpdated;
    }
    if (!hasBit(systemFlags, INTERNAL_FLAG.unlinked)) this.#usedExpunged += size;
  }

  #addAnnotations(record: IndexRecord): void {
    const version = this.#version;
    const short = virtualAnnotationsCrc(record, version, "short");
    const padded = record.cid === 0n ? short : virtualAnnotationsCrc(record, version, "padded");
    for (let at = 0; at < ANNOT_VARIANTS.length; at++) {
      const part = ANNOT_VARIANTS[at]?.thrid === "short" ? short : padded;
      this.#annots[at] = (this.#annots[at] ?? 0) ^ part;
    }
    const own = this.#context.annotations?.get(record.uid);
    if (own !== undefined) this.#addReal(record.uid, own);
  }

  /** Annotations that somebody has set, not those that stand in the record itself. */
  #addReal(uid: number, own: readonly MessageAnnotation[]): void {
    for (const annotation of own) {
      const { entry, deleted, value } = annotation;
      if (deleted || isVirtualAnnotation(entry, this.#version)) continue;
      this.#usedAnnotations += value.length;
      const isOwners = annotation.userid === OWNER_TOKEN;
      const userid = isOwners ? this.#context.owner : annotation.userid;
      ANNOT_VARIANTS.forEach((variant, at) => {
        const crc = annotationCrc(uid, { ...annotation, userid }, variant);
        this.#annots[at] = (this.#annots[at] ?? 0) ^ crc;
      });
    }
  }
}
