/**
 * One mailbox in memory while a transaction is planned: index, header and annotations as one thing.
 * Whoever changes a record gives it whole with its annotations; counts, quota sums and sync CRCs
 * follow by themselves, and `steps` says what becomes of the files.
 */

import { AppError, FormatError } from "../core/errors.ts";
import type { MessageAnnotation } from "../formats/cyrus/annotations_db.ts";
import {
  BLANK_HEADER_FILE,
  type HeaderFile,
  parseHeaderFile,
  printHeaderFile,
} from "../formats/cyrus/header_file.ts";
import { hasBit, INTERNAL_FLAG } from "../formats/cyrus/index/index_flags.ts";
import {
  blankIndexHeader,
  type IndexHeader,
  printIndexHeader,
} from "../formats/cyrus/index/index_header.ts";
import type { IndexRecord } from "../formats/cyrus/index/index_record.ts";
import { tableOf } from "../formats/cyrus/index/index_table.ts";
import { crc32 } from "../hash/crc32.ts";
import { ANNOT_VARIANTS, type AnnotVariant } from "../model/sync_crc.ts";
import type { RedoStep } from "../places/store/commit/journal.ts";
import { mailboxFolder } from "../places/store/layout.ts";
import type { MailboxFile } from "../places/store/owner_folder.ts";
import { AnnotationImage } from "./annotation_image.ts";
import { type HeaderChange, IndexImage } from "./index_image.ts";
import type { IndexSource } from "./index_source.ts";
import { type CrcForm, recordCrcs } from "./record_crcs.ts";
import { moveSums, NO_SUMS, type RecordSums, sumsOf } from "./record_sums.ts";

export type ImageFiles = Readonly<
  Record<Exclude<MailboxFile, "cyrus.cache">, Uint8Array | undefined>
>;

/** The same, of whose index only the needed parts may be read. */
export type ImageSource = Omit<ImageFiles, "cyrus.index"> & {
  readonly "cyrus.index": IndexSource | undefined;
};

export const IMAGE_FILES = ["cyrus.index", "cyrus.header", "cyrus.annotations"] as const;

/** What must be known of a mailbox that is about to be made. */
export interface NewMailbox {
  readonly uniqueid: string;
  readonly indexVersion: number;
  readonly header: Partial<HeaderFile>;
  readonly index: HeaderChange;
}

export class MailboxImage {
  readonly uniqueid: string;
  readonly index: IndexImage;
  readonly annotations: AnnotationImage;
  readonly #isNew: boolean;
  readonly #form: CrcForm;
  #header: HeaderFile;
  #headerChanged = false;
  /** SYNC_CRC_ANNOT in another form than the folder's, kept along like the sums of the header. */
  #otherCrc: { readonly variant: AnnotVariant; readonly crc: number } | undefined;

  private constructor(
    uniqueid: string,
    files: ImageSource,
    options: { isNew: boolean; form: CrcForm },
  ) {
    const path = (name: string): string => `${uniqueid}/${name}`;
    const { "cyrus.index": index, "cyrus.header": header } = files;
    if (index === undefined || header === undefined) {
      const name = index === undefined ? "cyrus.index" : "cyrus.header";
      throw new AppError("bad_data", `Cannot use mailbox ${uniqueid}: there is no ${name}`, {
        context: { uniqueid },
        hint: "Run `bobbin fsck` on the store.",
      });
    }
    this.uniqueid = uniqueid;
    this.index = new IndexImage(index, path("cyrus.index"));
    this.#header = readHeader(header, path("cyrus.header"));
    const headerCrc = this.index.header.headerFileCrc;
    if (headerCrc !== 0 && headerCrc !== crc32(header)) {
      throw new AppError("bad_data", `Cannot use ${path("cyrus.header")}: CRC mismatch`, {
        context: { uniqueid },
        hint: "Run `bobbin fsck` on the store.",
      });
    }
    this.annotations = new AnnotationImage(files["cyrus.annotations"], path("cyrus.annotations"));
    this.#isNew = options.isNew;
    this.#form = options.form;
  }

  /** A mailbox from its files; refuses one whose header or checksums are damaged. */
  static open(uniqueid: string, files: ImageSource, form: CrcForm): MailboxImage {
    return new MailboxImage(uniqueid, files, { isNew: false, form });
  }

  /** A mailbox that is to be made, without messages. */
  static make(mailbox: NewMailbox, form: CrcForm): MailboxImage {
    const { uniqueid } = mailbox;
    const table = tableOf(mailbox.indexVersion);
    if (table === undefined)
      throw new AppError("refused", `No index version ${mailbox.indexVersion}`);
    const header = printHeaderFile({ ...BLANK_HEADER_FILE, ...mailbox.header, uniqueid });
    const index: IndexHeader = {
      ...blankIndexHeader(table),
      generationNo: 1,
      highestmodseq: 1n,
      syncCrcAnnot: form.variant.init,
      ...mailbox.index,
      headerFileCrc: crc32(header),
    };
    const files = {
      "cyrus.index": printIndexHeader(index),
      "cyrus.header": header,
      "cyrus.annotations": undefined,
    };
    return new MailboxImage(mailboxFolder(uniqueid), files, { isNew: true, form });
  }

  get header(): HeaderFile {
    return this.#header;
  }

  /** Changes fields of cyrus.header. */
  setHeader(change: Partial<HeaderFile>): void {
    this.#header = { ...this.#header, ...change };
    this.#headerChanged = true;
  }

  /** Makes `record` and its annotations what the mailbox holds under that UID, new or not. */
  put(record: IndexRecord, annotations: readonly MessageAnnotation[]): void {
    const number = this.index.find(record.uid);
    const old = number === undefined ? undefined : this.index.record(number);
    const before = old === undefined ? NO_SUMS : this.#sums(old);
    if (old !== undefined) this.#moveOtherCrc(old);
    this.annotations.set(record.uid, annotations);
    const after = this.#sums(record);
    this.#moveOtherCrc(record);
    const sums = (header: IndexHeader): IndexHeader => moveSums(header, before, after);
    if (number === undefined) this.index.append(record, sums);
    else this.index.change(number, record, sums);
  }

  #sums(record: IndexRecord): RecordSums {
    const { index } = this;
    const annotations = this.annotations.of(record.uid);
    const beside = { names: this.#header.userFlags, annotations, form: this.#form };
    const sums = sumsOf(record, recordCrcs(record, beside));
    // Versions below 18 have no field for these two.
    const isKept = index.table.header.quotaExpungedUsed !== undefined;
    return isKept ? sums : { ...sums, quotaDeletedUsed: 0n, quotaExpungedUsed: 0n };
  }

  /** The slot of a user flag, a new one where the mailbox has none of that name. */
  flagSlot(name: string, slots: number): number {
    const flags = this.#header.userFlags;
    const wanted = name.toLowerCase();
    const known = flags.findIndex((flag) => flag?.toLowerCase() === wanted);
    if (known !== -1) return known;
    const free = flags.indexOf(undefined);
    const slot = free === -1 ? flags.length : free;
    if (slot >= slots) {
      throw new AppError(
        "refused",
        `Cannot add the flag ${name} to mailbox ${this.uniqueid}: it has ${slots}`,
        {
          context: { uniqueid: this.uniqueid, flag: name },
          hint: "A mailbox has room for 128 user flags.",
        },
      );
    }
    const next = [...flags];
    next[slot] = name;
    this.setHeader({ userFlags: next });
    return slot;
  }

  /**
   * Adds up all sums anew, as after a change of what counts. Reads every record. The mailbox's own
   * annotations lie in the catalogue: `mailboxAnnotBytes` are the bytes of their values.
   */
  recount(mailboxAnnotBytes: number): void {
    let header = { ...this.index.header, syncCrc: 0, syncCrcAnnot: this.#form.variant.init };
    const { index } = this;
    const zero = { exists: 0, answered: 0, flagged: 0, deleted: 0, unseen: 0 };
    const none = {
      quotaMailboxUsed: 0n,
      quotaDeletedUsed: 0n,
      quotaExpungedUsed: 0n,
      quotaAnnotUsed: BigInt(mailboxAnnotBytes),
    };
    header = { ...header, ...zero, ...none };
    for (const record of index.records()) header = moveSums(header, NO_SUMS, this.#sums(record));
    index.setSums(header);
  }

  /** Takes `crc` for what `annotCrc` would come to: it has been kept since it last did. */
  knowAnnotCrc(variant: AnnotVariant, crc: number): void {
    this.#otherCrc = { variant, crc };
  }

  /**
   * SYNC_CRC_ANNOT as a peer of any release computes it. The folder's own form stands in the header; another one
   * is added up from every record, unless it was the last one asked for.
   */
  annotCrc(variant: AnnotVariant): number {
    if (variant.name === this.#form.variant.name) return this.index.header.syncCrcAnnot;
    const known = this.#otherCrc;
    if (known?.variant.name === variant.name) return known.crc;
    let crc: number = variant.init;
    for (const record of this.index.records()) crc ^= this.#annotPart(record, variant);
    this.#otherCrc = { variant, crc: crc >>> 0 };
    return crc >>> 0;
  }

  /** The form of the annotation CRC that gives `wanted`, or undefined. What is known already is tried first. */
  fittingVariant(wanted: number): AnnotVariant | undefined {
    const known = this.#otherCrc;
    if (known?.crc === wanted) return known.variant;
    return ANNOT_VARIANTS.find((variant) => this.annotCrc(variant) === wanted);
  }

  #annotPart(record: IndexRecord, variant: AnnotVariant): number {
    if (hasBit(record.systemFlags, INTERNAL_FLAG.expunged)) return 0;
    const annotations = this.annotations.of(record.uid);
    const form = { ...this.#form, variant };
    return recordCrcs(record, { names: [], annotations, form }).syncCrcAnnot;
  }

  /** Takes a record's part out of the other sum, or puts it in. */
  #moveOtherCrc(record: IndexRecord): void {
    if (this.#otherCrc === undefined) return;
    const { variant, crc } = this.#otherCrc;
    this.#otherCrc = { variant, crc: (crc ^ this.#annotPart(record, variant)) >>> 0 };
  }

  /** What is to become of the files: a new mailbox whole, an old one by what changed. */
  steps(): RedoStep[] {
    const { uniqueid, index } = this;
    const steps: RedoStep[] = [];
    const annotations = this.annotations.print();
    if (annotations !== undefined) {
      steps.push({ kind: "replace", path: `${uniqueid}/cyrus.annotations`, bytes: annotations });
    }
    if (this.#headerChanged || this.#isNew) {
      const bytes = printHeaderFile(this.#header);
      index.setHeader({ headerFileCrc: crc32(bytes) });
      steps.push({ kind: "replace", path: `${uniqueid}/cyrus.header`, bytes });
    }
    const path = `${uniqueid}/cyrus.index`;
    if (!this.#isNew) return [...steps, ...index.steps(path)];
    const cache = new Uint8Array(4);
    new DataView(cache.buffer).setUint32(0, index.header.generationNo);
    steps.push({ kind: "replace", path: `${uniqueid}/cyrus.cache`, bytes: cache });
    return [...steps, { kind: "replace", path, bytes: index.print() }];
  }
}

function readHeader(bytes: Uint8Array, path: string): HeaderFile {
  try {
    return parseHeaderFile(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new AppError("bad_data", `Cannot use ${path}: ${error.message}`, {
      cause: error,
      context: { path },
    });
  }
}
