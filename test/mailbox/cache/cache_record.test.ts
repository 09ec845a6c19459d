/** Cache records are byte by byte those of real Cyrus, of each version. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDialect } from "../../../src/mailbox/cache/cache_dialect.ts";
import { cacheItems, cacheRecord } from "../../../src/mailbox/cache/cache_record.ts";
import { IndexImage } from "../../../src/mailbox/index_image.ts";
import { readSpool } from "../../../src/places/cyrus/layout/spool.ts";
import { fixturePath, readOnlyFixture } from "../../support/fixtures.ts";
import {
  CACHE_ITEMS,
  type CacheItems,
  cacheSpans,
  openCacheFile,
  parseCacheRecord,
  printCacheRecord,
} from "../../support/formats/cache.ts";
import { KNOWN_MISSES, zooMessages } from "../../support/mail_zoo.ts";

/** The items in which a record that is made of `message` differs from `real`. */
function differences(
  message: Uint8Array,
  real: CacheItems,
  dialect: ReturnType<typeof cacheDialect>,
) {
  if (dialect === undefined) return ["version"];
  const made = cacheItems(message, dialect);
  return CACHE_ITEMS.filter((item, at) => Buffer.compare(made[at] ?? real.body, real[item]) !== 0);
}

describe("cacheRecord()", () => {
  test("is Cyrus 3.6's for the messages of the zoo", () => {
    const bytes = Bun.gunzipSync(readFileSync(fixturePath("cache/zoo-3.6.cache.gz")));
    const real = openCacheFile(Buffer.concat([Buffer.alloc(4), bytes]));
    const spans = [...cacheSpans(real)];
    const wrong = zooMessages(0, spans.length).flatMap((message, seed) => {
      const items = parseCacheRecord(real, spans[seed]?.offset ?? 0);
      const differing = differences(message, items, cacheDialect(11, 17));
      return differing.length > 0 ? [[seed, ...differing]] : [];
    });
    expect(spans.length).toBe(600);
    expect(wrong).toEqual(KNOWN_MISSES.map(({ seed, items }) => [seed, ...items]));
  });

  test("is the items with their lengths, padded", () => {
    const [message = new Uint8Array()] = zooMessages(0, 1);
    const dialect = cacheDialect(11, 17);
    if (dialect === undefined) throw new Error("no version 11");
    const made = cacheItems(message, dialect);
    const items = Object.fromEntries(CACHE_ITEMS.map((name, at) => [name, made[at]]));
    expect(cacheRecord(message, dialect)).toEqual(printCacheRecord(items as unknown as CacheItems));
  });
});

/**
 * What is not told right: in 2.4 some subjects in the form that they are searched in (its own
 * tables of letters); in 3.0 the last four bytes of each digest, which are no SHA-1's.
 */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "cyrus-2.4": ["subject"],
  "cyrus-2.5": [],
  "cyrus-3.0": ["section"],
  "cyrus-3.2": [],
  "cyrus-3.8": [],
  "uuid-paths-3.12": [],
  "cyrus-master": [],
};

describe("cacheRecord() is that of a real server", () => {
  for (const [name, expected] of Object.entries(EXPECTED)) {
    test(name, () => {
      const spool = join(readOnlyFixture(`cyrus-spools/${name}`), "spool");
      const wrong = new Set<string>();
      let records = 0;
      for (const { index, cache, data } of readSpool({ data: spool }).mailboxes) {
        if (!existsSync(cache)) continue;
        const image = IndexImage.open(readFileSync(index), "cyrus.index");
        const file = openCacheFile(readFileSync(cache));
        for (const { uid, cacheOffset, cacheVersion } of image.records()) {
          const path = join(data, `${uid}.`);
          if (cacheOffset === 0 || !existsSync(path)) continue;
          const dialect = cacheDialect(cacheVersion, image.header.minorVersion);
          const real = parseCacheRecord(file, cacheOffset);
          for (const item of differences(readFileSync(path), real, dialect)) wrong.add(item);
          records += 1;
        }
      }
      expect(records).toBeGreaterThan(40);
      expect([...wrong]).toEqual([...expected]);
    });
  }
});
