/**
 * The cache record of a message (spool-format 3), byte by byte as Cyrus writes it: ten items, each
 * with its length before it and zero bytes up to a multiple of four behind it. It is derived from
 * the message alone.
 */
import { fromLatin1, viewOf } from "../../core/bytes.ts";
import { headerText, parseMessage } from "../../formats/mime/message.ts";
import { searchAddresses, searchText } from "../../formats/mime/search_text.ts";
import { envelopeOf, nstring, structureOf } from "../../formats/mime/structure_text.ts";
import type { CacheDialect } from "./cache_dialect.ts";
import { cachedFields } from "./cached_fields.ts";
import { sectionItem } from "./section_item.ts";

/** The record of a whole message. */
export function cacheRecord(message: Uint8Array, dialect: CacheDialect): Uint8Array<ArrayBuffer> {
  const items = cacheItems(message, dialect);
  const record = new Uint8Array(items.reduce((sum, item) => sum + paddedLength(item), 0));
  const view = viewOf(record);
  let at = 0;
  for (const item of items) {
    view.setUint32(at, item.length);
    record.set(item, at + 4);
    at += paddedLength(item);
  }
  return record;
}

function paddedLength({ length }: Uint8Array): number {
  return 4 + Math.ceil(length / 4) * 4;
}

/**
 * The items in their order: envelope, bodystructure, body, section, headers, from, to, cc, bcc,
 * subject.
 */
export function cacheItems(message: Uint8Array, dialect: CacheDialect): readonly Uint8Array[] {
  const part = parseMessage(message);
  const { from, to, cc, bcc, subject } = part.fields;
  const decoded = subject === undefined ? undefined : searchText(subject, dialect);
  return [
    ...[envelopeOf(part), structureOf(part, true), structureOf(part, false)].map(fromLatin1),
    sectionItem({ message, part, dialect }),
    fromLatin1(cachedFields(headerText(message, part), dialect)),
    ...[from, to, cc, bcc].map((list) => fromLatin1(searchAddresses(list, dialect))),
    fromLatin1(nstring(decoded)),
  ];
}
