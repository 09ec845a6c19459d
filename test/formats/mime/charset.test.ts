import { expect, test } from "bun:test";
import { decodeOf, isKnownCharset } from "../../../src/formats/mime/charset.ts";

test("isKnownCharset() knows the names that Cyrus 3.6 was seen to know", () => {
  for (const name of [
    "UTF-8",
    "utf8",
    "latin1",
    "8859_1",
    "cp437",
    "IBM850",
    "x-unknown",
    "utf-7",
  ]) {
    expect([name, isKnownCharset(name)]).toEqual([name, true]);
  }
  for (const name of ["", "x-foo", "858", "iso-8859-16", "visual", "utf8mb4", "unknown8bit"]) {
    expect([name, isKnownCharset(name)]).toEqual([name, false]);
  }
});

test("decodeOf() decodes as Cyrus 3.6 was seen to", () => {
  const cases = [
    ["iso-8859-1", "\x80\xe4", "€ä"],
    ["l1", "\x80\xe4", "\x80ä"],
    ["iso-8859-9", "\x80\xfd", "\x80ı"],
    ["us-ascii", "a\xe4\0b", "a\ufffdb"],
    ["koi8-r", "\xd0", "п"],
    ["shift_jis", "\x93\xfa\xff", "日\x1a"],
    ["cp437", "a\x80", "a\ufffd"],
    ["utf-8", "\xc3\xb6\xe4A\xc3", "ö\ufffdA"],
  ] as const;
  for (const [name, text, decoded] of cases) {
    expect([name, decodeOf(name)?.(text)]).toEqual([name, decoded]);
  }
});
