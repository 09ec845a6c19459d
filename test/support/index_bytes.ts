/** Values and damage for tests of cyrus.index. */
import fc from "fast-check";
import { viewOf } from "../../src/core/bytes.ts";
import {
  blankIndexHeader,
  type IndexHeader,
  indexHeaderCrcs,
  indexTableOf,
} from "../../src/formats/cyrus/index/index_header.ts";
import { type IndexRecord, recordCrcs } from "../../src/formats/cyrus/index/index_record.ts";
import {
  type HeaderField,
  type IndexTable,
  type RecordField,
  readField,
  type Slot,
  writeField,
} from "../../src/formats/cyrus/index/index_table.ts";

const u16 = fc.nat({ max: 0xffff });
const u32 = fc.oneof(fc.nat({ max: 0xffff_ffff }), fc.constantFrom(0, 1, 0x8000_0000, 0xffff_ffff));
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const subseconds = fc.nat({ max: 999_999_999 });

/** Seconds whose nanoseconds fit 64 bits. */
const wideSeconds = fc.nat({ max: 18_446_744_072 });

/** Any header that `table` can hold. */
export function anyHeader(table: IndexTable): fc.Arbitrary<IndexHeader> {
  const fields: Record<string, fc.Arbitrary<number | bigint>> = {};
  const blank = blankIndexHeader(table);
  for (const [field, slot] of Object.entries(table.header)) {
    if (["minorVersion", "startOffset", "recordSize"].includes(field)) continue;
    const wide = slot.size === 8;
    const isBigint = typeof blank[field as HeaderField] === "bigint";
    if (isBigint) fields[field] = wide ? u64 : u32.map(BigInt);
    else fields[field] = wide ? wideSeconds : u32;
  }
  return fc.record(fields).map((values) => ({ ...blank, ...values }) as IndexHeader);
}

/** Any record that `table` can hold. */
export function anyRecord(table: IndexTable): fc.Arbitrary<IndexRecord> {
  const has = <Value>(field: RecordField, value: fc.Arbitrary<Value>, absent: Value) =>
    table.record[field] === undefined ? fc.constant(absent) : value;
  const time = table.wideRecord ? wideSeconds : u32;
  const guid = fc
    .uint8Array({ minLength: table.guidBytes, maxLength: table.guidBytes })
    .map((bytes) => Buffer.from(bytes).toString("hex").padEnd(40, "0"));
  const record = fc.record({
    uid: u32,
    internaldate: time,
    internaldateNsec: table.wideRecord ? subseconds : fc.constant(0),
    sentdate: time,
    size: table.wideRecord ? fc.maxSafeNat() : u32,
    headerSize: u32,
    contentOffset: has("contentOffset", u32, 0),
    gmtime: has("gmtime", time, 0),
    cacheOffset: fc.tuple(u16, u32).map(([high, low]) => high * 2 ** 32 + low),
    lastUpdated: time,
    systemFlags: u32,
    userFlags: fc.tuple(u32, u32, u32, u32),
    contentLines: has("contentLines", u32, 0),
    savedate: has("savedate", time, 0),
    cacheVersion: u16,
    guid,
    modseq: has("modseq", u64, 0n),
    cid: has("cid", u64, 0n),
    createdmodseq: has("createdmodseq", u64, 0n),
    basecid: has("basecid", u64, 0n),
    cacheCrc: has("cacheCrc", u32, 0),
    recordCrc: fc.constant(0),
  });
  const odd = fc.record({ sentdate: fc.integer({ min: 1, max: 999_999_999 }) });
  if (!table.wideRecord) return record;
  return fc.oneof(
    record,
    fc.tuple(record, odd).map(([value, rest]) => ({ ...value, subseconds: rest })),
  );
}

/** Sets a field of the header in `index` and makes the checksum right again. */
export function plantInHeader(index: Uint8Array, field: HeaderField, value: bigint): void {
  const table = indexTableOf(index);
  writeField(viewOf(index), 0, slotOf(table.header[field], field), value);
  const crc = table.header.headerCrc;
  if (crc === undefined) return;
  const computed = indexHeaderCrcs(index, table)?.computed ?? 0;
  writeField(viewOf(index), 0, crc, BigInt(computed));
}

/**
 * Sets a field of record number `number` (from 0) in `index` and makes the checksum right again.
 */
export function plantInRecord(
  index: Uint8Array,
  number: number,
  plant: { readonly field: RecordField; readonly value: bigint },
): void {
  const table = indexTableOf(index);
  const base = table.headerSize + number * table.recordSize;
  writeField(viewOf(index), base, slotOf(table.record[plant.field], plant.field), plant.value);
  const crc = table.record.recordCrc;
  if (crc === undefined) return;
  writeField(viewOf(index), base, crc, BigInt(recordCrcs(index, base, table)?.computed ?? 0));
}

/** A field of record number `number` (from 0) in `index`, as it lies there. */
export function rawRecordField(index: Uint8Array, number: number, field: RecordField): bigint {
  const table = indexTableOf(index);
  const base = table.headerSize + number * table.recordSize;
  return readField(viewOf(index), base, slotOf(table.record[field], field));
}

function slotOf(slot: Slot | undefined, field: string): Slot {
  if (slot === undefined) throw new Error(`this version has no ${field}`);
  return slot;
}
