/**
 * One door to Cyrus' databases: the format is told by what the file begins with (spool-format 7).
 */
import { latin1, viewOf } from "../../../core/bytes.ts";
import type { DatabaseContents } from "./database_contents.ts";
import { readFlat } from "./flat.ts";
import { readSkiplist, SKIPLIST_MAGIC } from "./skiplist.ts";
import { readTwoskip } from "./twoskip.ts";
import { TWOSKIP_MAGIC } from "./twoskip_record.ts";

export type DatabaseFormat = "twoskip" | "skiplist" | "flat";

/** Formats that are known by name and not read here; a file in one of them is not damaged. */
export type UnsupportedFormat = "twom" | "sqlite" | "berkeley" | "lmdb";

export type Database =
  | ({ readonly kind: "read"; readonly format: DatabaseFormat } & DatabaseContents)
  | { readonly kind: "unsupported"; readonly format: UnsupportedFormat };

export interface ReadDatabaseOptions {
  /**
   * What imapd.conf says the file is. Cyrus goes by the magic too; this only decides whether a file
   * without one is flat text or a damaged database.
   */
  readonly expected?: DatabaseFormat;
}

/** The format of a database, or undefined for a file without a magic: flat text, or damaged. */
export function detectFormat(bytes: Uint8Array): DatabaseFormat | UnsupportedFormat | undefined {
  const start = latin1(bytes.subarray(0, 20));
  if (start === TWOSKIP_MAGIC) return "twoskip";
  if (start === SKIPLIST_MAGIC) return "skiplist";
  if (start.startsWith("\xa1\x02\x8b\x0dtwomfile\0\0\0\0")) return "twom";
  if (start.startsWith("SQLite format 3\0")) return "sqlite";
  if (bytes.length >= 20 && BERKELEY_MAGICS.has(viewOf(bytes).getUint32(12))) return "berkeley";
  if (bytes.length >= 20 && viewOf(bytes).getUint32(16, true) === 0xbeefc0de) return "lmdb";
  return undefined;
}

/** Btree and hash files of Berkeley DB, in either byte order. */
const BERKELEY_MAGICS: ReadonlySet<number> = new Set([
  0x00053162, 0x62310500, 0x00061561, 0x61150600,
]);

/**
 * Reads a database of any format. An empty file is an empty database, just created. Never throws.
 */
export function readDatabase(bytes: Uint8Array, options: ReadDatabaseOptions = {}): Database {
  const detected = detectFormat(bytes);
  const format = detected ?? options.expected ?? "flat";
  if (format === "flat") return { kind: "read", format, ...readFlat(bytes) };
  if (bytes.length === 0 && format !== "twom") {
    return { kind: "read", format: "flat", entries: [], problems: [], unfinished: false };
  }
  if (format === "twoskip") return { kind: "read", format, ...readTwoskip(bytes) };
  if (format === "skiplist") return { kind: "read", format, ...readSkiplist(bytes) };
  return { kind: "unsupported", format };
}
