import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import fc from "fast-check";
import { concat, fromLatin1, latin1, utf8 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import {
  OWNER_TOKEN,
  parseAnnotationValue,
  parseMailboxAnnotation,
  parseMessageAnnotation,
  printMessageAnnotation,
} from "../../../src/formats/cyrus/annotations_db.ts";
import { readTwoskip } from "../../../src/formats/cyrus/databases/twoskip.ts";
import { TWOSKIP_MAGIC } from "../../../src/formats/cyrus/databases/twoskip_record.ts";
import { filesWithMagic } from "../../support/databases.ts";
import { readOnlyFixture } from "../../support/fixtures.ts";
import { property } from "../../support/property.ts";

const TYPE = utf8("text/plain\0");
const MODSEQ = Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 44);

describe("parseAnnotationValue()", () => {
  const little = [Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0), new Uint8Array(8)];
  const big = [Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 4), new Uint8Array(8)];
  const short = [Uint8Array.of(0, 0, 0, 4), new Uint8Array(4)];
  for (const [host, [length, since]] of Object.entries({ little, big, short })) {
    const old = concat([length ?? TYPE, utf8("note\0"), TYPE, since ?? TYPE]);

    test(`reads values of a ${host} host with and without modseq and flags`, () => {
      const value = utf8("note");
      const plain = { value, modseq: 0n, deleted: false };
      expect(parseAnnotationValue(old)).toEqual(plain);
      expect(parseAnnotationValue(concat([old, MODSEQ]))).toEqual({ ...plain, modseq: 300n });
      const whole = concat([old, MODSEQ, Uint8Array.of(0)]);
      expect(parseAnnotationValue(whole)).toEqual({ ...plain, modseq: 300n });
    });

    test(`reads a tombstone of a ${host} host as empty`, () => {
      const bytes = concat([old, MODSEQ, Uint8Array.of(1)]);
      expect(parseAnnotationValue(bytes)).toEqual({
        value: new Uint8Array(),
        modseq: 300n,
        deleted: true,
      });
    });
  }

  test("refuses bytes that no layout fills", () => {
    const whole = concat([little[0] ?? TYPE, utf8("note\0"), TYPE, new Uint8Array(8), MODSEQ]);
    for (const length of [0, 3, 8, 12, 15, 24, whole.length - 1]) {
      expect(() => parseAnnotationValue(whole.subarray(0, length))).toThrow(FormatError);
    }
  });

  test("reads random bytes or throws FormatError, nothing else", () => {
    property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        parseAnnotationValue(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    });
  });
});

describe("annotations of real servers", () => {
  const fixtures = [
    "legacy-paths",
    "uuid-paths-3.12",
    "uuid-paths-master",
    "index-versions-master",
  ];
  for (const fixture of fixtures) {
    test(`of ${fixture} are read and printed byte for byte`, () => {
      const root = readOnlyFixture(`cyrus-spools/${fixture}`);
      let count = 0;
      for (const path of filesWithMagic(root, TWOSKIP_MAGIC)) {
        const name = basename(path);
        if (name !== "cyrus.annotations" && name !== "annotations.db") continue;
        for (const entry of readTwoskip(readFileSync(path)).entries) {
          // Entries of mailboxes have the name where those of messages have the UID.
          const { mailbox = "", ...rest } =
            name === "annotations.db"
              ? { ...parseMailboxAnnotation(entry), uid: 0 }
              : { ...parseMessageAnnotation(entry), mailbox: undefined };
          const printed = printMessageAnnotation(rest);
          const key = latin1(printed.key);
          expect(mailbox === "" ? key : key.replace(/^0/, mailbox)).toBe(latin1(entry.key));
          expect(latin1(printed.value)).toBe(latin1(entry.value));
          count++;
        }
      }
      expect(count).toBeGreaterThan(5);
    });
  }

  test("hold what was set: shared, private, and special use", () => {
    const root = readOnlyFixture("cyrus-spools/legacy-paths");
    const found = filesWithMagic(root, TWOSKIP_MAGIC)
      .filter((path) => basename(path) === "annotations.db")
      .flatMap((path) => readTwoskip(readFileSync(path)).entries.map(parseMailboxAnnotation))
      .map(({ entry, userid, value }) => `${entry} ${userid} ${latin1(value)}`);
    expect(found).toContain("/comment  our Two Words");
    expect(found).toContain(`/comment ${OWNER_TOKEN} my Two Words`);
    expect(found).toContain(`/specialuse ${OWNER_TOKEN} \\Drafts`);
  });
});

describe("parseMessageAnnotation()", () => {
  const value = concat([
    Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0),
    utf8("x\0"),
    TYPE,
    new Uint8Array(17),
  ]);

  test("reads keys with and without a userid", () => {
    const key = (text: string) => ({ key: fromLatin1(text), value });
    expect(parseMessageAnnotation(key("7\0/comment\0\0"))).toMatchObject({ uid: 7, userid: "" });
    expect(parseMessageAnnotation(key("7\0/comment\0fred\0"))).toMatchObject({ userid: "fred" });
    expect(parseMessageAnnotation(key("7\0/comment"))).toMatchObject({ userid: undefined });
    expect(parseMessageAnnotation(key("7\0/comment\0"))).toMatchObject({ userid: undefined });
  });

  test("refuses keys without a UID or an entry, or with more behind the userid", () => {
    const bad = ["", "7", "0\0/comment\0\0", "4294967296\0/comment\0\0", "a\0/comment\0\0"];
    for (const text of [...bad, "07\0/x\0\0", "7\0\0\0", "7\0/x\0fred\0more", "7\0/x\0fred\0\0"]) {
      expect(() => parseMessageAnnotation({ key: fromLatin1(text), value })).toThrow(FormatError);
    }
  });
});
