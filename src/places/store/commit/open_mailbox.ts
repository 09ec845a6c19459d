/** Opens a mailbox of the store for a transaction or a reader. */
import { AppError } from "../../../core/errors.ts";
import { IndexImage } from "../../../mailbox/index_image.ts";
import { IMAGE_FILES, type ImageFiles, type MailboxImage } from "../../../mailbox/mailbox_image.ts";
import { imageOf } from "../../../mailbox/owner_image.ts";
import { ANNOT_VARIANTS } from "../../../model/sync_crc.ts";
import type { MailboxRow } from "../catalogue/mailbox_rows.ts";
import { lockedFiles, peekIndex, readFiles } from "./committed_files.ts";
import type { OwnerFolder } from "./owner_folder.ts";

/** The mailbox of `row` as last committed. Damage, or files that are gone, is an error. */
export function openImage(folder: OwnerFolder, row: MailboxRow): MailboxImage {
  return imageOf(row.uniqueid, readImageFiles(folder, row), folder.owner);
}

/**
 * The mailbox of `row` within a transaction, where its files stand still: of index and annotations
 * only what is needed is read. Each record is checked when it is, as always; the sums of the others
 * are in the header, which has its own checksum.
 */
export function openForChange(folder: OwnerFolder, row: MailboxRow): MailboxImage {
  return imageOf(row.uniqueid, lockedFiles(folder, row.uniqueid), folder.owner);
}

/** True where the mailbox of `row` has a record with `uid`. */
export function hasRecord(folder: OwnerFolder, row: MailboxRow, uid: number): boolean {
  const { uniqueid } = row;
  const found = peekIndex(folder, uniqueid, (file) =>
    IndexImage.openSound(file, `${uniqueid}/cyrus.index`).find(uid),
  );
  const number = found === undefined ? openImage(folder, row).index.find(uid) : found.value;
  return number !== undefined;
}

/** Tells `image` the SYNC_CRC_ANNOT that the catalogue keeps, if it is of this index. */
export function useKeptCrc(image: MailboxImage, row: MailboxRow): void {
  const variant = ANNOT_VARIANTS.find(({ name }) => name === row.annotVariant);
  const kept = row.annotCrc;
  if (variant === undefined || kept?.indexCrc !== image.index.headerCrcs.before) return;
  image.knowAnnotCrc(variant, kept.crc);
}

/** The files of which `imageOf` makes the mailbox of `row`. */
export function readImageFiles(folder: OwnerFolder, row: MailboxRow): ImageFiles {
  const files = readFiles(folder, row.uniqueid, { names: IMAGE_FILES });
  if (files !== undefined) return files;
  throw new AppError("not_found", `Mailbox ${row.name} was deleted meanwhile`);
}
