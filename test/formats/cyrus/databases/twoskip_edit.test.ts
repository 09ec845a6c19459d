import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { latin1, utf8 } from "../../../../src/core/bytes.ts";
import { FormatError } from "../../../../src/core/errors.ts";
import type { FileParts } from "../../../../src/core/file_source.ts";
import { readTwoskip } from "../../../../src/formats/cyrus/databases/twoskip.ts";
import {
  type FileWrite,
  TwoskipEdit,
} from "../../../../src/formats/cyrus/databases/twoskip_edit.ts";
import { writeTwoskip } from "../../../../src/formats/cyrus/databases/twoskip_writer.ts";
import { entriesOf } from "../../../support/databases.ts";
import { lookupTwoskip } from "../../../support/formats/twoskip_lookup.ts";
import { property } from "../../../support/property.ts";

/** `bytes` with `writes` done to it. */
function written(bytes: Uint8Array, writes: readonly FileWrite[]): Uint8Array {
  const end = Math.max(bytes.length, ...writes.map((one) => one.offset + one.bytes.length));
  const result = new Uint8Array(end);
  result.set(bytes);
  for (const one of writes) result.set(one.bytes, one.offset);
  return result;
}

function contentsOf(bytes: Uint8Array): Record<string, string> {
  const { entries, problems } = readTwoskip(bytes);
  expect(problems).toEqual([]);
  return Object.fromEntries(entries.map(({ key, value }) => [latin1(key), latin1(value)]));
}

function sorted(entries: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...entries].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** A file of `count` keys as those of cyrus.annotations are. */
function fileOf(count: number): Uint8Array {
  const uids = Array.from({ length: count }, (_, at) => `${at + 1}\0/comment\0\0`);
  return writeTwoskip(entriesOf(Object.fromEntries(uids.map((key) => [key, "a value"]))));
}

/** The same bytes as a file read in parts, and how many were read. */
function counting(bytes: Uint8Array): { source: FileParts; bytesRead: () => number } {
  let sum = 0;
  const read = (offset: number, length: number): Uint8Array => {
    sum += length;
    return bytes.subarray(offset, offset + length);
  };
  return { source: { size: bytes.length, read }, bytesRead: () => sum };
}

const keys = fc.stringMatching(/^[a-f]{1,3}$/);
const change = fc.record({ key: keys, value: fc.option(fc.stringMatching(/^[x-z]{0,30}$/)) });
const transactions = fc.array(fc.array(change, { minLength: 1, maxLength: 12 }), { maxLength: 8 });

describe("TwoskipEdit", () => {
  test("leaves a sound file that holds what was put and not what was removed", () => {
    property(fc.dictionary(keys, fc.string({ maxLength: 9 })), transactions, (first, all) => {
      const model = new Map(Object.entries(first).map(([key, text]) => [key, latin1(utf8(text))]));
      let bytes = writeTwoskip(entriesOf(Object.fromEntries(model)));
      for (const changes of all) {
        const edit = new TwoskipEdit(bytes);
        for (const { key, value } of changes) {
          if (value !== null) edit.put({ key: utf8(key), value: utf8(value) });
          else expect(edit.remove(utf8(key))).toBe(model.has(key));
          if (value === null) model.delete(key);
          else model.set(key, value);
        }
        bytes = written(bytes, edit.writes());
        const { unfinished, problems } = readTwoskip(bytes);
        expect({ unfinished, problems }).toEqual({ unfinished: false, problems: [] });
        expect(contentsOf(bytes)).toEqual(sorted(model));
        for (const [key, value] of model) {
          expect(latin1(lookupTwoskip(bytes, utf8(key)) ?? new Uint8Array([0]))).toBe(value);
        }
      }
    });
  });

  test("shows readers the old file until its last write, and may be done again", () => {
    const before = fileOf(50);
    const edit = new TwoskipEdit(before);
    edit.put({ key: utf8("7\0/comment\0\0"), value: utf8("another") });
    edit.put({ key: utf8("51\0/comment\0\0"), value: utf8("new") });
    edit.put({ key: utf8("1\0/altsubject\0\0"), value: utf8("new") });
    expect(edit.remove(utf8("33\0/comment\0\0"))).toBe(true);
    const writes = edit.writes();
    const after = written(before, writes);
    expect(contentsOf(after)).not.toEqual(contentsOf(before));
    expect(writes.length).toBeGreaterThan(5);
    for (let done = 0; done < writes.length; done++) {
      const broken = written(before, writes.slice(0, done));
      expect(contentsOf(broken)).toEqual(contentsOf(before));
      expect(readTwoskip(broken).unfinished).toBe(done > 0);
      expect(written(broken, writes)).toEqual(after);
    }
  });

  test("reads and writes as much for one more entry among 100,000 as among 1,000", () => {
    const costs = [1_000, 100_000].map((count) => {
      const { source, bytesRead } = counting(fileOf(count));
      const edit = new TwoskipEdit(source);
      edit.put({ key: utf8(`${count + 1}\0/comment\0\0`), value: utf8("a value") });
      const bytes = edit.writes().reduce((sum, one) => sum + one.bytes.length, 0);
      return { written: bytes, read: bytesRead() };
    });
    for (const { written: bytes, read } of costs) {
      expect(bytes).toBeLessThan(2_000);
      expect(read).toBeLessThan(40_000);
    }
  });

  test("finds the entries of a prefix in their order", () => {
    const edit = new TwoskipEdit(fileOf(120));
    edit.put({ key: utf8("12\0/altsubject\0\0"), value: utf8("new") });
    const found = [...edit.withPrefix(utf8("12\0"))].map(({ key }) => latin1(key));
    expect(found).toEqual(["12\0/altsubject\0\0", "12\0/comment\0\0"]);
    expect([...edit.withPrefix(utf8("121\0"))]).toEqual([]);
  });

  test("refuses a file with a transaction under way, one cut short and one that is none", () => {
    const bytes = fileOf(20);
    const edit = new TwoskipEdit(bytes);
    edit.put({ key: utf8("x"), value: utf8("y") });
    const [dirty] = edit.writes();
    const refused = [
      written(bytes, dirty === undefined ? [] : [dirty]),
      bytes.subarray(0, -8),
      written(bytes, [{ offset: bytes.length, bytes: new Uint8Array(8) }]),
      utf8("not a database"),
      new Uint8Array(),
    ];
    for (const file of refused) expect(() => new TwoskipEdit(file)).toThrow(FormatError);
  });

  test("throws nothing but FormatError where a byte was changed, or keeps the file sound", () => {
    const bytes = fileOf(30);
    property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ mask;
      try {
        const edit = new TwoskipEdit(damaged);
        edit.put({ key: utf8("15\0/altsubject\0\0"), value: utf8("new") });
        const after = readTwoskip(written(damaged, edit.writes()));
        // Damage elsewhere than on the way is neither mended nor spread.
        expect(after.problems.length).toBeLessThanOrEqual(readTwoskip(damaged).problems.length);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    });
  });
});
