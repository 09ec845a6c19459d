/**
 * The 12-byte UUIDs of messages in index versions 7 to 9, which later versions keep with eight zero
 * bytes behind them (spool-format 2.3). The first byte names the schema:
 *
 *   0  null: all zero
 *   1  allocated by Cyrus 2.3: machine 1, generation 1, start time 4, child 2, counter 3
 *   2  of the first backup system: the first 11 bytes of the message's MD5
 *
 * Only those of schema 2 say anything about the message.
 */
import { type Guid, isLegacyUuid, NULL_GUID } from "../../model/guid.ts";

const UUID_BYTES = 12;
/** Bytes of the MD5 that a UUID of schema 2 has room for. */
const MD5_PREFIX_BYTES = UUID_BYTES - 1;

export type MessageUuid =
  | { readonly kind: "null" }
  | AllocatedUuid
  /** Hex digits of the first 11 bytes of the message's MD5. */
  | { readonly kind: "md5"; readonly prefix: string }
  | { readonly kind: "opaque"; readonly schema: number };

/** A unique number that a Cyrus 2.3 made up when the message arrived. */
export interface AllocatedUuid {
  readonly kind: "allocated";
  readonly machine: number;
  readonly generation: number;
  /** Unix seconds at which the master process started. */
  readonly startTime: number;
  readonly child: number;
  readonly counter: number;
}

/** What kind of UUID `guid` is, in its form of 40 hex digits; undefined for a GUID of 20 bytes. */
export function classifyUuid(guid: Guid): MessageUuid | undefined {
  if (guid === NULL_GUID) return { kind: "null" };
  if (!isLegacyUuid(guid)) return undefined;
  const field = (start: number, bytes: number) =>
    Number.parseInt(guid.slice(2 * start, 2 * (start + bytes)), 16);
  const schema = field(0, 1);
  switch (schema) {
    case 1:
      return {
        kind: "allocated",
        machine: field(1, 1),
        generation: field(2, 1),
        startTime: field(3, 4),
        child: field(7, 2),
        counter: field(9, 3),
      };
    case 2:
      return { kind: "md5", prefix: guid.slice(2, 2 * UUID_BYTES) };
    default:
      return { kind: "opaque", schema };
  }
}

/** Whether `uuid` can name a message with this MD5 (16 bytes); undefined where it does not tell. */
export function uuidMatchesMd5(uuid: MessageUuid, md5: Uint8Array): boolean | undefined {
  if (uuid.kind !== "md5") return undefined;
  return Buffer.from(md5.subarray(0, MD5_PREFIX_BYTES)).toString("hex") === uuid.prefix;
}
