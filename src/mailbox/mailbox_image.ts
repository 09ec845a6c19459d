/**
 * One mailbox while a transaction is planned: index, header and annotations as one thing. Whoever
 * changes a record gives it whole with its annotations; counts, quota sums and sync checksums
 * follow by themselves, and `steps` says what becomes of the files.
 */
import { viewOf } from "../core/bytes.ts";
import { AppError, FormatError } from "../core/errors.ts";
import type { FileSource } from "../core/file_source.ts";
import type { MessageAnnotation } from "../formats/cyrus/annotations_db.ts";
import {
  BLANK_HEADER_FILE,
  type HeaderFile,
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
import { AnnotationImage } from "./annotation_image.ts";
import type { FileStep } from "./file_step.ts";
import { HeaderImage } from "./header_image.ts";
import { damaged, type HeaderChange, IndexImage } from "./index_image.ts";
import { addSums, MailboxSums, withoutSums } from "./sums.ts";

/** The files of a mailbox that are read and written as wholes or in place. */
export type MailboxFile = (typeof IMAGE_FILES)[number] | "cyrus.cache";

/** Those that an image is made of. */
export const IMAGE_FILES = ["cyrus.index", "cyrus.header", "cyrus.annotations"] as const;

export type ImageFiles = Readonly<Record<(typeof IMAGE_FILES)[number], Uint8Array | undefined>>;

/** The same, but of index and annotations only the needed parts may be read. */
export type ImageSource = Pick<ImageFiles, "cyrus.header"> &
  Readonly<Record<"cyrus.index" | "cyrus.annotations", FileSource | undefined>>;

/** How the checksums of a mailbox are computed that does not say so itself. */
export interface CrcForm {
  /** The form of SYNC_CRC_ANNOT in the header of the index. */
  readonly variant: AnnotVariant;
  /** The owner's user id, in latin1: annotations of the owner are hashed under it. */
  readonly owner: string;
}

/** What must be known of a mailbox that is about to be made. */
export interface NewMailbox {
  readonly uniqueid: string;
  readonly indexVersion: number;
  readonly header: Partial<HeaderFile>;
  readonly index: HeaderChange;
}

/** A record of the index with the annotations of its message. */
export interface StoredRecord {
  readonly record: IndexRecord;
  readonly annotations: readonly MessageAnnotation[];
}

export class MailboxImage {
  readonly uniqueid: string;
  readonly index: IndexImage;
  readonly header: HeaderImage;
  readonly annotations: AnnotationImage;
  readonly #isNew: boolean;
  readonly #form: CrcForm;
  /** SYNC_CRC_ANNOT in other forms than the header's, by name: kept along once they are known. */
  readonly #otherCrcs = new Map<string, number>();

  private constructor(
    uniqueid: string,
    files: ImageSource,
    options: { readonly isNew: boolean; readonly form: CrcForm },
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
    this.index = IndexImage.openSound(index, path("cyrus.index"));
    this.header = openHeader(header, path("cyrus.header"));
    if (!this.header.fits(this.index.header.headerFileCrc)) {
      throw damaged(path("cyrus.header"), "CRC mismatch");
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
    if (table === undefined) {
      throw new AppError("refused", `No index version ${mailbox.indexVersion}`);
    }
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
    return new MailboxImage(uniqueid, files, { isNew: true, form });
  }

  /** Makes each record and its annotations what the mailbox holds under that UID, new or not. */
  put(records: readonly StoredRecord[]): void {
    const { index } = this;
    const sums = this.#noSums();
    for (const { record, annotations } of records) {
      const number = index.find(record.uid);
      if (number !== undefined) sums.remove(index.record(number));
      this.annotations.set(record.uid, annotations);
      sums.add(record);
      if (number === undefined) index.append(record);
      else index.change(number, record);
    }
    this.#addSums(index.header, sums);
    for (const variant of ANNOT_VARIANTS) {
      const known = this.#otherCrcs.get(variant.name);
      if (known === undefined) continue;
      this.#otherCrcs.set(variant.name, (known ^ sums.annotPart(variant)) >>> 0);
    }
  }

  /** Marks the message as expunged, and leaves its modseq and times alone. None: nothing. */
  expunge(uid: number): void {
    const { index } = this;
    const number = index.find(uid);
    const record = number === undefined ? undefined : index.record(number);
    if (record === undefined || hasBit(record.systemFlags, INTERNAL_FLAG.expunged)) return;
    const systemFlags = (record.systemFlags | INTERNAL_FLAG.expunged) >>> 0;
    this.put([{ record: { ...record, systemFlags }, annotations: this.annotations.of(uid) }]);
    const { firstExpunged } = index.header;
    const first =
      firstExpunged === 0 ? record.lastUpdated : Math.min(firstExpunged, record.lastUpdated);
    index.setHeader({ firstExpunged: first });
  }

  /**
   * Adds up all sums anew, as after a change of what counts. Reads every record. The mailbox's own
   * annotations lie in the catalogue: `annotationBytes` are the bytes of their values.
   */
  recount(annotationBytes: number): void {
    const { variant } = this.#form;
    this.#addSums(withoutSums(this.index.header, { variant, annotationBytes }), this.#allSums());
  }

  #noSums(): MailboxSums {
    return new MailboxSums({
      header: this.index.header,
      userFlags: this.header.flagCrcs,
      annotations: (uid) => this.annotations.of(uid),
      owner: this.#form.owner,
    });
  }

  #allSums(): MailboxSums {
    const sums = this.#noSums();
    for (const record of this.index.records()) sums.add(record);
    return sums;
  }

  #addSums(header: IndexHeader, sums: MailboxSums): void {
    const { table } = this.index;
    this.index.setSums(addSums(header, sums, { table, variant: this.#form.variant }));
  }

  /** Takes `crc` for what `annotCrc` would come to: it has been kept since it last did. */
  knowAnnotCrc(variant: AnnotVariant, crc: number): void {
    this.#otherCrcs.set(variant.name, crc);
  }

  /**
   * SYNC_CRC_ANNOT as a peer of any release computes it. The folder's own form stands in the
   * header; the others are added up from every record, unless they are known from before.
   */
  annotCrc(variant: AnnotVariant): number {
    if (variant.name === this.#form.variant.name) return this.index.header.syncCrcAnnot;
    const known = this.#otherCrcs.get(variant.name);
    if (known !== undefined) return known;
    const sums = this.#allSums();
    for (const [at, { name }] of ANNOT_VARIANTS.entries()) {
      this.#otherCrcs.set(name, sums.annotCrcs[at] ?? 0);
    }
    return this.annotCrc(variant);
  }

  /**
   * The form of SYNC_CRC_ANNOT that gives `wanted`, or undefined. What is known already is tried
   * first, as the others may have to be added up.
   */
  fittingVariant(wanted: number): AnnotVariant | undefined {
    const known = ANNOT_VARIANTS.find(({ name }) => this.#otherCrcs.get(name) === wanted);
    return known ?? ANNOT_VARIANTS.find((variant) => this.annotCrc(variant) === wanted);
  }

  /** The files as they are to be, whole; undefined for one that stays as it is. */
  files(): ImageFiles {
    const header = this.header.print(this.#isNew);
    if (header !== undefined) this.index.setHeader({ headerFileCrc: crc32(header) });
    return {
      "cyrus.index": this.index.print(),
      "cyrus.header": header,
      "cyrus.annotations": this.annotations.print(),
    };
  }

  /** What is to become of the files: a new mailbox whole, an old one by what changed. */
  steps(): FileStep[] {
    const { uniqueid, index } = this;
    const steps = this.annotations.steps(`${uniqueid}/cyrus.annotations`);
    const header = this.header.print(this.#isNew);
    if (header !== undefined) {
      index.setHeader({ headerFileCrc: crc32(header) });
      steps.push({ kind: "replace", path: `${uniqueid}/cyrus.header`, bytes: header });
    }
    const path = `${uniqueid}/cyrus.index`;
    if (!this.#isNew) return [...steps, ...index.steps(path)];
    // A cyrus.cache begins with the generation; without messages it has nothing else.
    const cache = new Uint8Array(4);
    viewOf(cache).setUint32(0, index.header.generationNo);
    steps.push({ kind: "replace", path: `${uniqueid}/cyrus.cache`, bytes: cache });
    return [...steps, { kind: "replace", path, bytes: index.print() }];
  }
}

function openHeader(bytes: Uint8Array, path: string): HeaderImage {
  try {
    return new HeaderImage(bytes);
  } catch (error) {
    throw error instanceof FormatError ? damaged(path, error.message) : error;
  }
}
