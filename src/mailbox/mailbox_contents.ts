/**
 * What the files of one mailbox say together, wherever they lie or come from: a spool, an archive,
 * a server that sends them. Everything that has a checksum is checked. An index header that is
 * older than the records is taken as it is: a crash of Cyrus between two of its writes leaves that.
 */
import { hex32 } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import type { HeaderFile } from "../formats/cyrus/header_file.ts";
import { hasBit, INDEX_OPTION } from "../formats/cyrus/index/index_flags.ts";
import type { RecordSource } from "../model/mailbox.ts";
import { useridOf } from "../model/names.ts";
import type { MailRecord } from "../model/record.ts";
import { annotationsIn, type MessageAnnotations, readAnnotations } from "./annotation_image.ts";
import { HeaderImage } from "./header_image.ts";
import { IndexImage } from "./index_image.ts";
import { mailRecord, mailRecords, type RecordContext } from "./mail_record.ts";
import { MailboxSums, sumsAgree } from "./sums.ts";

export interface MailboxContents {
  readonly header: HeaderFile;
  readonly index: IndexImage;
  readonly annotations: MessageAnnotations;
  readonly sums: MailboxSums;
  /** Header and records are of one moment. */
  readonly agrees: boolean;
  /** The owner's user id; "" where the mailbox belongs to nobody. */
  readonly owner: string;
}

/** Gives the bytes of each file when they are needed, or throws FormatError why it has none. */
export interface MailboxFiles {
  readonly header: () => Uint8Array;
  readonly index: () => Uint8Array;
  /** Undefined where there is no cyrus.annotations. */
  readonly annotations: () => Uint8Array | undefined;
}

/** The CRC of cyrus.header by the index, and that of the file. */
export interface HeaderCrcs {
  readonly recorded: number;
  readonly computed: number;
}

export interface ContentsOptions {
  /** True where a cyrus.header that is not the recorded one is to be taken all the same. */
  readonly mayDiffer?: (crcs: HeaderCrcs) => boolean;
}

export type FoundContents =
  | { readonly kind: "sound"; readonly contents: MailboxContents }
  /** The index says that the mailbox is being removed. */
  | { readonly kind: "deleted" }
  | { readonly kind: "flawed"; readonly flaw: string };

/** Reads the files of the mailbox with this internal name, and checks them. */
export function contentsOf(
  name: string,
  files: MailboxFiles,
  { mayDiffer = () => false }: ContentsOptions = {},
): FoundContents {
  let part = "cyrus.header";
  try {
    const header = new HeaderImage(files.header());
    part = "cyrus.index";
    const index = IndexImage.open(files.index(), part);
    const flaw = flawOf(index) ?? headerFlaw(header, index, mayDiffer);
    if (flaw !== undefined) return { kind: "flawed", flaw };
    if (hasBit(index.header.options, INDEX_OPTION.mailboxDeleted)) return { kind: "deleted" };
    part = "cyrus.annotations";
    const annotations = annotationsOf(files.annotations());
    const owner = useridOf(name) ?? "";
    const sums = new MailboxSums({
      header: index.header,
      userFlags: header.flagCrcs,
      annotations: annotationsIn(annotations),
      owner,
    });
    const disorder = addUp(index, sums);
    if (disorder !== undefined) {
      const text = "of cyrus.index has no higher UID than the one before";
      return { kind: "flawed", flaw: `record ${disorder + 1} ${text}` };
    }
    const agrees =
      sumsAgree(index.header, sums) && highestModseq(annotations) <= index.header.highestmodseq;
    const contents = { header: header.file, index, annotations, sums, agrees, owner };
    return { kind: "sound", contents };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { kind: "flawed", flaw: `${part}: ${error.message}` };
  }
}

/** Adds every record to `sums`. Returns the number of the first whose UID is not above the last. */
function addUp(index: IndexImage, sums: MailboxSums): number | undefined {
  let number = 0;
  let disorder: number | undefined;
  for (const record of index.records()) {
    if (record.uid <= sums.maxUid) disorder ??= number;
    sums.add(record);
    number += 1;
  }
  return disorder;
}

/** Reads the annotations. Of a damaged database the rest would look removed: it is refused. */
function annotationsOf(bytes: Uint8Array | undefined): MessageAnnotations {
  if (bytes === undefined) return new Map();
  const found = readAnnotations(bytes);
  if (found.kind === "unsupported") {
    throw new FormatError(0, `a database that Bobbin reads, not ${found.format}`);
  }
  const [problem] = found.problems;
  if (problem !== undefined)
    throw new FormatError(problem.offset ?? 0, `a sound database: ${problem.detail}`);
  return found.byUid;
}

function highestModseq(annotations: MessageAnnotations): bigint {
  let highest = 0n;
  for (const list of annotations.values()) {
    for (const { modseq } of list) if (modseq > highest) highest = modseq;
  }
  return highest;
}

/** What is wrong with the checksums and the length of an index. */
function flawOf(index: IndexImage): string | undefined {
  const { missingRecords, storedCrcs: crcs } = index;
  if (crcs !== undefined && crcs.stored !== crcs.computed) {
    const [computed, stored] = [hex32(crcs.computed), hex32(crcs.stored)];
    return `the header of cyrus.index has the CRC ${computed} instead of ${stored}`;
  }
  if (missingRecords > 0) return `cyrus.index lacks ${missingRecords} of its records`;
  const bad = index.firstBadRecord();
  if (bad === undefined) return undefined;
  return `record ${bad + 1} of cyrus.index (uid ${index.uidAt(bad)}) fails its CRC`;
}

function headerFlaw(
  header: HeaderImage,
  index: IndexImage,
  mayDiffer: (crcs: HeaderCrcs) => boolean,
): string | undefined {
  const crcs = { recorded: index.header.headerFileCrc, computed: header.fileCrc };
  if (header.fits(crcs.recorded) || mayDiffer(crcs)) return undefined;
  const [computed, recorded] = [hex32(crcs.computed), hex32(crcs.recorded)];
  return `cyrus.header has the CRC ${computed}, and ${recorded} by cyrus.index`;
}

/** All records of a mailbox, with the expunged ones. Each pass parses them again. */
export function recordsIn(contents: MailboxContents): RecordSource {
  const { index, annotations } = contents;
  return mailRecords(index, annotationsIn(annotations), contextOf(contents));
}

/** The record with this UID; undefined where the mailbox has none. */
export function findRecord(contents: MailboxContents, uid: number): MailRecord | undefined {
  const { index, annotations } = contents;
  const number = index.find(uid);
  if (number === undefined) return undefined;
  return mailRecord(index.record(number), annotations.get(uid) ?? [], contextOf(contents));
}

function contextOf({ index, header, owner }: MailboxContents): RecordContext {
  return { header: index.header, userFlags: header.userFlags, owner };
}
