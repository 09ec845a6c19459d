import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { latin1, utf8 } from "../../../../src/core/bytes.ts";
import { DEFAULT_LIMITS } from "../../../../src/core/limits.ts";
import type { DatabaseEntry } from "../../../../src/formats/cyrus/databases/database_contents.ts";
import { mailboxOrder } from "../../../../src/formats/cyrus/databases/key_order.ts";
import { readTwoskip } from "../../../../src/formats/cyrus/databases/twoskip.ts";
import { TWOSKIP_MAGIC } from "../../../../src/formats/cyrus/databases/twoskip_record.ts";
import { writeTwoskip } from "../../../../src/formats/cyrus/databases/twoskip_writer.ts";
import * as databases from "../../../support/databases.ts";
import { fixturePath, readOnlyFixture } from "../../../support/fixtures.ts";
import { lookupTwoskip } from "../../../support/formats/twoskip_lookup.ts";
import { property } from "../../../support/property.ts";

const SOUND = ["legacy-paths", "uuid-paths", "uuid-paths-3.12", "uuid-paths-master"];
const VERSIONED = ["conversations-3.6", "index-versions", "index-versions-master"];

const anyEntries = fc
  .uniqueArray(
    fc.record({
      key: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      value: fc.uint8Array({ maxLength: 200 }),
    }),
    { selector: (entry) => latin1(entry.key), maxLength: 60 },
  )
  .map((entries): DatabaseEntry[] => entries);

/** A file of 40 records in one transaction, the keys key00 to key39. */
function sample(): Uint8Array {
  const names = Array.from({ length: 40 }, (_, at) => `key${String(at).padStart(2, "0")}`);
  return writeTwoskip(
    databases.entriesOf(Object.fromEntries(names.map((key) => [key, `=${key}`]))),
  );
}

describe("readTwoskip()", () => {
  for (const fixture of [...SOUND, ...VERSIONED]) {
    test(`finds nothing wrong in any database of ${fixture}`, () => {
      const paths = databases.filesWithMagic(
        readOnlyFixture(`cyrus-spools/${fixture}`),
        TWOSKIP_MAGIC,
      );
      expect(paths.length).toBeGreaterThan(10);
      for (const path of paths) {
        const { problems, unfinished } = readTwoskip(readFileSync(path));
        expect({ path, problems, unfinished }).toEqual({ path, problems: [], unfinished: false });
      }
    });
  }

  test("names the record whose value lost a bit, and gives the others", () => {
    const root = readOnlyFixture("cyrus-spools/damaged");
    const path = join(root, "spool/uuid/6/c/6cskuh38dea1hkjf2i5w54u8/cyrus.annotations");
    const { entries, problems } = readTwoskip(readFileSync(path));
    expect(entries).toEqual([]);
    expect(problems.map(({ offset, what }) => ({ offset, what }))).toEqual([
      { offset: 372, what: "CRC of key and value" },
    ]);
    expect(latin1(problems[0]?.key ?? new Uint8Array())).toBe("2\0/comment\0\0");
  });

  test("reports every flipped bit of header and live records, and loses one entry at most", () => {
    const bytes = sample();
    // Fillers and the commit record at the end matter only to Cyrus' own recovery.
    const commitOffset = bytes.length - 24;
    for (let offset = 0; offset < commitOffset; offset++) {
      const { entries, problems } = readTwoskip(databases.flipped(bytes, offset));
      const filler = latin1(bytes.subarray(offset - (offset % 8))).startsWith(" BLANK\x07\xa0");
      if (!filler) expect({ offset, count: problems.length }).not.toEqual({ offset, count: 0 });
      // The magic is what tells a twoskip file; without it nothing in it can be trusted.
      if (offset >= 20) expect(entries.length).toBeGreaterThanOrEqual(39);
    }
  });

  test("never invents an entry from a file cut at any byte, and reports the cut", () => {
    const bytes = sample();
    const whole = databases.textsOf(readTwoskip(bytes));
    for (let length = 0; length < bytes.length; length++) {
      const { entries, problems } = readTwoskip(bytes.subarray(0, length));
      expect({ length, sound: problems.length === 0 }).toEqual({ length, sound: false });
      for (const { key, value } of entries) expect(whole[latin1(key)]).toBe(latin1(value));
    }
  });

  test("follows a real log of stores and deletes as Cyrus does", () => {
    for (const name of ["log-a", "log-b"]) {
      const contents = readTwoskip(readFileSync(fixturePath(`databases/${name}.twoskip`)));
      expect(contents.problems).toEqual([]);
      expect(databases.textsOf(contents)).toEqual(expectedLog(name));
    }
  });

  test("salvages a real log whose header is damaged, deletes included", () => {
    for (const name of ["log-a", "log-b"]) {
      const bytes = readFileSync(fixturePath(`databases/${name}.twoskip`));
      const contents = readTwoskip(databases.flipped(bytes, 63));
      expect(contents.problems.map(({ what }) => what)).toEqual(["header CRC"]);
      expect(databases.textsOf(contents)).toEqual(expectedLog(name));
    }
  });

  test("keeps what came before and after a damaged record", () => {
    const bytes = sample();
    const offset = databases.offsetOfKey(bytes, "key07");
    const { entries, problems } = readTwoskip(databases.flipped(bytes, offset + 1));
    const kept = Object.keys(databases.textsOf(readTwoskip(bytes))).filter(
      (key) => key !== "key07",
    );
    expect(entries.map(({ key }) => latin1(key))).toEqual(kept);
    expect(problems.map(({ what }) => what)).toEqual(["record head CRC", "records"]);
  });

  test("takes a transaction that was broken off as never begun", () => {
    const bytes = sample();
    const before = databases.textsOf(readTwoskip(bytes));
    const offset = databases.offsetOfKey(bytes, "key20");
    // Cyrus marks the header dirty, appends records, then points to them from the older ones.
    const longer = new Uint8Array(bytes.length + 64);
    longer.set(bytes);
    databases.setHeader(longer, { flags: 1 });
    databases.setPointer(longer, offset, { index: 0, to: bytes.length });
    const contents = readTwoskip(longer);
    expect(databases.textsOf(contents)).toEqual(before);
    expect(contents).toMatchObject({ problems: [], unfinished: true });
  });

  test("ends on a cycle of pointers, whatever the record it leads back to", () => {
    const bytes = sample();
    const last = databases.offsetOfKey(bytes, "key39");
    for (const key of ["key00", "key20", "key39"]) {
      const looped = bytes.slice();
      databases.setPointer(looped, last, { index: 1, to: databases.offsetOfKey(bytes, key) });
      const { entries, problems } = readTwoskip(looped);
      expect(problems.map(({ what }) => what)).toEqual(["chain of records"]);
      expect(entries).toHaveLength(40);
    }
  });

  test("follows no pointer into the header or between the records", () => {
    const bytes = sample();
    const offset = databases.offsetOfKey(bytes, "key10");
    for (const to of [8, 56, offset + 8, offset + 4]) {
      const astray = bytes.slice();
      databases.setPointer(astray, offset, { index: 1, to });
      const { entries, problems } = readTwoskip(astray);
      expect(entries).toHaveLength(40);
      expect(problems.length).toBeGreaterThan(0);
    }
  });

  test("reports a wrong count, a wrong pointer above level 0 and keys out of order", () => {
    const counted = sample();
    databases.setHeader(counted, { numRecords: 41 });
    expect(readTwoskip(counted).problems).toMatchObject([
      { what: "number of records", expected: "40", found: "41" },
    ]);

    const linked = sample();
    databases.setPointer(linked, 64, { index: 3, to: databases.offsetOfKey(linked, "key07") });
    expect(readTwoskip(linked).problems).toMatchObject([{ what: "pointer along level 2" }]);

    const swapped = writeTwoskip(databases.entriesOf({ b: "1", a: "2" }), {
      order: (left, right) => -Buffer.compare(left, right),
    });
    expect(readTwoskip(swapped).problems).toMatchObject([{ what: "key", found: "a" }]);
  });

  test("takes a file in mailbox order as sound", () => {
    const entries = databases.entriesOf({ "a.b": "1", "a-b": "2", "a b": "3", a: "0" });
    const { problems, entries: read } = readTwoskip(writeTwoskip(entries, { order: mailboxOrder }));
    expect(problems).toEqual([]);
    expect(read.map(({ key }) => latin1(key))).toEqual(["a", "a.b", "a b", "a-b"]);
  });

  test("never throws, loops or fills memory on random bytes behind a header", () => {
    property(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), (noise, headed) => {
      const bytes = new Uint8Array(336 + noise.length);
      bytes.set(writeTwoskip([]));
      bytes.set(noise, headed ? 336 : 20);
      if (headed) databases.setHeader(bytes, { currentSize: bytes.length });
      const { problems } = readTwoskip(bytes);
      expect(problems.length).toBeLessThanOrEqual(DEFAULT_LIMITS.databaseProblems);
    });
  });

  test("survives pointers turned to any record, with right checksums", () => {
    const names = Array.from({ length: 40 }, (_, at) => `key${String(at).padStart(2, "0")}`);
    const turn = fc.record({
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names),
      index: fc.nat(1),
    });
    property(fc.array(turn, { minLength: 1, maxLength: 10 }), (turns) => {
      const bytes = sample();
      for (const { from, to, index } of turns) {
        const target = databases.offsetOfKey(bytes, to);
        databases.setPointer(bytes, databases.offsetOfKey(bytes, from), { index, to: target });
      }
      expect(readTwoskip(bytes).entries.length).toBeLessThanOrEqual(40);
    });
  });
});

describe("writeTwoskip()", () => {
  test("writes what readTwoskip() reads back, for any entries", () => {
    property(anyEntries, (entries) => {
      const contents = readTwoskip(writeTwoskip(entries));
      expect(contents).toMatchObject({ problems: [], unfinished: false });
      const sorted = [...entries].sort((left, right) => Buffer.compare(left.key, right.key));
      expect(contents.entries.map(hexEntry)).toEqual(sorted.map(hexEntry));
    });
  });

  test("writes the same bytes whatever the order of the entries, and another generation", () => {
    const entries = databases.entriesOf({ a: "1", b: "2", c: "3" });
    expect(writeTwoskip(entries.toReversed())).toEqual(writeTwoskip(entries));
    const newer = writeTwoskip(entries, { generation: 7n });
    expect(newer[31]).toBe(7);
    expect(readTwoskip(newer).problems).toEqual([]);
  });

  test("writes the empty database byte for byte as Cyrus does", () => {
    const root = readOnlyFixture("cyrus-spools/uuid-paths");
    const empty = databases
      .filesWithMagic(root, TWOSKIP_MAGIC)
      .map((path) => readFileSync(path))
      .find((bytes) => bytes.length === 336);
    expect(empty).toBeDefined();
    expect(Buffer.from(writeTwoskip([])).toString("hex")).toBe(empty?.toString("hex") ?? "");
  });

  test("carries keys and values at the borders of the short lengths", () => {
    const entries = [65534, 65535, 65536].map((length, at) => ({
      key: utf8("k".repeat(length)),
      value: utf8("v".repeat(at)),
    }));
    const contents = readTwoskip(writeTwoskip(entries));
    expect(contents.problems).toEqual([]);
    expect(contents.entries.map(({ key }) => key.length)).toEqual([65534, 65535, 65536]);
  });

  test("refuses a key that comes twice or is empty, as a bug", () => {
    const twice = [...databases.entriesOf({ a: "1" }), ...databases.entriesOf({ a: "2" })];
    expect(() => writeTwoskip(twice)).toThrow("each key comes once");
    expect(() => writeTwoskip(databases.entriesOf({ "": "1" }))).toThrow("not empty");
  });
});

describe("lookupTwoskip()", () => {
  test("finds every key of a log and none that was deleted or never there", () => {
    for (const name of ["log-a", "log-b"]) {
      const bytes = readFileSync(fixturePath(`databases/${name}.twoskip`));
      const expected = expectedLog(name);
      for (let at = 0; at < 40; at++) {
        const key = `k${String(at).padStart(2, "0")}`;
        const found = lookupTwoskip(bytes, utf8(key));
        expect([key, found && latin1(found)]).toEqual([key, expected[key]]);
      }
    }
  });

  test("finds keys in mailbox order, in a dirty file and past damage", () => {
    const texts = { "a.b": "1", "a-b": "2", "a b": "3", a: "0" };
    const ordered = writeTwoskip(databases.entriesOf(texts), { order: mailboxOrder });
    for (const [key, value] of Object.entries(texts)) {
      expect(lookupTwoskip(ordered, utf8(key))).toEqual(utf8(value));
    }
    const dirty = sample();
    databases.setHeader(dirty, { flags: 1 });
    expect(lookupTwoskip(dirty, utf8("key33"))).toEqual(utf8("=key33"));
    const damaged = databases.flipped(dirty, databases.offsetOfKey(dirty, "key00") + 1);
    expect(lookupTwoskip(damaged, utf8("key33"))).toEqual(utf8("=key33"));
    expect(lookupTwoskip(new Uint8Array(10), utf8("key33"))).toBeUndefined();
  });
});

function hexEntry({ key, value }: DatabaseEntry): string {
  return `${Buffer.from(key).toString("hex")}=${Buffer.from(value).toString("hex")}`;
}

function expectedLog(name: string): Record<string, string> {
  return JSON.parse(readFileSync(fixturePath(`databases/${name}.json`), "utf8"));
}
