import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1, latin1 } from "../../../src/core/bytes.ts";
import {
  decodeBase64,
  decodeQ,
  decodeQuoted,
} from "../../../src/formats/mime/transfer_encoding.ts";
import { property } from "../../support/property.ts";

const decoded = (decode: (bytes: Uint8Array) => Uint8Array, text: string) =>
  latin1(decode(fromLatin1(text)));

describe("decodeBase64()", () => {
  test("takes back what was encoded", () => {
    property(fc.uint8Array(), (bytes) => {
      const encoded = fromLatin1(Buffer.from(bytes).toString("base64"));
      expect(Buffer.compare(decodeBase64(encoded), bytes)).toBe(0);
    });
  });

  test("skips what is no part of it, and begins again behind padding", () => {
    const cases = {
      "YW\r\nJj": "abc",
      "Y W*Jj": "abc",
      "YQ==YWI=": "aab",
      "====": "",
      Y: "",
      YW: "a",
    };
    for (const [text, bytes] of Object.entries(cases)) {
      expect([text, decoded(decodeBase64, text)]).toEqual([text, bytes]);
    }
  });
});

describe("decodeQuoted()", () => {
  test("joins soft lines, drops white space at ends, keeps what is no encoding", () => {
    const cases = {
      "=C3=b6": "\xc3\xb6",
      "a=\r\nb": "ab",
      "a= \r\nb": "ab",
      "a \t\r\nb": "a\r\nb",
      "a\nb": "a\r\nb",
      "=zz=4": "=zz=4",
      "a\rb": "ab",
      "a_=": "a_",
    };
    for (const [text, bytes] of Object.entries(cases)) {
      expect([text, decoded(decodeQuoted, text)]).toEqual([text, bytes]);
    }
  });
});

test("decodeQ() has spaces for underscores", () => {
  expect(decoded(decodeQ, "a_=5Fb=")).toBe("a _b");
});
