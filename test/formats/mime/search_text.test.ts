/** Encoded words and addresses in the form that Cyrus searches them in. */
import { describe, expect, test } from "bun:test";
import { latin1, utf8 } from "../../../src/core/bytes.ts";
import { parseAddresses } from "../../../src/formats/mime/addresses.ts";
import { searchAddresses, searchText } from "../../../src/formats/mime/search_text.ts";
import { nstring } from "../../../src/formats/mime/structure_text.ts";
import { quirks } from "../../support/cache_quirks.ts";

const FORM = { isFolded: false, hasQuotes: true };

describe("searchText() is Cyrus' for", () => {
  for (const { name, given, text } of quirks("search")) {
    test(name, () => {
      expect(nstring(searchText(given.replace(/\r\n/g, ""), FORM))).toBe(text);
    });
  }
});

test("searchText() joins a character that two words share, in UTF-8 alone", () => {
  const umlaut = latin1(utf8("aöb"));
  expect(searchText("=?utf-8?q?a=C3?= =?utf-8?q?=B6b?=", FORM)).toBe(umlaut);
  expect(searchText("=?shift_jis?q?=93?= =?shift_jis?q?=FA?=", FORM)).toBe("\x1a\x1a");
});

test("searchText() of Cyrus 2.4 is in lower case without accents", () => {
  expect(searchText("=?utf-8?q?Gr=C3=BC=C3=9Fe?= X", { ...FORM, isFolded: true })).toBe(
    "grusse X".toLowerCase(),
  );
});

test("searchAddresses() writes names, routes and groups", () => {
  const list = parseAddresses('"A. B" <A@B>, g: "x" <@R:y@z>, w;, v');
  const text = '"A. B" <a@b>,g:x <@r:y@z>,<w@unspecified-domain>;,<v@unspecified-domain>';
  expect(searchAddresses(list, FORM)).toBe(text);
  expect(searchAddresses(list, { ...FORM, hasQuotes: false })).toBe(text.replaceAll('"', ""));
});
