/**
 * The counters of a user or of the shared namespace: `<user>.counters`, `counters.db`,
 * `shared.counters` (spool-format 6.7, Cyrus imap/mboxname.c). New modseqs and uidvalidities are
 * taken from here, so that none is ever given twice.
 *
 *   generation 4, version 4, modseqs 8 each, uidvalidity 4, CRC 4 of all before
 */
import { hex32, viewOf } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { crc32 } from "../../hash/crc32.ts";

export interface Counters {
  readonly generation: number;
  /** The version of the file, 0 to 9: it says how many modseqs follow. */
  readonly version: number;
  readonly highestmodseq: bigint;
  /** What a version does not have is absent. */
  readonly quotamodseq?: bigint;
  readonly raclmodseq?: bigint;
  readonly uidvalidity: number;
}

/** How many modseqs each version holds; they are only ever added at the end. */
const MODSEQ_COUNT = [4, 5, 6, 9, 11, 13, 23, 27, 31, 35];
const QUOTAMODSEQ = 9;
const RACLMODSEQ = 10;

/** Reads a counters file. Throws FormatError on another length, version or CRC. */
export function parseCounters(bytes: Uint8Array): Counters {
  const view = viewOf(bytes);
  if (bytes.length < 8) throw new FormatError(bytes.length, "at least 48 bytes of counters");
  // Cyrus wrote nonsense as version into the first files, which have this length alone.
  const version = bytes.length === lengthOf(4) ? 0 : view.getUint32(4);
  const count = MODSEQ_COUNT[version];
  if (count === undefined) throw new FormatError(4, `version 0 to 9 instead of ${version}`);
  const length = lengthOf(count);
  if (bytes.length !== length) {
    throw new FormatError(bytes.length, `${length} bytes for version ${version}`);
  }
  const computed = crc32(bytes.subarray(0, length - 4));
  if (view.getUint32(length - 4) !== computed) {
    throw new FormatError(length - 4, `CRC ${hex32(computed)}`);
  }
  const modseq = (index: number) => view.getBigUint64(8 + 8 * index);
  return {
    generation: view.getUint32(0),
    version,
    highestmodseq: modseq(0),
    ...(count > QUOTAMODSEQ ? { quotamodseq: modseq(QUOTAMODSEQ) } : {}),
    ...(count > RACLMODSEQ ? { raclmodseq: modseq(RACLMODSEQ) } : {}),
    uidvalidity: view.getUint32(length - 8),
  };
}

function lengthOf(modseqCount: number): number {
  return 8 + 8 * modseqCount + 8;
}
