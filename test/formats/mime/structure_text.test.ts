/** ENVELOPE and BODYSTRUCTURE of odd messages are those that Cyrus 3.6.1 wrote. */
import { describe, expect, test } from "bun:test";
import { fromLatin1 } from "../../../src/core/bytes.ts";
import { parseMessage } from "../../../src/formats/mime/message.ts";
import { envelopeOf, nstring, structureOf } from "../../../src/formats/mime/structure_text.ts";
import { quirks } from "../../support/cache_quirks.ts";

describe("structureOf() is Cyrus' for", () => {
  for (const { name, given, text } of quirks("structure")) {
    test(name, () => {
      expect(structureOf(parseMessage(fromLatin1(given)), true)).toBe(text);
    });
  }
});

describe("envelopeOf() is Cyrus' for", () => {
  for (const { name, given, text } of quirks("envelope")) {
    test(name, () => {
      expect(envelopeOf(parseMessage(fromLatin1(given)))).toBe(text);
    });
  }
});

test("structureOf() leaves the extensions out for BODY", () => {
  const part = parseMessage(fromLatin1("Content-Type: image/png\r\nContent-MD5: x\r\n\r\nabc"));
  expect(structureOf(part, false)).toBe('("IMAGE" "PNG" NIL NIL NIL "7BIT" 3)');
});

test("nstring() writes a literal where a quoted string cannot hold the value", () => {
  expect([undefined, "", "a", 'a"'].map(nstring)).toEqual(["NIL", '""', '"a"', '{2}\r\na"']);
});
