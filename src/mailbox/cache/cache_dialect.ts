/**
 * How the versions of Cyrus differ in what they write into a cache record, found by comparing with
 * the caches of real servers from 2.4 to 3.13.
 */

export interface CacheDialect {
  /** What the index says of such a record (spool-format 3). */
  readonly version: number;
  /** Bytes of the SHA-1 of each part. */
  readonly digestBytes: 0 | 20;
  /** Words behind it: the size of the decoded content, and its lines. */
  readonly sizes: 0 | 2;
  readonly charset: "none" | "number" | "name";
  /** What stands for a character set where there is none. */
  readonly noCharset: number;
  /** True: addresses and subject are kept in lower case for searches. */
  readonly isFolded: boolean;
  /** True: names of addresses are quoted where they are not of atoms. */
  readonly hasQuotes: boolean;
  /** True: Message-ID is among the cached header fields. */
  readonly hasMessageId: boolean;
}

const NEWEST: CacheDialect = {
  ...{ version: 14, digestBytes: 20, sizes: 2, charset: "name", noCharset: 0xffff },
  ...{ isFolded: false, hasQuotes: true, hasMessageId: false },
};
const V10: CacheDialect = { ...NEWEST, version: 10, hasQuotes: false };
const V6: CacheDialect = { ...V10, version: 6, sizes: 0, hasMessageId: true };
const V3: CacheDialect = { ...V6, version: 3, digestBytes: 0, charset: "none" };

/** Cyrus 2.5 and 2.4 write version 3, 3.0 6, 3.2 and 3.4 10, 3.6 to 3.10 11, 3.12 13, 3.13 14. */
const DIALECTS: readonly CacheDialect[] = [
  V3,
  V6,
  V10,
  { ...NEWEST, version: 11 },
  { ...NEWEST, version: 13 },
  NEWEST,
];

/** That of 2.4, which gives its caches the number of 2.5 but has an index of version 12. */
const CYRUS_2_4: CacheDialect = {
  ...V3,
  ...{ charset: "number", noCharset: 0xffff_0000, isFolded: true },
};

/** The dialect of a cache version, in a mailbox whose index has `indexVersion`; else undefined. */
export function cacheDialect(version: number, indexVersion: number): CacheDialect | undefined {
  if (version === CYRUS_2_4.version && indexVersion <= 12) return CYRUS_2_4;
  return DIALECTS.find((dialect) => dialect.version === version);
}
