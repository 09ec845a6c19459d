/** What may be sent of a command, so that no server dies of it (sync-protocol.md 2.3, 4.4, 5.5). */
import type { DlistEntry, DlistValue } from "../../formats/dlist/value.ts";
import type { MailRecord } from "../../model/record.ts";

/** Bytes of the longest string in an entry. */
export function longestString({ value }: DlistEntry): number {
  return longest(value);
}

function longest(value: DlistValue): number {
  switch (value.kind) {
    case "string":
    case "flag":
      return value.bytes.length;
    case "list":
      return value.items.reduce((most, item) => Math.max(most, longest(item)), 0);
    case "kvlist":
      return value.entries.reduce((most, entry) => Math.max(most, longest(entry.value)), 0);
    default:
      return 0;
  }
}

export interface RecordLimits {
  /** Bytes of a literal. */
  readonly literalBytes: number;
  /** Cyrus ends its process over a new message of no bytes, without GUID or of unknown date. */
  readonly isCyrus: boolean;
}

/** Why a record cannot be sent, or undefined. */
export function objectionToRecord(record: MailRecord, limits: RecordLimits): string | undefined {
  const { literalBytes, isCyrus } = limits;
  const long = record.annotations.find((one) => one.value.length > literalBytes);
  if (long !== undefined) {
    return `annotation ${long.entry} has ${long.value.length} bytes, more than the server takes`;
  }
  if (!isCyrus || record.expunged) return undefined;
  if (/^0+$/.test(record.guid)) return "it has no GUID";
  if (record.size === 0) return "it has no bytes";
  return record.internaldate === 0 ? "it has no internaldate" : undefined;
}
