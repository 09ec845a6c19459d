/**
 * The header of cyrus.index by itself, and against what its records add up to: rows IX01, IX02,
 * IX04, IX05, IX07 to IX13, IX15 to IX17, IX19 and IX21.
 */
import { INDEX_OPTION, OPTIONS_WRITTEN } from "../../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../../formats/cyrus/index/index_header.ts";
import {
  HEADER_FIELDS,
  type HeaderField,
  spareRanges,
} from "../../formats/cyrus/index/index_table.ts";
import type { IndexImage } from "../../mailbox/index_image.ts";
import type { MailboxSums } from "../../mailbox/sums.ts";
import type { IndexOpening } from "../../places/cyrus/mailbox/opened_mailbox.ts";
import type { Collector } from "./collector.ts";
import { explainCrc } from "./explain_crc.ts";

/** IX01: the index itself; undefined when there is none to read. */
export function checkIndexOpening(
  opening: IndexOpening,
  path: string,
  collector: Collector,
): IndexImage | undefined {
  if (opening.state === "open") return opening.image;
  const { state } = opening;
  const fault = state === "malformed" ? { state, expected: opening.expected } : opening;
  collector.add("IX01", { path }, { fault });
  return undefined;
}

/** IX02, IX04, IX05, IX15 to IX17. False where the header's CRC is wrong: no field counts then. */
export function checkIndexHeader(index: IndexImage, path: string, collector: Collector): boolean {
  const isTrusted = checkHeaderCrc(index, path, collector);
  if (index.missingRecords > 0) {
    const records = { expected: index.header.numRecords, found: index.recordCount };
    collector.add("IX04", { path }, records);
  }
  if (index.tailBytes > 0) collector.add("IX05", { path }, { bytes: index.tailBytes });
  if (isTrusted) checkFields(index, path, collector);
  return isTrusted;
}

function checkHeaderCrc(index: IndexImage, path: string, collector: Collector): boolean {
  const crcs = index.storedCrcs;
  if (crcs === undefined || crcs.stored === crcs.computed) return true;
  const crcAt = index.table.header.headerCrc?.offset ?? 0;
  const fields = HEADER_FIELDS.flatMap((name) => {
    const slot = index.table.header[name];
    return slot === undefined ? [] : [{ name, offset: slot.offset, size: slot.size }];
  });
  const bytes = index.headerBytes.subarray(0, crcAt);
  collector.add("IX02", { path }, explainCrc(crcs, { bytes, base: 0, fields }));
  return false;
}

/** Option bits that a reader may meet: what Cyrus writes, and the retired one. */
const OPTIONS_KNOWN = (OPTIONS_WRITTEN | INDEX_OPTION.condstore) >>> 0;

function checkFields(index: IndexImage, path: string, collector: Collector): void {
  const { header, table, headerBytes } = index;
  if (header.uidvalidity === 0) collector.add("IX15", { path });
  if (table.header.highestmodseq !== undefined && header.highestmodseq === 0n) {
    collector.add("IX16", { path }, { what: "no_highest" });
  }
  const { deletedmodseq, highestmodseq } = header;
  if (deletedmodseq > highestmodseq) {
    const modseqs = { expected: highestmodseq, found: deletedmodseq };
    collector.add("IX16", { path }, { what: "deletedmodseq", ...modseqs });
  }
  const reserved = (header.options & ~OPTIONS_KNOWN) >>> 0;
  // Versions 6 and 7 know one option only; other bits come from an earlier use of the field.
  if (reserved !== 0 && table.version >= 8) collector.add("IX17", { path }, { options: reserved });
  for (const [start, end] of spareRanges(table)) {
    const at = headerBytes.subarray(start, end).findIndex((byte) => byte !== 0);
    if (at !== -1) collector.add("IX17", { path }, { spareByteAt: start + at });
  }
}

interface SumsContext {
  readonly path: string;
  readonly collector: Collector;
  /** What the sync checksums cover beside the records themselves. */
  readonly known: { readonly userFlags: boolean; readonly annotations: boolean };
}

type Sum = number | bigint;

/** The header's sums against those of the records. Only for a trusted header over good records. */
export function checkSums(
  { header, table }: IndexImage,
  sums: MailboxSums,
  context: SumsContext,
): void {
  const { path, collector } = context;
  const { maxUid, maxModseq, maxModseqUid } = sums;
  const { lastUid, highestmodseq } = header;
  // Records that are newer than the header, but not by so much that their modseqs are damaged.
  const surplus = maxModseq - highestmodseq;
  const inCommit = table.version >= 12 && surplus > 0n && surplus < 1n << 32n;
  const compare = (code: "IX09" | "IX10" | "IX11", field: HeaderField, expected: Sum) => {
    const found = header[field];
    if (table.header[field] === undefined || found === expected) return;
    collector.add(code, { path }, { field, expected, found, inCommit });
  };
  if (maxUid > lastUid) {
    collector.add("IX07", { uid: maxUid, path }, { expected: maxUid, found: lastUid });
  }
  if (surplus > 0n && table.header.highestmodseq !== undefined) {
    const modseqs = { expected: maxModseq, found: highestmodseq };
    collector.add("IX08", { uid: maxModseqUid, path }, { what: "header", ...modseqs, inCommit });
  }
  for (const field of ["exists", "answered", "flagged", "deleted"] as const) {
    compare("IX09", field, sums[field]);
  }
  compare("IX10", "unseen", sums.unseen);
  compare("IX11", "quotaMailboxUsed", BigInt(sums.mailboxBytes));
  compare("IX11", "quotaDeletedUsed", BigInt(sums.deletedBytes));
  compare("IX11", "quotaExpungedUsed", BigInt(sums.expungedBytes));
  checkSyncCrcs(header, sums, { inCommit, ...context });
  if (table.header.firstExpunged !== undefined) checkFirstExpunged(header, sums, context);
}

function checkSyncCrcs(
  header: IndexHeader,
  sums: MailboxSums,
  context: SumsContext & { readonly inCommit: boolean },
): void {
  const { path, collector, inCommit, known } = context;
  const { syncCrc: found, syncCrcAnnot } = header;
  if (header.minorVersion < 12) return;
  if (known.userFlags && found !== sums.syncCrc) {
    collector.add("IX12", { path }, { expected: sums.syncCrc, found, inCommit });
  }
  if (header.minorVersion < 13 || !known.annotations || syncCrcAnnot === 0) return;
  const expected = sums.annotCrcs;
  if (expected.includes(syncCrcAnnot)) return;
  collector.add("IX13", { path }, { expected, found: syncCrcAnnot, inCommit });
}

function checkFirstExpunged(
  header: IndexHeader,
  sums: MailboxSums,
  { path, collector }: { readonly path: string; readonly collector: Collector },
): void {
  const oldest = sums.firstExpunged;
  const missing = header.firstExpunged === 0 && oldest !== 0;
  if (!missing && (oldest === 0 || header.firstExpunged <= oldest)) return;
  collector.add("IX19", { path }, { expected: oldest, found: header.firstExpunged });
}
