import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1, latin1, utf8 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import { parseValue } from "../../../src/formats/dlist/parse.ts";
import { printValue } from "../../../src/formats/dlist/print.ts";
import type { DlistValue } from "../../../src/formats/dlist/value.ts";
import { parseLine } from "../../support/dlist_line.ts";
import { property } from "../../support/property.ts";
import { anyValue } from "./values.ts";

/** A value as nested plain text, so that expectations can be read. */
function plain(value: DlistValue): unknown {
  switch (value.kind) {
    case "nil":
      return null;
    case "string":
      return latin1(value.bytes);
    case "flag":
      return { flag: latin1(value.bytes) };
    case "atom":
      return { atom: value.text };
    case "list":
      return value.items.map(plain);
    case "kvlist":
      return { pairs: value.entries.map((entry) => [entry.name, plain(entry.value)]) };
    case "file":
      return { file: [value.partition, value.guid, latin1(value.content ?? new Uint8Array())] };
  }
}

const GUID = "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc";

describe("parseValue()", () => {
  const accepted: readonly [input: string, value: unknown][] = [
    ['""', ""],
    ["NIL", null],
    ['"NIL"', "NIL"],
    ["{3}\r\nNIL", "NIL"],
    ["nil", "nil"],
    ["NILS", "NILS"],
    ["()", []],
    ["%()", { pairs: [] }],
    ["( )", []],
    ["%( \t)", { pairs: [] }],
    ["((a) (b))", [["a"], ["b"]]],
    ["{0}\r\n", ""],
    ["{0+}\r\n", ""],
    ["({0+}\r\n {0}\r\n)", ["", ""]],
    ["({5+}\r\n)\r\n(a b)", [")\r\n(a", "b"]],
    ['"anne\tlrswip\t"', "anne\tlrswip\t"],
    ["\\Seen", { flag: "\\Seen" }],
    ["(\\Seen $Label1)", [{ flag: "\\Seen" }, "$Label1"]],
    ['"a\\"b\\\\c"', 'a"b\\c'],
    ["%(\xe9t\xe9 {2+}\r\n\xc3\xa9)", { pairs: [["\xe9t\xe9", "\xc3\xa9"]] }],
    ["%({3}\r\na b x)", { pairs: [["a b", "x"]] }],
    ['%("a b" x)', { pairs: [["a b", "x"]] }],
    ["%(A 1 A 2)", { pairs: [["A", "1"], ["A", "2"]] }], // biome-ignore format: one case, one line
    ["(\r\n  %(A 1)\r\n  %(A 2))", [{ pairs: [["A", "1"]] }, { pairs: [["A", "2"]] }]],
    ["18446744073709551615", "18446744073709551615"],
    ["%(FLAGS ())", { pairs: [["FLAGS", []]] }],
    ["a{b%c\\d*e]f[g,h", "a{b%c\\d*e]f[g,h"],
    [
      `(%{default ${GUID} 3}\r\na)b %{p2 ${GUID} 0}\r\n)`,
      [{ file: ["default", GUID, "a)b"] }, { file: ["p2", GUID, ""] }],
    ],
    [`%{"a b" ${GUID.toUpperCase()} 1}\nx`, { file: ["a b", GUID, "x"] }],
    ["(a)\r\n", ["a"]],
    ["a\n", "a"],
  ];
  test.each(accepted)("reads %j", (input, value) => {
    expect(plain(parseValue(fromLatin1(input)))).toEqual(value);
  });

  const refused: readonly [input: string, offset: number][] = [
    ["% (a)", 1],
    ["%", 1],
    ["%x", 1],
    ["", 0],
    ["(a", 2],
    ["a b", 1],
    ["(a) ", 3],
    ["()x", 2],
    [")", 0],
    ["%(A)", 3],
    ["%(A B C)", 7],
    ["%((a) b)", 2],
    ['"a', 2],
    ['"a\r\n"', 2],
    ['"a\\\r"', 3],
    ["{x}\r\n", 5],
    ["{1}\na", 4],
    ["{1}a", 4],
    ["{3}\r\nab", 7],
    ["{99999999999}\r\n", 15],
    [`%{default xyz 5}\r\nabcde`, 18],
    [`%{default ${GUID}}\r\n`, 53],
    [`%{default ${GUID} 5}\r\nabcd`, 59],
  ];
  test.each(refused)("refuses %j and says where", (input, offset) => {
    let error: unknown;
    try {
      parseValue(fromLatin1(input));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect(error).toHaveProperty("offset", offset);
  });

  const limits = DEFAULT_LIMITS;
  const overLimit: readonly [name: string, input: string, limits: typeof limits][] = [
    ["an atom", "aaaaa", { ...limits, atomBytes: 4 }],
    ["a name", "%(aaaaa b)", { ...limits, atomBytes: 4 }],
    ["a quoted string", '"aaaaa"', { ...limits, atomBytes: 4 }],
    ["a quoted string with escapes", '"a\\aaaa"', { ...limits, atomBytes: 4 }],
    ["a literal", "{5}\r\naaaaa", { ...limits, literalBytes: 4 }],
    ["a file that is held", `%{p ${GUID} 5}\r\naaaaa`, { ...limits, literalBytes: 4 }],
    ["a message", `%{p ${GUID} 5}\r\naaaaa`, { ...limits, messageBytes: 4 }],
    ["nesting", "((((()))))", { ...limits, nesting: 4 }],
    ["a list", "(a b c d e)", { ...limits, listItems: 4 }],
    ["a kvlist", "%(a b c d e f g h i j)", { ...limits, listItems: 4 }],
    ["a whole line", "(() () ())", { ...limits, lineBytes: 130 }],
    ["literals of a whole line", "({5}\r\naaaaa {5}\r\naaaaa)", { ...limits, lineBytes: 73 }],
  ];
  test.each(overLimit)("refuses %s past the limit", (_, input, tight) => {
    expect(() => parseValue(fromLatin1(input), { limits: tight })).toThrow(FormatError);
    expect(() => parseValue(fromLatin1(input))).not.toThrow();
  });

  test("gives back what printValue() printed, whatever the value", () => {
    property(anyValue, fc.constantFrom("client" as const, "server" as const), (value, from) => {
      const printed = printValue(value, { from });
      const again = parseValue(printed);
      expect(plain(again)).toEqual(plain(value));
      expect(printValue(again, { from })).toEqual(printed);
    });
  });

  test("throws nothing but FormatError, whatever the bytes", () => {
    const piece = fc.constantFrom(
      ...["(", ")", "%(", "%{", "{", "}", "+", " ", "\r\n", '"', "\\", "NIL", "a", "3", "0", GUID],
    );
    const junk = fc.array(piece, { maxLength: 24 }).map((pieces) => fromLatin1(pieces.join("")));
    property(fc.oneof(junk, fc.uint8Array({ maxLength: 64 })), (input) => {
      try {
        parseValue(input);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    });
  });
});

describe("DlistParser at the start of a line", () => {
  test("reads a name and a value", () => {
    const line = parseLine(utf8('MAILBOX %(UNIQUEID abc ACL "anne\tlrs\t")\r\n'));
    expect(line.name).toBe("MAILBOX");
    expect(plain(line.value)).toEqual({
      pairs: [
        ["UNIQUEID", "abc"],
        ["ACL", "anne\tlrs\t"],
      ],
    });
  });

  test("takes any white space after the name, but none before it", () => {
    expect(plain(parseLine(utf8("FORCE\r\n ()")).value)).toEqual([]);
    expect(() => parseLine(utf8(" FORCE ()"))).toThrow(FormatError);
  });

  test("reads a quoted name", () => {
    expect(parseLine(utf8('"TWO WORDS" x')).name).toBe("TWO WORDS");
  });
});
