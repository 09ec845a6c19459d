/**
 * What a record of an APPLY MAILBOX costs in memory from its arrival until the mailbox is durable:
 * in the main thread, on the way to the owner's thread, in the images of the mailbox's files and in
 * the journal. Measured as the growth of the process, with 100,000 records, with and without
 * annotations.
 */
import type { MailRecord } from "../model/record.ts";

const RECORD_BYTES = 2700;
const FLAG_BYTES = 100;
const ANNOTATION_BYTES = 3200;
/** Copies of the bytes of an annotation. */
const COPIES = 6;

/** Bytes that a record costs, roughly. */
export function costOf({ flags, annotations }: MailRecord): number {
  let bytes = RECORD_BYTES;
  for (const flag of flags) bytes += FLAG_BYTES + flag.length;
  for (const { entry, userid, value } of annotations) {
    const length = entry.length + (userid?.length ?? 0) + value.length;
    bytes += ANNOTATION_BYTES + COPIES * length;
  }
  return bytes;
}
