import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FormatError } from "../../../src/core/errors.ts";
import {
  decodeWord,
  encodeWord,
  parseFileLine,
  parseWords,
  printWords,
} from "../../../src/formats/backup/wire.ts";

const bytes = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((octets) => String.fromCharCode(...octets));

describe("encodeWord()", () => {
  test.each([
    ["INBOX.Two Words", "INBOX.Two%20Words"],
    ["INBOX.Entw&APw-rfe", "INBOX.Entw%26APw-rfe"],
    ["user.bob.a^b", "user.bob.a%5Eb"],
    ["a~b_c", "a~b_c"],
    ["\xc3", "%C3"],
    ["\xffFFFFC3", "%FF%46FFFC3"],
  ])("prints %p as upstream does", (word, printed) => {
    expect(encodeWord(word)).toBe(printed);
    expect(decodeWord(printed)).toBe(word);
  });

  test("prints any bytes as words that parseWords() reads back", () => {
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 5 }), (words) => {
        expect(parseWords(printWords(...words))).toEqual(words as [string]);
      }),
      { seed: 15 },
    );
  });
});

describe("decodeWord()", () => {
  test("reads bytes over 127 with the sign that upstream's server prints", () => {
    expect(decodeWord("Entw%FFFFFFC3%FFFFFFBCrfe")).toBe("Entw\xc3\xbcrfe");
  });

  test("leaves a percent sign that encodes nothing", () => {
    expect(decodeWord("50%, 5%2")).toBe("50%, 5%2");
  });
});

describe("parseWords()", () => {
  test("reads quoted words", () => {
    const line = 'FMETA fixture bob "INBOX.Two Words" header';
    const words = ["FMETA", "fixture", "bob", "INBOX.Two Words", "header"];
    expect(parseWords(line) as string[]).toEqual(words);
    expect(parseWords('META s "a\\"b\\\\"')).toEqual(["META", "s", 'a"b\\']);
  });

  test.each(["", " ", "a  b", "a ", " a", 'a "b', 'a "b"c'])("refuses %p", (line) => {
    expect(() => parseWords(line)).toThrow(FormatError);
  });

  test("throws nothing but FormatError, whatever the line", () => {
    fc.assert(
      fc.property(bytes, (line) => {
        try {
          parseWords(line);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { seed: 16 },
    );
  });
});

describe("parseFileLine()", () => {
  test("reads the forms with and without a folder", () => {
    const facts = { size: 576, mtime: 1795347707n, inode: 2237088n };
    const words = ["576", "1795347707", "2237088"];
    expect(parseFileLine(["seen", ...words])).toEqual({
      folder: undefined,
      name: "seen",
      ...facts,
    });
    expect(parseFileLine(["INBOX", "index", ...words])).toEqual({
      ...{ folder: "INBOX", name: "index", ...facts },
    });
  });

  test("loses no bit of an inode", () => {
    const { inode } = parseFileLine(["index", "1", "0", "18446744073709551615"]);
    expect(inode).toBe(0xffff_ffff_ffff_ffffn);
  });

  test.each([[[]], [["1", "2", "3"]], [["a", "b", "c", "1", "2", "3"]], [["a", "1", "x", "3"]]])(
    "refuses %p",
    (words) => {
      expect(() => parseFileLine(words)).toThrow(FormatError);
    },
  );
});
