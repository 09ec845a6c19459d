/** The files of an owner's mailbox as an image, in the form of checksums that they have. */
import { viewOf } from "../core/bytes.ts";
import { bytesAt } from "../core/file_source.ts";
import type { Owner } from "../model/names.ts";
import { ANNOT_VARIANTS } from "../model/sync_crc.ts";
import { type CrcForm, type ImageSource, MailboxImage } from "./mailbox_image.ts";

/** The form of the CRCs in a mailbox's files: that of the Cyrus that reads its index version. */
export function storedForm(owner: Owner, indexVersion: number): CrcForm {
  const variant = indexVersion >= 20 ? ANNOT_VARIANTS[1] : ANNOT_VARIANTS[0];
  return { variant, owner: owner.kind === "user" ? owner.userid : "" };
}

/** Byte 8 of every cyrus.index. */
const VERSION_OFFSET = 8;

/** A mailbox of `owner` from its files. Damage is an error. */
export function imageOf(uniqueid: string, files: ImageSource, owner: Owner): MailboxImage {
  const index = files["cyrus.index"];
  const length = VERSION_OFFSET + 4;
  const head = index === undefined ? new Uint8Array() : bytesAt(index, { offset: 0, length });
  const isShort = head.length < length;
  const version = isShort ? 0 : viewOf(head).getUint32(VERSION_OFFSET);
  return MailboxImage.open(uniqueid, files, storedForm(owner, version));
}

/**
 * Adds so many bytes of annotations of the mailbox itself to its sum, which is never below 0: rows
 * that the sum has not counted may be gone.
 */
export function countAnnotationBytes({ index }: MailboxImage, more: number): void {
  const used = index.header.quotaAnnotUsed + BigInt(more);
  index.setSums({ quotaAnnotUsed: used < 0n ? 0n : used });
}
