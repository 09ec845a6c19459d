/** A mailbox of the store as a peer sees it: the MAILBOX line, and its records. */
import { AppError, FormatError } from "../../core/errors.ts";
import type { HeaderFile } from "../../formats/cyrus/header_file.ts";
import type { IndexHeader } from "../../formats/cyrus/index/index_header.ts";
import { INDEX_HEADER_BYTES } from "../../formats/cyrus/index/index_table.ts";
import { HeaderImage } from "../../mailbox/header_image.ts";
import { IndexImage } from "../../mailbox/index_image.ts";
import { mailRecords, optionLetters } from "../../mailbox/mail_record.ts";
import type { ImageFiles, MailboxImage } from "../../mailbox/mailbox_image.ts";
import { imageOf, storedForm } from "../../mailbox/owner_image.ts";
import type { MailboxState, RecordSource } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import { ANNOT_VARIANTS } from "../../model/sync_crc.ts";
import type { MailboxReading } from "../place.ts";
import { type MailboxRow, readableAnnotations } from "./catalogue/mailbox_rows.ts";
import { readFiles } from "./commit/committed_files.ts";
import { openImage, readImageFiles, useKeptCrc } from "./commit/open_mailbox.ts";
import type { OwnerFolder } from "./commit/owner_folder.ts";

/**
 * The state of a mailbox; undefined if it was deleted meanwhile. Throws bad_data where its files
 * are damaged: no state is made of them.
 */
export function readState(folder: OwnerFolder, row: MailboxRow): MailboxState | undefined {
  if (row.intermediate) return intermediateState(row);
  const files = readFiles(folder, row.uniqueid, {
    names: ["cyrus.index", "cyrus.header"],
    indexBytes: INDEX_HEADER_BYTES,
  });
  if (files === undefined) return undefined;
  const { "cyrus.index": index, "cyrus.header": header } = files;
  if (index === undefined || header === undefined) throw damaged(row, "its files are missing");
  try {
    const { header: numbers, storedCrcs: crcs } = IndexImage.open(index, row.uniqueid);
    if (crcs?.stored !== crcs?.computed) throw damaged(row, "CRC mismatch in the index header");
    const headerImage = new HeaderImage(header);
    if (!headerImage.fits(numbers.headerFileCrc))
      throw damaged(row, "CRC mismatch of cyrus.header");
    const state = stateFrom(folder, row, { index: numbers, header: headerImage.file });
    if (row.annotVariant === undefined) return state;
    const kept = row.annotCrc;
    if (kept?.indexCrc === numbers.headerCrc) return { ...state, syncCrcAnnot: kept.crc };
  } catch (error) {
    throw error instanceof FormatError ? damaged(row, error.message) : error;
  }
  return stateOfImage(folder, row, openImage(folder, row));
}

function damaged(row: MailboxRow, what: string): AppError {
  return new AppError("bad_data", `Cannot serve mailbox ${row.name}: ${what}`, {
    context: { uniqueid: row.uniqueid, mailbox: row.name },
    hint: "Run `bobbin fsck` on the store.",
  });
}

/** The state of a mailbox whose image is in memory. */
function stateOfImage(folder: OwnerFolder, row: MailboxRow, image: MailboxImage): MailboxState {
  const state = stateFrom(folder, row, { index: image.index.header, header: image.header.file });
  const variant = ANNOT_VARIANTS.find(({ name }) => name === row.annotVariant);
  useKeptCrc(image, row);
  return variant === undefined ? state : { ...state, syncCrcAnnot: image.annotCrc(variant) };
}

function stateFrom(
  folder: OwnerFolder,
  row: MailboxRow,
  { index, header }: { readonly index: IndexHeader; readonly header: HeaderFile },
): MailboxState {
  return {
    ...row.details,
    uniqueid: row.uniqueid,
    name: row.name,
    syncCrc: index.syncCrc,
    syncCrcAnnot: index.syncCrcAnnot,
    lastUid: index.lastUid,
    highestmodseq: index.highestmodseq,
    recentUid: index.recentuid,
    recentTime: index.recenttime,
    lastAppenddate: index.lastAppenddate,
    pop3LastLogin: index.pop3LastLogin,
    pop3ShowAfter: index.pop3ShowAfter,
    uidvalidity: index.uidvalidity,
    options: optionLetters(index.options),
    ...(index.deletedmodseq === 0n ? {} : { deletedmodseq: index.deletedmodseq }),
    annotations: folder.read((database) => readableAnnotations(database, row.uniqueid)),
    userflags: header.userFlags.filter((flag) => flag !== undefined),
  };
}

function intermediateState(row: MailboxRow): MailboxState {
  return {
    ...row.details,
    ...{ uniqueid: row.uniqueid, name: row.name, syncCrc: 0, lastUid: 0 },
    highestmodseq: row.details.foldermodseq ?? 0n,
    ...{ recentUid: 0, recentTime: 0, lastAppenddate: 0, pop3LastLogin: 0, pop3ShowAfter: 0 },
    ...{ uidvalidity: 0, options: "", annotations: [] },
  };
}

/** A mailbox as of one commit, as plain data; an intermediate one has no files. */
export interface MailboxSnapshot {
  readonly state: MailboxState;
  readonly image?: {
    readonly uniqueid: string;
    readonly owner: Owner;
    readonly files: ImageFiles;
  };
}

/** The mailbox of `row` with its files; undefined if it was deleted. Throws bad_data for damage. */
export function snapshotOf(folder: OwnerFolder, row: MailboxRow): MailboxSnapshot | undefined {
  if (row.intermediate) return { state: intermediateState(row) };
  const files = readImageFiles(folder, row);
  const { owner } = folder;
  const state = stateOfImage(folder, row, imageOf(row.uniqueid, files, owner));
  return { state, image: { uniqueid: row.uniqueid, owner, files } };
}

/** A snapshot to be read: its records are checked and parsed as they are asked for. */
export function readingOf({ state, image }: MailboxSnapshot): MailboxReading {
  if (image === undefined) return { state, records: { batches: () => [] } };
  const { uniqueid, files, owner } = image;
  const sizes = Object.values(files).map((bytes) => bytes?.length ?? 0);
  const keptBytes = sizes.reduce((sum, size) => sum + size, 0);
  return { state, records: recordsOfImage(owner, imageOf(uniqueid, files, owner)), keptBytes };
}

/** The records of an image. One whose checksum is wrong ends them with an error. */
function recordsOfImage(whose: Owner, { index, header, annotations }: MailboxImage): RecordSource {
  const { owner } = storedForm(whose, index.table.version);
  const context = { header: index.header, userFlags: header.file.userFlags, owner };
  return mailRecords(index, (uid) => annotations.of(uid), context);
}
