import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concat, equalBytes, fromLatin1, latin1, utf8, viewOf } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { INTERNAL_FLAG } from "../../../src/formats/cyrus/index/index_flags.ts";
import { IndexImage } from "../../../src/mailbox/index_image.ts";
import { goldenMailboxes, mailboxFile, mailboxFileIfAny } from "../golden_mailboxes.ts";
import { examinedMailboxes } from "../mbexamine.ts";
import { property } from "../property.ts";
import {
  CACHE_ITEMS,
  type CacheFile,
  type CacheItems,
  type CacheSpan,
  cacheCrc,
  cacheSpan,
  cacheSpans,
  openCacheFile,
  parseCacheItem,
  parseCacheRecord,
  parseNstring,
  printCacheRecord,
  printCacheStart,
} from "./cache.ts";

const golden = goldenMailboxes().flatMap((mailbox) => {
  const bytes = mailboxFileIfAny(mailbox, "cyrus.cache");
  if (bytes === undefined) return [];
  const index = IndexImage.open(mailboxFile(mailbox, "cyrus.index"), "cyrus.index");
  // A message that was expunged before it came (its file was never here) has no cache record.
  const records = [...index.records()].filter(
    ({ cacheOffset, systemFlags }) =>
      cacheOffset !== 0 || (systemFlags & INTERNAL_FLAG.unlinked) === 0,
  );
  return [{ mailbox, index, records, cache: openCacheFile(bytes) }];
});

const anyItems = fc.record(
  Object.fromEntries(CACHE_ITEMS.map((item) => [item, fc.uint8Array({ maxLength: 20 })])),
) as fc.Arbitrary<CacheItems>;

function sampleItems(): CacheItems {
  const entries = CACHE_ITEMS.map((item, at) => [item, utf8("x".repeat(at))]);
  return Object.fromEntries(entries) as CacheItems;
}

/** The spans of a cache, and where the walk ended. */
function walked(cache: CacheFile): { readonly spans: CacheSpan[]; readonly end: number } {
  const spans: CacheSpan[] = [];
  const walk = cacheSpans(cache);
  for (;;) {
    const step = walk.next();
    if (step.done === true) return { spans, end: step.value };
    spans.push(step.value);
  }
}

describe("openCacheFile()", () => {
  test("finds the generation of the index in every real mailbox", () => {
    expect(golden.length).toBeGreaterThan(80);
    for (const { index, cache } of golden) {
      expect(cache.generationNo).toBe(index.header.generationNo);
    }
  });

  test("refuses fewer than four bytes", () => {
    for (let length = 0; length < 4; length++) {
      expect(() => openCacheFile(new Uint8Array(length))).toThrow(FormatError);
    }
  });
});

describe("cacheSpan()", () => {
  test("finds each record of real mailboxes, with the checksum of the index", () => {
    const seen = { checked: 0, withoutCrc: 0 };
    for (const { index, records, cache } of golden) {
      for (const record of records) {
        const span = cacheSpan(cache, record.cacheOffset);
        if (index.table.version < 12) seen.withoutCrc += 1;
        else expect(cacheCrc(cache, span)).toBe(record.cacheCrc);
        seen.checked += 1;
      }
    }
    expect(seen.checked).toBeGreaterThan(500);
    expect(seen.withoutCrc).toBeGreaterThan(50);
  });

  test("sees a flip of any byte of a record by its checksum or its lengths", () => {
    const bytes = concat([printCacheStart(7), printCacheRecord(sampleItems())]);
    const whole = cacheSpan(openCacheFile(bytes), 4);
    const crc = cacheCrc(openCacheFile(bytes), whole);
    for (let at = 4; at < bytes.length; at++) {
      const flipped = openCacheFile(bytes.slice());
      flipped.bytes[at] = (flipped.bytes[at] ?? 0) ^ 0x40;
      let found: number | undefined;
      try {
        found = cacheCrc(flipped, cacheSpan(flipped, 4));
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
      expect(found).not.toBe(crc);
    }
  });

  test.each([0, 1, 3, -1, 2 ** 32, 2 ** 48 - 1])("refuses offset %d", (offset) => {
    const cache = openCacheFile(concat([printCacheStart(1), printCacheRecord(sampleItems())]));
    expect(() => cacheSpan(cache, offset)).toThrow(FormatError);
  });

  test("refuses lengths up to 2^32 - 1 in every item, and every truncation", () => {
    const bytes = concat([printCacheStart(1), printCacheRecord(sampleItems())]);
    let at = 4;
    for (const item of CACHE_ITEMS) {
      for (const length of [2 ** 32 - 1, 2 ** 31, 2 ** 32 - 4, bytes.length]) {
        const cache = openCacheFile(bytes.slice());
        cache.view.setUint32(at, length);
        expect(() => cacheSpan(cache, 4)).toThrow(`cache item ${item}`);
        expect(() => parseCacheRecord(cache, 4)).toThrow(FormatError);
      }
      at += 4 + Math.ceil(viewOf(bytes).getUint32(at) / 4) * 4;
    }
    for (let length = 4; length < bytes.length; length++) {
      const cache = openCacheFile(bytes.subarray(0, length));
      expect(() => cacheSpan(cache, 4)).toThrow(FormatError);
    }
  });

  test("refuses a record past the limit", () => {
    const record = printCacheRecord(sampleItems());
    const cache = openCacheFile(concat([printCacheStart(1), record, new Uint8Array(1000)]));
    const limits = { ...DEFAULT_LIMITS, cacheRecordBytes: record.length };
    expect(cacheSpan(cache, 4, limits).length).toBe(record.length);
    const less = { ...limits, cacheRecordBytes: record.length - 4 };
    expect(() => cacheSpan(cache, 4, less)).toThrow(FormatError);
  });
});

describe("parseCacheRecord()", () => {
  test.each([
    "index-versions",
    "index-versions-master",
    "conversations-3.6",
    "uuid-paths-3.12",
    "uuid-paths-master",
  ])("says of %s what mbexamine says", (name) => {
    let compared = 0;
    for (const examined of examinedMailboxes(name)) {
      if (examined.records.length === 0) continue; // such a mailbox has no cyrus.cache
      const found = golden.find(
        ({ mailbox }) => mailbox.archive === name && mailbox.folder === examined.folder,
      );
      const { cache, records } = found ?? expect.unreachable();
      for (const { uid, cacheItems } of examined.records) {
        const record = records.find((one) => one.uid === uid) ?? expect.unreachable();
        const items = parseCacheRecord(cache, record.cacheOffset);
        for (const [number, text] of cacheItems) {
          const item = CACHE_ITEMS[number] ?? expect.unreachable();
          expect(latin1(items[item])).toBe(text);
          compared += 1;
        }
      }
    }
    expect(compared).toBeGreaterThan(200);
  });

  test("throws nothing but FormatError on random bytes", () => {
    const word = fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 0xffff_ffff }));
    property(fc.array(word, { maxLength: 30 }), fc.nat({ max: 40 }), (words, offset) => {
      const bytes = new Uint8Array(4 + 4 * words.length);
      words.forEach((value, at) => {
        viewOf(bytes).setUint32(4 + 4 * at, value);
      });
      const cache = openCacheFile(bytes);
      try {
        const items = parseCacheRecord(cache, offset);
        const { length } = cacheSpan(cache, offset);
        expect(printCacheRecord(items)).toHaveLength(length);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
      expect(walked(cache).end).toBeLessThanOrEqual(bytes.length);
    });
  });
});

describe("parseCacheItem()", () => {
  test("gives one item", () => {
    const cache = openCacheFile(concat([printCacheStart(1), printCacheRecord(sampleItems())]));
    expect(latin1(parseCacheItem(cache, 4, "subject"))).toBe("xxxxxxxxx");
    expect(latin1(parseCacheItem(cache, 4, "from"))).toBe("xxxxx");
  });
});

describe("printCacheRecord()", () => {
  test("gives every real record back byte for byte", () => {
    for (const { cache, records } of golden) {
      for (const { cacheOffset } of records) {
        const { offset, length } = cacheSpan(cache, cacheOffset);
        const printed = printCacheRecord(parseCacheRecord(cache, cacheOffset));
        expect(equalBytes(printed, cache.bytes.subarray(offset, offset + length))).toBe(true);
      }
    }
  });

  test("prints what parseCacheRecord() reads", () => {
    property(anyItems, fc.nat({ max: 0xffff_ffff }), (items, generation) => {
      const cache = openCacheFile(concat([printCacheStart(generation), printCacheRecord(items)]));
      expect(cache.generationNo).toBe(generation);
      expect(parseCacheRecord(cache, 4)).toEqual(items);
    });
  });
});

describe("cacheSpans()", () => {
  test("meets every record of real mailboxes and ends with the file", () => {
    for (const { cache, records } of golden) {
      const { spans, end } = walked(cache);
      expect(end).toBe(cache.bytes.length);
      const met = new Set(spans.map(({ offset }) => offset));
      for (const { cacheOffset } of records) expect(met.has(cacheOffset)).toBe(true);
    }
  });

  test("stops where no record is", () => {
    const record = printCacheRecord(sampleItems());
    const start = printCacheStart(1);
    const torn = openCacheFile(concat([start, record, record, record.subarray(0, 30)]));
    expect(walked(torn)).toEqual({
      spans: [
        { offset: 4, length: record.length },
        { offset: 4 + record.length, length: record.length },
      ],
      end: 4 + 2 * record.length,
    });
    expect(walked(openCacheFile(start))).toEqual({ spans: [], end: 4 });
  });
});

describe("parseNstring()", () => {
  test.each([
    ["NIL", undefined],
    ['""', ""],
    ['"NIL"', "NIL"],
    ['"a \\"b\\" \\\\ c"', 'a "b" \\ c'],
    ["{0}\r\n", ""],
    ['{5}\r\na"\r\n\xe4', 'a"\r\n\xe4'],
  ])("reads %j", (item, expected) => {
    const content = parseNstring(fromLatin1(item));
    expect(content === undefined ? undefined : latin1(content)).toBe(expected as never);
  });

  test.each(["", '"', '"a', 'a"', "nil", '"a\\"', "{5}\r\nabcd", "{3}\r\nabcd", "{x}\r\n"])(
    "refuses %j",
    (item) => {
      expect(() => parseNstring(fromLatin1(item))).toThrow(FormatError);
    },
  );

  test("reads the subject of every real record", () => {
    const subjects = new Set<string>();
    for (const { cache, records } of golden) {
      for (const { cacheOffset } of records) {
        const subject = parseNstring(parseCacheItem(cache, cacheOffset, "subject"));
        if (subject !== undefined) subjects.add(new TextDecoder().decode(subject));
      }
    }
    expect(subjects).toContain("Re: thread 1");
    expect([...subjects].some((subject) => subject.startsWith("Grüße: "))).toBe(true);
  });
});
