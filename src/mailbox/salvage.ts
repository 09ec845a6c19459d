/**
 * What proves sound of a mailbox whose files are damaged, as files that are sound again: the
 * records that pass their CRC, those of which one wrong byte explains the CRC, and as much of the
 * header as can be proven or is known from elsewhere (spool-format 10, IX01 to IX06 and HD01). What
 * is lost is named: it may have been there, so that nobody takes it for deleted.
 */
import { assert } from "../core/assert.ts";
import { concat, viewOf } from "../core/bytes.ts";
import { FormatError } from "../core/errors.ts";
import { parseMessageAnnotation } from "../formats/cyrus/annotations_db.ts";
import { readDatabase } from "../formats/cyrus/databases/database.ts";
import { writeTwoskip } from "../formats/cyrus/databases/twoskip_writer.ts";
import {
  BLANK_HEADER_FILE,
  type HeaderFile,
  printHeaderFile,
} from "../formats/cyrus/header_file.ts";
import {
  blankIndexHeader,
  type IndexHeader,
  indexHeaderCrcs,
  parseIndexHeader,
  printIndexHeader,
} from "../formats/cyrus/index/index_header.ts";
import { parseIndexRecord } from "../formats/cyrus/index/index_record.ts";
import { INDEX_TABLES, type IndexTable } from "../formats/cyrus/index/index_table.ts";
import { crc32 } from "../hash/crc32.ts";
import { locateByteError } from "../hash/crc32_locate.ts";
import type { Lost } from "../model/mailbox.ts";
import { useridOf } from "../model/names.ts";
import type { UidRange } from "../model/sequence_set.ts";
import { ANNOT_VARIANTS } from "../model/sync_crc.ts";
import { annotationsIn, readAnnotations } from "./annotation_image.ts";
import { HeaderImage } from "./header_image.ts";
import { badRecordCrcs } from "./index_records.ts";
import { addSums, MailboxSums, withoutSums } from "./sums.ts";
import { UidGaps } from "./uid_gaps.ts";

/** The bytes of each file as found; undefined where there is none. */
export interface DamagedFiles {
  readonly header: Uint8Array | undefined;
  readonly index: Uint8Array | undefined;
  readonly annotations: Uint8Array | undefined;
}

/** What other sources say of the mailbox. */
export interface KnownElsewhere {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid: string | undefined;
  readonly uidvalidity: number | undefined;
  readonly acl: string | undefined;
}

/** Files that are sound, and what is not in them. */
export interface Salvaged {
  readonly header: Uint8Array;
  readonly index: Uint8Array;
  readonly annotations: Uint8Array | undefined;
  readonly lost: Lost;
}

/** Salvages a mailbox; the text says what is missing to do so. */
export function salvage(files: DamagedFiles, known: KnownElsewhere): Salvaged | string {
  if (files.index === undefined) return "there is no cyrus.index";
  const parts: string[] = [];
  const found = readDamagedIndex(files.index, parts);
  if (typeof found === "string") return found;
  const uidvalidity = found.header?.uidvalidity ?? known.uidvalidity;
  if (!uidvalidity) return "its UIDVALIDITY is lost with the header of cyrus.index";
  const header = salvageHeader(files.header, {
    recorded: found.header?.headerFileCrc,
    known,
    parts,
  });
  if (header === undefined) return "its uniqueid is lost with cyrus.header";
  const annotations = salvageAnnotations(files.annotations, parts);
  const base = found.header ?? { ...blankIndexHeader(found.table), uidvalidity };
  const index = printIndex(
    { ...found, header: base },
    { header: header.bytes, annotations, known },
  );
  const lost = { parts, uids: found.lost, fields: !header.isWhole || !annotations.isWhole };
  return { header: header.bytes, index, annotations: annotations.bytes, lost };
}

/** The records of an index that prove sound, each with the bytes it has or had. */
interface FoundIndex {
  readonly table: IndexTable;
  /** Undefined where it is damaged beyond proof. */
  readonly header: IndexHeader | undefined;
  readonly records: readonly Uint8Array[];
  readonly lost: readonly UidRange[];
}

function readDamagedIndex(bytes: Uint8Array, parts: string[]): FoundIndex | string {
  for (const table of INDEX_TABLES) {
    const header = soundHeader(bytes, table);
    if (header !== undefined)
      return { table, header, ...readRecords(bytes, { table, header, parts }) };
  }
  const table = tableByRecords(bytes);
  if (table === undefined) return "cyrus.index has neither a sound header nor a sound record";
  parts.push("the header of cyrus.index");
  return { table, header: undefined, ...readRecords(bytes, { table, header: undefined, parts }) };
}

/** The header, if it is one of this layout and right, or right but for one byte. */
function soundHeader(bytes: Uint8Array, table: IndexTable): IndexHeader | undefined {
  const head = bytes.subarray(0, table.headerSize);
  if (head.length < table.headerSize) return undefined;
  const crcs = indexHeaderCrcs(head, table);
  const slot = table.header.headerCrc;
  const mended = crcs && slot ? mendedBytes(head, { ...crcs, covered: slot.offset }) : head;
  if (mended === undefined) return undefined;
  try {
    const header = parseIndexHeader(mended);
    const { version, recordSize } = table;
    return header.minorVersion === version && header.recordSize === recordSize ? header : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/**
 * `bytes` as they were when their checksum was made, if at most one byte has changed since; the
 * checksum itself, which follows the `covered` bytes, is left to whoever prints them.
 */
function mendedBytes(
  bytes: Uint8Array,
  { stored, computed, covered }: { stored: number; computed: number; covered: number },
): Uint8Array | undefined {
  if (stored === computed) return bytes;
  const error = locateByteError(stored, computed, covered);
  if (error === undefined) return undefined;
  if (error.place.in === "checksum") return bytes;
  const mended = bytes.slice();
  const { offset } = error.place;
  mended[offset] = (mended[offset] ?? 0) ^ error.mask;
  return mended;
}

/** Records that are looked at to tell which version wrote them. */
const PROBED_RECORDS = 256;

/** The layout in which most of the first records pass their CRC; undefined where none does. */
function tableByRecords(bytes: Uint8Array): IndexTable | undefined {
  let best: { readonly table: IndexTable; readonly sound: number } | undefined;
  for (const table of INDEX_TABLES.filter(({ recordAt }) => recordAt.recordCrc >= 0)) {
    const room = Math.floor((bytes.length - table.headerSize) / table.recordSize);
    const count = Math.min(PROBED_RECORDS, room);
    if (count <= 0) continue;
    const sound = count - badRecordCrcs(bytes, { table, at: table.headerSize, count }).length;
    if (sound > (best?.sound ?? 0)) best = { table, sound };
  }
  return best?.table;
}

interface IndexPart {
  readonly table: IndexTable;
  readonly header: IndexHeader | undefined;
  readonly parts: string[];
}

function readRecords(
  bytes: Uint8Array,
  { table, header, parts }: IndexPart,
): Pick<FoundIndex, "records" | "lost"> {
  const { headerSize, recordSize, recordAt } = table;
  const room = Math.max(0, Math.floor((bytes.length - headerSize) / recordSize));
  const wanted = header?.numRecords ?? room;
  const count = Math.min(wanted, room);
  const bad = new Set(badRecordCrcs(bytes, { table, at: headerSize, count }));
  const records: Uint8Array[] = [];
  const gaps = new UidGaps();
  for (let number = 0; number < count; number++) {
    const at = headerSize + number * recordSize;
    const found = bytes.subarray(at, at + recordSize);
    const shown = viewOf(found).getUint32(recordAt.uid);
    const record = bad.has(number) ? mendedRecord(found, recordAt.recordCrc) : found;
    const uid = record && viewOf(record).getUint32(recordAt.uid);
    if (
      record === undefined ||
      uid === undefined ||
      uid <= gaps.lastUid ||
      !isRecord(record, table)
    ) {
      parts.push(`record ${number + 1} of cyrus.index (its UID seems to be ${shown})`);
      gaps.open();
      continue;
    }
    records.push(record);
    gaps.pass(uid);
  }
  if (wanted > count) parts.push(`${wanted - count} records behind the end of cyrus.index`);
  if (wanted > count || header === undefined) gaps.open();
  return { records, lost: gaps.ranges };
}

function mendedRecord(found: Uint8Array, covered: number): Uint8Array | undefined {
  const stored = viewOf(found).getUint32(covered);
  return mendedBytes(found, { stored, computed: crc32(found.subarray(0, covered)), covered });
}

function isRecord(record: Uint8Array, table: IndexTable): boolean {
  try {
    parseIndexRecord(viewOf(record), 0, table);
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

interface HeaderPart {
  /** The CRC that the index holds of the file; 0 or undefined where that is not known. */
  readonly recorded: number | undefined;
  readonly known: KnownElsewhere;
  readonly parts: string[];
}

/** cyrus.header as it is, if it is proven, or made anew; undefined without a uniqueid. */
function salvageHeader(
  found: Uint8Array | undefined,
  { recorded = 0, known, parts }: HeaderPart,
): { readonly bytes: Uint8Array; readonly isWhole: boolean } | undefined {
  const bytes = found === undefined || recorded === 0 ? found : mendedHeader(found, recorded);
  const sound = bytes && parsedHeader(bytes);
  if (bytes !== undefined && sound !== undefined) return { bytes, isWhole: true };
  parts.push("cyrus.header, with the names of the keywords");
  const { name, uniqueid = parsedHeader(found)?.uniqueid, acl } = known;
  if (uniqueid == null) return undefined;
  const anew: HeaderFile = { ...BLANK_HEADER_FILE, name, uniqueid, acl };
  return { bytes: printHeaderFile(anew), isWhole: false };
}

function mendedHeader(found: Uint8Array, recorded: number): Uint8Array | undefined {
  const crcs = { stored: recorded, computed: crc32(found), covered: found.length };
  return mendedBytes(found, crcs);
}

function parsedHeader(bytes: Uint8Array | undefined): HeaderFile | undefined {
  try {
    return bytes && new HeaderImage(bytes).file;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

interface SalvagedAnnotations {
  readonly bytes: Uint8Array | undefined;
  readonly isWhole: boolean;
}

/** The annotations that can be read, in a database of their own. */
function salvageAnnotations(found: Uint8Array | undefined, parts: string[]): SalvagedAnnotations {
  if (found === undefined) return { bytes: undefined, isWhole: true };
  const reading = readAnnotations(found);
  if (reading.kind === "read" && reading.problems.length === 0) {
    return { bytes: found, isWhole: true };
  }
  parts.push("a part of cyrus.annotations");
  const contents = readDatabase(found, { expected: "twoskip" });
  if (contents.kind === "unsupported") return { bytes: undefined, isWhole: false };
  const entries = contents.entries.filter((entry) => {
    try {
      return !parseMessageAnnotation(entry).deleted;
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  });
  return { bytes: writeTwoskip(entries), isWhole: false };
}

interface PrintPart {
  readonly header: Uint8Array;
  readonly annotations: SalvagedAnnotations;
  readonly known: KnownElsewhere;
}

/** The index with its records, and a header that counts them. */
function printIndex(
  { table, header: base, records }: FoundIndex & { readonly header: IndexHeader },
  { header: headerFile, annotations, known }: PrintPart,
): Uint8Array {
  const reading = annotations.bytes && readAnnotations(annotations.bytes);
  const sums = new MailboxSums({
    header: base,
    userFlags: new HeaderImage(headerFile).flagCrcs,
    annotations: annotationsIn(reading?.kind === "read" ? reading.byUid : undefined),
    owner: useridOf(known.name) ?? "",
  });
  for (const record of records) sums.add(parseIndexRecord(viewOf(record), 0, table));
  const variant = ANNOT_VARIANTS[table.version >= 20 ? 1 : 0];
  assert(variant !== undefined, "there is a form of the annotation checksum");
  const header = addSums(withoutSums(base, { variant, annotationBytes: 0 }), sums, {
    table,
    variant,
  });
  const highest = sums.maxModseq > base.highestmodseq ? sums.maxModseq : base.highestmodseq;
  const printed = printIndexHeader({
    ...header,
    numRecords: records.length,
    lastUid: Math.max(base.lastUid, sums.maxUid),
    highestmodseq: highest || 1n,
    headerFileCrc: crc32(headerFile),
  });
  return concat([printed, ...records.map((record) => withCrc(record, table))]);
}

/** A record whose checksum, which may have been what was wrong, fits its bytes. */
function withCrc(record: Uint8Array, { recordAt }: IndexTable): Uint8Array {
  const at = recordAt.recordCrc;
  if (at < 0) return record;
  const copy = record.slice();
  viewOf(copy).setUint32(at, crc32(record.subarray(0, at)));
  return copy;
}
