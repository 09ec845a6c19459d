/**
 * The header of cyrus.index by itself, and against what its records add up to: rows IX01, IX02, IX04,
 * IX05, IX07 to IX13, IX15 to IX17, IX19 and IX21.
 */
import { hex32 } from "../../core/bytes.ts";
import { INDEX_OPTION, OPTIONS_WRITTEN } from "../../formats/cyrus/index/index_flags.ts";
import type { IndexHeader } from "../../formats/cyrus/index/index_header.ts";
import {
  HEADER_FIELDS,
  type HeaderField,
  spareRanges,
} from "../../formats/cyrus/index/index_table.ts";
import type { IndexImage } from "../../mailbox/index_image.ts";
import type { MailboxSums } from "../../mailbox/sums.ts";
import type { IndexOpening } from "../../places/cyrus/mailbox/open_index.ts";
import { describeUnreadable } from "../unreadable.ts";
import type { Collector } from "./collector.ts";
import { crcFacts } from "./crc_facts.ts";

/** IX01: the index itself; undefined when there is none to read. */
export function checkIndexOpening(
  opening: IndexOpening,
  path: string,
  collector: Collector,
): IndexImage | undefined {
  if (opening.state === "open") return opening.image;
  const why =
    opening.state === "malformed"
      ? `cannot be read: expected ${opening.expected}`
      : describeUnreadable(opening);
  collector.add("IX01", { text: `cyrus.index ${why}`, path });
  return undefined;
}

/**
 * IX02, IX04, IX05 and IX15 to IX17. False when the CRC of the header is wrong: then no field of it
 * proves anything.
 */
export function checkIndexHeader(index: IndexImage, path: string, collector: Collector): boolean {
  const isTrusted = checkHeaderCrc(index, path, collector);
  if (index.missingRecords > 0) {
    const { numRecords } = index.header;
    const text = `index ends after ${index.recordCount} of ${numRecords} records`;
    const facts = { field: "num_records", expected: numRecords, found: index.recordCount };
    collector.add("IX04", { text, path, ...facts });
  }
  if (index.tailBytes > 0) collector.add("IX05", { path, found: index.tailBytes });
  if (isTrusted) checkFields(index, path, collector);
  return isTrusted;
}

function checkHeaderCrc(index: IndexImage, path: string, collector: Collector): boolean {
  const crcs = index.storedCrcs;
  if (crcs === undefined || crcs.stored === crcs.computed) return true;
  const crcAt = index.table.header.headerCrc?.offset ?? 0;
  const facts = crcFacts("index header CRC does not match", {
    ...crcs,
    covered: index.headerBytes.subarray(0, crcAt),
    base: 0,
    fields: HEADER_FIELDS.flatMap((name) => {
      const slot = index.table.header[name];
      return slot === undefined ? [] : [{ name, offset: slot.offset, size: slot.size }];
    }),
  });
  collector.add("IX02", { ...facts, path });
  return false;
}

/** Option bits that a reader may meet: what Cyrus writes, and the retired one. */
const OPTIONS_KNOWN = (OPTIONS_WRITTEN | INDEX_OPTION.condstore) >>> 0;

function checkFields(index: IndexImage, path: string, collector: Collector): void {
  const { header, table, headerBytes } = index;
  if (header.uidvalidity === 0) collector.add("IX15", { path, field: "uidvalidity", found: 0 });
  if (table.header.highestmodseq !== undefined && header.highestmodseq === 0n) {
    const text = "highestmodseq is 0";
    collector.add("IX16", { text, path, field: "highestmodseq", found: 0 });
  }
  if (header.deletedmodseq > header.highestmodseq) {
    collector.add("IX16", {
      text: "deletedmodseq above highestmodseq",
      path,
      field: "deletedmodseq",
      expected: header.highestmodseq,
      found: header.deletedmodseq,
    });
  }
  const reserved = (header.options & ~OPTIONS_KNOWN) >>> 0;
  // Versions 6 and 7 know one option only, and other bits there come from what the field once was.
  if (reserved !== 0 && table.version >= 8) {
    const text = "reserved option bits set";
    collector.add("IX17", { text, path, field: "options", found: hex32(reserved) });
  }
  for (const [start, end] of spareRanges(table)) {
    const at = headerBytes.subarray(start, end).findIndex((byte) => byte !== 0);
    if (at !== -1) {
      collector.add("IX17", { text: "spare header bytes not zero", path, found: start + at });
    }
  }
}

interface SumsContext {
  readonly path: string;
  readonly collector: Collector;
  /** What the sync checksums cover beside the records themselves. */
  readonly known: { readonly userFlags: boolean; readonly annotations: boolean };
}

/** The header's sums against those of the records. Only for a trusted header over good records. */
export function checkSums(
  { header, table }: IndexImage,
  sums: MailboxSums,
  context: SumsContext,
): void {
  const { path, collector } = context;
  // What a crash between records and header leaves (legal state L6): records that are newer than the
  // header, all of them sound. Cyrus makes the header right at the next opening for writing.
  const surplus = sums.maxModseq - header.highestmodseq;
  const half = table.version >= 12 && surplus > 0n && surplus < 1n << 32n;
  const severity = half ? { severity: "info" as const } : {};
  const compare = (code: string, field: HeaderField, expected: number | bigint) => {
    if (table.header[field] === undefined || header[field] === expected) return;
    const text = `${FIELD_WORDS[field] ?? field} is ${header[field]}, its records say ${expected}`;
    collector.add(code, { ...severity, text, path, field, expected, found: header[field] });
  };
  if (sums.maxUid > header.lastUid) {
    const text = `UID ${sums.maxUid} is above last_uid ${header.lastUid}`;
    const facts = { path, field: "lastUid", expected: sums.maxUid, found: header.lastUid };
    collector.add("IX07", { text, uid: sums.maxUid, ...facts });
  }
  if (surplus > 0n && table.header.highestmodseq !== undefined) {
    const text = `modseq ${sums.maxModseq} is above highestmodseq ${header.highestmodseq}`;
    const facts = { field: "highestmodseq", expected: sums.maxModseq, found: header.highestmodseq };
    collector.add("IX08", { ...severity, text, uid: sums.maxModseqUid, path, ...facts });
  }
  for (const field of ["exists", "answered", "flagged", "deleted"] as const) {
    compare("IX09", field, sums[field]);
  }
  compare("IX10", "unseen", sums.unseen);
  compare("IX11", "quotaMailboxUsed", BigInt(sums.mailboxBytes));
  compare("IX11", "quotaDeletedUsed", BigInt(sums.deletedBytes));
  compare("IX11", "quotaExpungedUsed", BigInt(sums.expungedBytes));
  checkSyncCrcs(header, sums, { compare, severity, ...context });
  if (table.header.firstExpunged !== undefined) checkFirstExpunged(header, sums, context);
}

function checkSyncCrcs(
  header: IndexHeader,
  sums: MailboxSums,
  context: SumsContext & {
    readonly compare: (code: string, field: HeaderField, expected: number) => void;
    readonly severity: { readonly severity?: "info" };
  },
): void {
  const { path, collector, severity, known } = context;
  if (header.minorVersion < 12) return;
  if (known.userFlags && header.syncCrc !== sums.syncCrc) {
    const crcs = { expected: hex32(sums.syncCrc), found: hex32(header.syncCrc) };
    const text = `sync CRC is ${crcs.found}, its records say ${crcs.expected}`;
    collector.add("IX12", { ...severity, text, path, field: "synccrcs.basic", ...crcs });
  }
  if (header.minorVersion < 13 || !known.annotations || header.syncCrcAnnot === 0) return;
  const annots = sums.annotCrcs;
  if (annots.includes(header.syncCrcAnnot)) return;
  const crcs = { expected: annots.map(hex32).join(" or "), found: hex32(header.syncCrcAnnot) };
  const text = `annotation sync CRC is ${crcs.found}, its records say ${crcs.expected}`;
  collector.add("IX13", { ...severity, text, path, field: "synccrcs.annot", ...crcs });
}

function checkFirstExpunged(
  header: IndexHeader,
  sums: MailboxSums,
  { path, collector }: { readonly path: string; readonly collector: Collector },
): void {
  const oldest = sums.firstExpunged;
  const missing = header.firstExpunged === 0 && oldest !== 0;
  if (!missing && (oldest === 0 || header.firstExpunged <= oldest)) return;
  const facts = { field: "firstExpunged", expected: oldest, found: header.firstExpunged };
  collector.add("IX19", { path, ...facts });
}

const FIELD_WORDS: Partial<Record<HeaderField, string>> = {
  quotaMailboxUsed: "quota_mailbox_used",
  quotaDeletedUsed: "quota_deleted_used",
  quotaExpungedUsed: "quota_expunged_used",
};
