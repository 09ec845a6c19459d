import { describe, expect, test } from "bun:test";
import { BugError } from "../../../src/core/assert.ts";
import { fromLatin1, latin1 } from "../../../src/core/bytes.ts";
import { printFileHead, printLine, printValue } from "../../../src/formats/dlist/print.ts";
import {
  type DlistValue,
  dlistFlag,
  dlistKvlist,
  dlistLatin1,
  dlistList,
  dlistNumber,
  dlistString,
  NIL,
} from "../../../src/formats/dlist/value.ts";
import { CAPTURE_SETS, capturesOf, linesOfSide } from "../../support/captures.ts";
import { parseLine } from "../../support/dlist_line.ts";

function printed(value: DlistValue, from: "client" | "server" = "server"): string {
  return latin1(printValue(value, { from }));
}

/** Lines that were typed by the script which made the captures, not printed by Cyrus. */
const TYPED_BY_HAND = [/^FORCE\r\n/, /^SIEVE .*(\{5\+\}\r\nkeep;|\{9\+\}\r\nnot sieve)\)/s];

describe("printLine()", () => {
  test.each([...CAPTURE_SETS])("gives the bytes of every dlist line of %s", (set) => {
    let lines = 0;
    const wrong: string[] = [];
    for (const { name, connections } of capturesOf(set)) {
      for (const connection of connections) {
        for (const side of ["C", "S"] as const) {
          for (const { bytes, line } of linesOfSide(connection, side)) {
            if (line.kind !== "dlist") continue;
            const start = side === "S" ? 2 : line.words.join(" ").length + 1;
            const original = latin1(bytes.subarray(start)).replace(/\r\n$/, "");
            if (TYPED_BY_HAND.some((pattern) => pattern.test(original))) continue;
            const entry = parseLine(bytes.subarray(start));
            const from = side === "C" ? "client" : "server";
            lines++;
            if (latin1(printLine(entry.name, entry.value, { from })) !== original) {
              wrong.push(`${name} ${side} ${original}`);
            }
          }
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(lines).toBeGreaterThan(500);
  });
});

describe("printValue()", () => {
  const cases: readonly [string | Uint8Array, string][] = [
    ["", '""'],
    ["a", "a"],
    ["NIL", '"NIL"'],
    ["nil", "nil"],
    ["Two Words", '"Two Words"'],
    ["anne\tlrs\t", '"anne\tlrs\t"'],
    ["a(b", '"a(b"'],
    ["a)b", '"a)b"'],
    ["a{b", '"a{b"'],
    ["a}b[]", "a}b[]"],
    ["a*b", '"a*b"'],
    ["\x7f", '"\x7f"'],
    ["\x1f", '"\x1f"'],
    ["100%", "{4}\r\n100%"],
    ["a\\b", "{3}\r\na\\b"],
    ['a"b', '{3}\r\na"b'],
    ["a\nb", "{3}\r\na\nb"],
    ["a\0b", "{3}\r\na\0b"],
    ["ü", "{2}\r\n\xc3\xbc"],
    ["x".repeat(1023), "x".repeat(1023)],
    ["x".repeat(1024), `{1024}\r\n${"x".repeat(1024)}`],
    [` ${"x".repeat(1022)}`, `" ${"x".repeat(1022)}"`],
  ];
  test.each(cases)("prints the string %j by the astring rule", (content, text) => {
    expect(printed(dlistString(content))).toBe(text);
  });

  test("prints text as it prints the bytes of that text", () => {
    const texts = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
    for (const text of [...texts, "", "NIL", "a b", "x".repeat(1023), "x".repeat(1024)]) {
      const bytes = fromLatin1(text);
      expect(printed(dlistLatin1(text))).toBe(printed({ kind: "string", bytes }));
    }
  });

  test("marks a client's literals with a plus", () => {
    expect(printed(dlistString("100%"), "client")).toBe("{4+}\r\n100%");
  });

  test("prints numbers, dates, flags, lists and NIL", () => {
    expect(printed(dlistNumber(0))).toBe("0");
    expect(printed(dlistNumber(18446744073709551615n))).toBe("18446744073709551615");
    expect(printed(dlistNumber(-1))).toBe("18446744073709551615");
    expect(printed(dlistList([dlistFlag("\\Seen"), dlistLatin1("$L"), NIL]))).toBe(
      "(\\Seen $L NIL)",
    );
    expect(printed(dlistList([]))).toBe("()");
    expect(printed(dlistKvlist([]))).toBe("%()");
    const pairs = dlistKvlist([
      ["A", dlistNumber(1)],
      ["B", undefined],
      ["C D", dlistList([])],
    ]);
    expect(printed(pairs)).toBe('%(A 1 "C D" ())');
  });

  test("prints a file with its bytes and refuses one without", () => {
    const file = { kind: "file", partition: "default", guid: "0".repeat(39).concat("a") } as const;
    const content = fromLatin1("a)b");
    const head = `%{default ${file.guid} 3}\r\n`;
    expect(printed({ ...file, size: 3, content })).toBe(`${head}a)b`);
    expect(latin1(printFileHead({ ...file, size: 3 }, { from: "client" }))).toBe(head);
    expect(() => printed({ ...file, size: 3 })).toThrow(BugError);
    expect(() => printed({ ...file, size: 4, content })).toThrow(BugError);
  });
});
