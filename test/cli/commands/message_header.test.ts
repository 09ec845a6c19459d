import { describe, expect, test } from "bun:test";
import { parseMessageHeader, readMessageHeader } from "../../../src/cli/commands/message_header.ts";
import { utf8 } from "../../../src/core/bytes.ts";

const HEADERS: readonly [header: string, from: string, subject: string][] = [
  ["From: ann@example.com\r\nSubject: hello\r\n\r\nbody", "ann@example.com", "hello"],
  [
    'From: "Ann, the first" <ann@example.com>\r\nSUBJECT : x\r\n',
    "Ann, the first <ann@example.com>",
    "x",
  ],
  [
    "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n =?utf-8?Q?_an_alle?=\r\nFrom: =?iso-8859-1?Q?J=F6rg?= " +
      "<j@x.de>\r\n\r\n",
    "Jörg <j@x.de>",
    "Grüße an alle",
  ],
  ["Subject: over\r\n two\r\n\tlines\r\n\r\nSubject: body\r\n", "", "over two lines"],
  ["subject: bare line feeds\nfrom: a@b\n\nbody", "a@b", "bare line feeds"],
  ["From: a@b, Team: c@d, e@f;\r\n\r\n", "a@b, c@d, e@f", ""],
  ["X-Subject: no\r\n\r\nSubject: body", "", ""],
  ["", "", ""],
];

describe("parseMessageHeader()", () => {
  for (const [header, from, subject] of HEADERS) {
    test(`reads ${JSON.stringify(header.slice(0, 40))}`, () => {
      expect(parseMessageHeader(utf8(header))).toEqual({ from, subject });
    });
  }

  test("takes bytes that are not UTF-8 one by one", () => {
    const bytes = Buffer.from("Subject: Gr\xfc\xdfe\r\n\r\n", "latin1");
    expect(parseMessageHeader(bytes).subject).toBe("Grüße");
  });
});

describe("readMessageHeader()", () => {
  test("stops at the end of the header, and at its limit", async () => {
    const read = async (part: string) => {
      let parts = 0;
      const chunks = function* () {
        for (; parts < 100; parts++) yield utf8(part);
      };
      const header = await readMessageHeader({ size: 100 * part.length, chunks });
      return { ...header, parts };
    };
    expect(await read("Subject: a\r\n\r\n")).toEqual({ from: "", subject: "a", parts: 0 });
    expect((await read(`X: ${"x".repeat(65532)}\n`)).parts).toBeLessThan(5);
  });
});
