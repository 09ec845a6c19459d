/** The small parts of the model: mUTF-7, ACLs, flags, sequence sets, annotations, records. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../src/core/bytes.ts";
import { FormatError } from "../../src/core/errors.ts";
import { parseAcl, printAcl } from "../../src/model/acl.ts";
import { type Annotation, sameAnnotations } from "../../src/model/annotation.ts";
import { isKeyword, orderFlags, sameFlags, systemFlagOf } from "../../src/model/flags.ts";
import { decodeMutf7, encodeMutf7 } from "../../src/model/mutf7.ts";
import {
  allAnnotations,
  foldAnnotations,
  type MailRecord,
  NO_VIRTUAL_FIELDS,
  virtualAnnotations,
} from "../../src/model/record.ts";
import { hasUid, parseSequenceSet, printSequenceSet } from "../../src/model/sequence_set.ts";
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

describe("ACLs", () => {
  test("parseAcl() reads the tab form and printAcl() writes it", () => {
    const acl = "anne\tlrswipkxtecdan\tanyone\tlrs\t-bob\tw\t";
    const entries = parseAcl(acl);
    expect(entries).toEqual([
      { identifier: "anne", rights: "lrswipkxtecdan" },
      { identifier: "anyone", rights: "lrs" },
      { identifier: "-bob", rights: "w" },
    ]);
    expect(printAcl(entries ?? [])).toBe(acl);
    expect(parseAcl("")).toEqual([]);
    expect(parseAcl("anne\tlrs")).toEqual([{ identifier: "anne", rights: "lrs" }]);
  });

  test.each(["anne", "\tlrs\t", "anne\tlrs\tbob\t"])("parseAcl() refuses %j", (acl) => {
    expect(parseAcl(acl)).toBeUndefined();
  });
});

describe("flags", () => {
  test("orderFlags() puts system flags first, each once, and drops unknown ones", () => {
    const flags = ["$Label1", "\\seen", "\\ANSWERED", "\\Nonsense", "$label1", "\\Seen", "Old"];
    expect(orderFlags(flags)).toEqual(["\\Answered", "\\Seen", "$Label1", "Old"]);
  });

  test("sameFlags() minds neither order nor case", () => {
    expect(sameFlags(["\\Seen", "$A"], ["$a", "\\seen"])).toBe(true);
    expect(sameFlags(["\\Seen"], ["\\Seen", "$A"])).toBe(false);
    expect(sameFlags(["\\Seen", "$B"], ["\\Seen", "$A"])).toBe(false);
  });

  test("systemFlagOf() and isKeyword() tell flags from keywords", () => {
    expect(systemFlagOf("\\draft")).toBe("\\Draft");
    expect(systemFlagOf("Draft")).toBeUndefined();
    expect(["$Label1", "Junk", "a:b"].every(isKeyword)).toBe(true);
    expect(["", "\\Seen", "a b", "a(b", "a]", "ü", 'a"', "a%"].some(isKeyword)).toBe(false);
  });
});

describe("sequence sets", () => {
  test.each([
    ["", ""],
    ["1", "1"],
    ["3,1,2", "1:3"],
    ["5:3,4:9,20", "3:9,20"],
    ["1:2,3:4", "1:4"],
    ["4294967295", "4294967295"],
  ])("%s reads as %s", (text, joined) => {
    expect(printSequenceSet(parseSequenceSet(text))).toBe(joined);
  });

  test.each(["0", "1:", ":1", "1,", "*", "1:*", "4294967296", "a", "1 2"])(
    "parseSequenceSet() refuses %j",
    (text) => {
      expect(() => parseSequenceSet(text)).toThrow(FormatError);
    },
  );

  test("hasUid() says what a set of the same UIDs says", () => {
    const uids = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
    property(uids, fc.integer({ min: 1, max: 41 }), (members, uid) => {
      const ranges = parseSequenceSet(members.join(","));
      expect(hasUid(ranges, uid)).toBe(members.includes(uid));
    });
  });
});

const shared = (entry: string, value: string, modseq = 0n): Annotation => {
  return { entry, userid: "", modseq, value: utf8(value) };
};
const PREFIX = "/vendor/cmu/cyrus-imapd/";

describe("annotations of a record", () => {
  const virtual = [
    shared(`${PREFIX}basethrid`, "5dbb623af6b9f9be"),
    shared(`${PREFIX}internaldate.nsec`, "470822503"),
    shared(`${PREFIX}thrid`, "080371c4e506d2a5"),
    shared(`${PREFIX}savedate`, "1795347502"),
    shared(`${PREFIX}createdmodseq`, "8"),
  ];
  const fields = {
    cid: 0x80371c4e506d2a5n,
    basecid: 0x5dbb623af6b9f9ben,
    savedate: 1795347502,
    createdmodseq: 8n,
    internaldateNsec: 470822503,
  };

  test("foldAnnotations() takes the virtual ones into fields, and virtualAnnotations() back", () => {
    const real = shared("/comment", "hello", 5n);
    expect(foldAnnotations([real, ...virtual])).toEqual({ ...fields, annotations: [real] });
    expect(virtualAnnotations(fields)).toEqual(virtual);
    const record = { ...fields, annotations: [real] } as unknown as MailRecord;
    expect(allAnnotations(record)).toEqual([real, ...virtual]);
    expect(virtualAnnotations(NO_VIRTUAL_FIELDS)).toEqual([]);
  });

  test.each([
    shared(`${PREFIX}thrid`, "80371c4e506d2a5"),
    shared(`${PREFIX}thrid`, "0000000000000000"),
    shared(`${PREFIX}savedate`, "0"),
    shared(`${PREFIX}savedate`, "01"),
    shared(`${PREFIX}savedate`, "x"),
    shared(`${PREFIX}createdmodseq`, "-1"),
    shared(`${PREFIX}basethrid`, "5dbb623af6b9f9be", 7n),
    shared(`${PREFIX}toString`, "1"),
    { ...shared(`${PREFIX}savedate`, "1"), userid: "anne" },
  ])("foldAnnotations() leaves what Cyrus would not print so, %#", (annotation) => {
    expect(foldAnnotations([annotation])).toEqual({
      ...NO_VIRTUAL_FIELDS,
      annotations: [annotation],
    });
  });

  test("sameAnnotations() minds neither order nor modseq", () => {
    const [a, b] = [shared("/a", "1", 1n), { ...shared("/a", "2"), userid: "anne" }];
    expect(sameAnnotations([a, b], [b, { ...a, modseq: 9n }])).toBe(true);
    expect(sameAnnotations([a], [b])).toBe(false);
    expect(sameAnnotations([a], [a, b])).toBe(false);
    expect(sameAnnotations([a], [shared("/a", "3")])).toBe(false);
  });
});
