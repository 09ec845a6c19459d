/** The messages that a cyrus.index lists, as the state counts them (backup-format.md 3). */
import { FormatError } from "../../../core/errors.ts";
import { hasBit, INTERNAL_FLAG } from "../../../formats/cyrus/index/index_flags.ts";
import { parseIndexRecord } from "../../../formats/cyrus/index/index_record.ts";
import { IndexImage } from "../../../mailbox/index_image.ts";
import type { ListedMessage } from "./reduce.ts";

/** Before this version records have no SHA-1 and no checksums. */
const OLDEST_VERSION = 10;

/**
 * The records of an index whose header is sound; the checksum of a record is not looked at, as
 * upstream does not, so that both keep the same state of the same archive.
 */
export function listedIn(
  bytes: Uint8Array,
):
  | { readonly kind: "read"; readonly records: Iterable<ListedMessage> }
  | { readonly kind: "unreadable"; readonly why: string } {
  try {
    const index = IndexImage.open(bytes, "cyrus.index");
    const { table, storedCrcs: crcs, missingRecords } = index;
    if (table.version < OLDEST_VERSION) {
      return { kind: "unreadable", why: `an index of version ${table.version}` };
    }
    if (crcs !== undefined && crcs.stored !== crcs.computed) {
      return { kind: "unreadable", why: "the header of the index fails its CRC" };
    }
    if (missingRecords > 0) {
      return { kind: "unreadable", why: `the index lacks ${missingRecords} of its records` };
    }
    return { kind: "read", records: messagesOf(index) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { kind: "unreadable", why: error.message };
  }
}

function* messagesOf(index: IndexImage): Generator<ListedMessage, void> {
  const { table } = index;
  for (const { view, count } of index.pieces()) {
    for (let at = 0; at < count; at++) {
      const { uid, guid, systemFlags } = parseIndexRecord(view, at * table.recordSize, table);
      yield { uid, guid, unlinked: hasBit(systemFlags, INTERNAL_FLAG.unlinked) };
    }
  }
}
