import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeMutf7, encodeMutf7 } from "../../src/model/mutf7.ts";
import { property } from "../support/property.ts";

describe("mUTF-7", () => {
  test.each([
    ["Entw&APw-rfe", "Entwürfe"],
    ["&ZeVnLIqe-", "日本語"],
    ["&U,BTFw-", "台北"],
    ["~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"],
    ["&-", "&"],
    ["&2D3eAA-", "😀"],
    ["plain", "plain"],
  ])("%s is %s", (encoded, text) => {
    expect(decodeMutf7(encoded)).toBe(text);
    expect(encodeMutf7(text)).toBe(encoded);
  });

  test.each(["&", "&APw", "&APw-&APw-", "&AGE-", "&2D0-", "&A-", "\xfc", "a\tb", "&A!-"])(
    "decodeMutf7() refuses %j",
    (name) => {
      expect(decodeMutf7(name)).toBeUndefined();
    },
  );

  test("decodeMutf7() is the inverse of encodeMutf7()", () => {
    property(fc.string({ unit: "grapheme" }), (text) => {
      expect(decodeMutf7(encodeMutf7(text))).toBe(text);
    });
  });
});
