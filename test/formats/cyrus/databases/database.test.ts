import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { concat, fromLatin1, latin1, utf8 } from "../../../../src/core/bytes.ts";
import { detectFormat, readDatabase } from "../../../../src/formats/cyrus/databases/database.ts";
import { readFlat, writeFlat } from "../../../../src/formats/cyrus/databases/flat.ts";
import { writeTwoskip } from "../../../../src/formats/cyrus/databases/twoskip_writer.ts";
import { entriesOf, textsOf } from "../../../support/databases.ts";
import { fixturePath } from "../../../support/fixtures.ts";
import { property } from "../../../support/property.ts";

describe("readDatabase()", () => {
  test("tells the formats by their first bytes and reads them alike", () => {
    const files = {
      twoskip: readFileSync(fixturePath("databases/log-a.twoskip")),
      skiplist: readFileSync(fixturePath("databases/log-a.skiplist")),
    };
    const expected = JSON.parse(readFileSync(fixturePath("databases/log-a.json"), "utf8"));
    const flat = writeFlat(entriesOf(expected));
    for (const [format, bytes] of Object.entries({ ...files, flat })) {
      const database = readDatabase(bytes);
      expect(database).toMatchObject({ kind: "read", format, problems: [] });
      if (database.kind === "read") expect(textsOf(database)).toEqual(expected);
    }
  });

  test("names the formats it does not read, and calls none of them damaged", () => {
    const twom = fromLatin1("\xa1\x02\x8b\x0dtwomfile\0\0\0\0");
    const berkeley = new Uint8Array(512);
    berkeley.set([0x62, 0x31, 5, 0], 12);
    for (const [format, bytes] of [
      ["twom", concat([twom, new Uint8Array(100)])],
      ["sqlite", utf8("SQLite format 3\0 and so on")],
      ["berkeley", berkeley],
    ] as const) {
      expect(readDatabase(bytes)).toEqual({ kind: "unsupported", format });
      expect(readDatabase(bytes, { expected: "twoskip" })).toEqual({ kind: "unsupported", format });
    }
  });

  test("takes an empty file as an empty database, and one without its magic as damaged", () => {
    for (const expected of ["flat", "twoskip", "skiplist"] as const) {
      const database = readDatabase(new Uint8Array(), { expected });
      expect(database).toMatchObject({ kind: "read", entries: [], problems: [] });
    }
    const bytes = writeTwoskip(entriesOf({ a: "1" }));
    bytes[4] = 0;
    expect(detectFormat(bytes)).toBeUndefined();
    expect(readDatabase(bytes, { expected: "twoskip" })).toMatchObject({
      problems: [{ offset: 0, what: "header" }],
    });
    expect(readDatabase(bytes)).toMatchObject({ format: "flat", problems: [{}] });
  });
});

describe("readFlat()", () => {
  test("reads what writeFlat() wrote, whatever the bytes", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 });
    property(fc.array(fc.record({ key: bytes, value: bytes }), { maxLength: 10 }), (entries) => {
      const { entries: read, problems } = readFlat(writeFlat(entries));
      expect(problems).toEqual([]);
      const hex = (entry: { key: Uint8Array; value: Uint8Array }) =>
        `${Buffer.from(entry.key).toString("hex")} ${Buffer.from(entry.value).toString("hex")}`;
      expect(read.map(hex)).toEqual(entries.map(hex));
    });
  });

  test("escapes NUL, TAB, CR, LF and 0xFF as Cyrus does", () => {
    const written = writeFlat([{ key: fromLatin1("a\0\t"), value: fromLatin1("\r\n\xff") }]);
    expect(latin1(written)).toBe("a\xff\x80\xff\x89\t\xff\x8d\xff\x8a\xff\xff\n");
  });

  test("reports lines that are no entries and a file cut at any byte inside a line", () => {
    const { entries, problems } = readFlat(utf8("a\t1\nb\n\tc\nd\t2\n"));
    expect(entries.map(({ key }) => latin1(key))).toEqual(["a", "d"]);
    expect(problems.map(({ offset }) => offset)).toEqual([4, 6]);
    const whole = utf8("key1\tvalue1\nkey2\tvalue2\n");
    for (let length = 0; length < whole.length; length++) {
      const expected = length === 0 || length === 12 ? 0 : 1;
      expect(readFlat(whole.subarray(0, length)).problems).toHaveLength(expected);
    }
  });
});
