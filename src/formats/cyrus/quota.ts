/**
 * One quota root's use and limits: a file of its own below `quota/`, or a record of a database
 * (spool-format 6.7, Cyrus imap/quota_db.c).
 *
 *   until 2.5:  `used limit [leftover] [M used limit [leftover]] …`, separated by white space
 *   later:      `%(S (used limit) M (…) AS (…) NF (…) [SCAN %(…)] MODSEQ n)`, no limit = unlimited
 */
import { latin1 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";
import { itemsOf, lookUp, u64Of } from "../dlist/access.ts";
import { parseValue } from "../dlist/parse.ts";

/** Storage and annotation storage are used in bytes and limited in KiB; the others are counts. */
export const QUOTA_RESOURCES = ["S", "M", "AS", "NF"] as const;

export type QuotaResource = (typeof QUOTA_RESOURCES)[number];

export interface QuotaUse {
  readonly used: bigint;
  /** KiB for S and AS. Undefined = unlimited. */
  readonly limit: bigint | undefined;
}

export interface QuotaRoot {
  readonly resources: Readonly<Record<QuotaResource, QuotaUse>>;
  readonly modseq: bigint;
  /** A `quota -f` was under way: the numbers may be between two states. */
  readonly scanning: boolean;
  /** The form until 2.5 lists only what it limits; what is not listed was not counted either. */
  readonly listed: ReadonlySet<QuotaResource>;
}

const NOT_LISTED: QuotaUse = { used: 0n, limit: undefined };

/** Reads a quota root in either form. Throws FormatError. */
export function parseQuota(bytes: Uint8Array): QuotaRoot {
  return bytes[0] === 0x25 ? parseDlistForm(bytes) : parseTextForm(latin1(bytes));
}

function parseDlistForm(bytes: Uint8Array): QuotaRoot {
  const value = parseValue(bytes);
  if (value.kind !== "kvlist") throw new FormatError(0, "a kvlist");
  const listed = new Set<QuotaResource>();
  const resources = mapResources((resource) => {
    const item = lookUp(value, resource);
    if (item === undefined) return NOT_LISTED;
    listed.add(resource);
    const [used, limit] = itemsOf(item, resource);
    return {
      used: u64Of(used, resource),
      limit: limit === undefined ? undefined : u64Of(limit, resource),
    };
  });
  const modseq = lookUp(value, "MODSEQ");
  return {
    resources,
    modseq: modseq === undefined ? 0n : u64Of(modseq, "MODSEQ"),
    scanning: lookUp(value, "SCAN") !== undefined,
    listed,
  };
}

function parseTextForm(text: string): QuotaRoot {
  const words = text.split(/[\s\0]+/).filter((word) => word !== "");
  const uses = new Map<QuotaResource, QuotaUse>();
  let resource: QuotaResource = "S";
  for (let at = 0; ; ) {
    const used = numberOf(words[at], "used");
    const limit = numberOf(words[at + 1], "limit");
    uses.set(resource, { used, limit: limit < 0n ? undefined : limit });
    at += 2;
    // A third number was left by a `quota -f` that did not end.
    if (isNumber(words[at])) at++;
    const name = words[at]?.toUpperCase();
    if (name === undefined) break;
    const known = QUOTA_RESOURCES.find((each) => each === name);
    if (known === undefined) throw new FormatError(0, `a resource instead of ${name}`);
    resource = known;
    at++;
  }
  return {
    resources: mapResources((each) => uses.get(each) ?? NOT_LISTED),
    modseq: 0n,
    scanning: false,
    listed: new Set(uses.keys()),
  };
}

function mapResources(
  use: (resource: QuotaResource) => QuotaUse,
): Readonly<Record<QuotaResource, QuotaUse>> {
  return { S: use("S"), M: use("M"), AS: use("AS"), NF: use("NF") };
}

function isNumber(word: string | undefined): word is string {
  return word !== undefined && /^-?\d{1,19}$/.test(word);
}

function numberOf(word: string | undefined, what: string): bigint {
  if (isNumber(word)) return BigInt(word);
  throw new FormatError(0, `a number for ${what}`);
}
