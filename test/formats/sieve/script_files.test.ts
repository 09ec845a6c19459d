/** Scripts as messages of the mailbox `#sieve`, and as files. */
import { describe, expect, test } from "bun:test";
import { concat, latin1, utf8 } from "../../../src/core/bytes.ts";
import {
  decodeScriptName,
  parseScriptMessage,
  sieveFilesOf,
} from "../../../src/formats/sieve/script_files.ts";

describe("parseScriptMessage()", () => {
  const parse = (text: string) => parseScriptMessage(utf8(text));

  test("takes the name from the Subject, unfolded and decoded, and the body", () => {
    const text =
      "From: <ann@a>\r\nSubject: =?UTF-8?Q?Gr=C3=BC?=\r\n =?UTF-8?Q?=C3=9Fe_x?=\r\nX: y\r\n" +
      "\r\nkeep;\r\n\r\nstop;";
    const script = parse(text);
    expect(script?.name).toBe(latin1(utf8("Grüße x")));
    expect(latin1(script?.content ?? expect.unreachable())).toBe("keep;\r\n\r\nstop;");
  });

  test("finds no script in a message without header or Subject", () => {
    expect(parse("keep;")).toBeUndefined();
    expect(parse("From: x\r\n\r\nSubject: y")).toBeUndefined();
  });
});

describe("decodeScriptName()", () => {
  test("leaves what is plain, and joins the words of a long name", () => {
    expect(decodeScriptName("main")).toBe("main");
    expect(decodeScriptName("a =? b ?= =?x")).toBe("a =? b ?= =?x");
    // As sync_server 3.6.1 names a script whose name has 118 characters.
    const words =
      "=?UTF-8?Q?a-very-long-script-name-a-very-long-script-name-a-very-long-sc?= " +
      "=?UTF-8?Q?ript-name-a-very-long-script-name-a-very-long-script-name-end?=";
    expect(decodeScriptName(words)).toBe(`${"a-very-long-script-name-".repeat(5)}end`);
    expect(decodeScriptName("=?utf-8?b?w7w=?=")).toBe(latin1(utf8("ü")));
  });
});

describe("sieveFilesOf()", () => {
  test.each([
    [9, 7],
    [30, 0],
  ])("of bytecode %d lists what its server would", (version, lastUpdate) => {
    const code = concat([utf8("CyrSBytecode"), Uint8Array.of(0, 0, 0, version)]);
    const script = { name: "a", lastUpdate: 5, content: utf8("keep;"), isActive: true };
    const files = sieveFilesOf([{ ...script, bytecode: { lastUpdate: 7, content: code } }]);
    expect(files.map((file) => [file.filename, file.lastUpdate, file.isActive])).toEqual([
      ["a.script", 5, false],
      ["a.bc", lastUpdate, true],
    ]);
  });
});
