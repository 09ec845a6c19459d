import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromLatin1, utf8 } from "../../src/core/bytes.ts";
import { crc32 } from "../../src/hash/crc32.ts";
import type { MailRecord, VirtualFields } from "../../src/model/record.ts";
import {
  ANNOT_VARIANTS,
  type AnnotVariant,
  annotationCrc,
  BASIC_INIT,
  basicRecordCrc,
  flagCrc,
  flagsCrc,
  isVirtualAnnotation,
  mailAnnotCrc,
  mailSyncCrc,
  VIRTUAL_ANNOTATIONS,
  virtualAnnotationsCrc,
} from "../../src/model/sync_crc.ts";
import { property } from "../support/property.ts";

// The worked example of sync-protocol 5.1.
const GUID_A = "92d3b70197cb37afc4a8c9dcbcf685c9596d8abc";
const GUID_C = "e75fc6ab10b3c188032e86562003b2443d32f38e";
const RECORD_A = { uid: 1, modseq: 4n, lastUpdated: 1_700_000_100, internaldate: 1_700_000_000 };
const RECORD_C = { uid: 3, modseq: 9n, lastUpdated: 1_700_000_300, internaldate: 1_700_000_060 };
const FIELDS_A = {
  uid: 1,
  cid: 0x0123_4567_89ab_cdefn,
  savedate: 1_700_000_001,
  createdmodseq: 4n,
  internaldateNsec: 0,
  basecid: 0n,
};
const COMMENT = { entry: "/comment", userid: "fred", modseq: 4n, value: utf8("hello") };
const [OLD, MASTER, OLDEST] = ANNOT_VARIANTS;

describe("flagCrc()", () => {
  test.each([
    ["\\Deleted", 301770925],
    ["\\Answered", 2050749261],
    ["\\Flagged", 3986028895],
    ["\\Draft", 1255147686],
    ["\\Seen", 3201761491],
    ["$Label1", 979321343],
  ])("hashes %s in lower case", (name, expected) => {
    expect(flagCrc(name)).toBe(expected);
    expect(flagCrc(name.toUpperCase())).toBe(expected);
  });

  test("leaves bytes that are not ASCII letters alone, and cuts where Cyrus does", () => {
    expect(flagCrc("\xc4\xdf")).toBe(crc32(new Uint8Array([0xc4, 0xdf])));
    expect(flagCrc("a".repeat(5000))).toBe(flagCrc("a".repeat(4095)));
    expect(flagCrc("a".repeat(4095))).not.toBe(flagCrc("a".repeat(4094)));
  });
});

describe("flagsCrc()", () => {
  test("is the XOR of all, 0 of none", () => {
    expect(flagsCrc(["\\Seen", "$Label1"])).toBe(2223522092);
    expect(flagsCrc([])).toBe(0);
  });
});

describe("basicRecordCrc()", () => {
  test("gives the values of the worked example", () => {
    const valueA = basicRecordCrc({ ...RECORD_A, guid: GUID_A }, 2223522092);
    const valueC = basicRecordCrc({ ...RECORD_C, guid: GUID_C }, 0);
    expect(valueA).toBe(19524074);
    expect(valueC).toBe(3696650447);
    expect((BASIC_INIT ^ valueA ^ valueC) >>> 0).toBe(3716120869);
  });

  test("takes the GUID as bytes too", () => {
    const guid = new Uint8Array(Buffer.from(GUID_A, "hex"));
    expect(basicRecordCrc({ ...RECORD_A, guid }, 2223522092)).toBe(19524074);
  });

  test("hashes the text that the reference gives, for any numbers", () => {
    const u32 = fc.nat({ max: 0xffff_ffff });
    const fields = fc.record({
      uid: u32,
      modseq: fc.oneof(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.constantFrom(0n, 9n, 10n, 99n, 100n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
      ),
      lastUpdated: u32,
      internaldate: fc.nat({ max: 18_446_744_073 }),
      guid: fc
        .uint8Array({ minLength: 20, maxLength: 20 })
        .map((b) => Buffer.from(b).toString("hex")),
    });
    property(fields, u32, (record, flags) => {
      const { uid, modseq, lastUpdated, internaldate, guid } = record;
      const text = `${uid} ${modseq} ${lastUpdated} (${flags}) ${internaldate} ${guid}`;
      expect(basicRecordCrc(record, flags)).toBe(crc32(utf8(text)));
    });
  });

  test("hashes a million records in well under a second", () => {
    const count = 1_000_000;
    const record = { ...RECORD_A, guid: GUID_A };
    const start = performance.now();
    let crc = 0;
    for (let uid = 1; uid <= count; uid++) crc ^= basicRecordCrc({ ...record, uid }, uid);
    // 0.3 s on a quiet core; the bound only tells a string per record from none.
    expect(performance.now() - start).toBeLessThan(3000);
    expect(crc).not.toBe(0);
  });
});

describe("virtualAnnotationsCrc()", () => {
  const comment = (variant: AnnotVariant) => annotationCrc(1, COMMENT, variant);
  const total = (variant: AnnotVariant, virtual: number) =>
    (variant.init ^ virtual ^ comment(variant)) >>> 0;

  test("gives the values of the worked example", () => {
    const only = (fields: Partial<VirtualFields>) => ({
      ...{ uid: 1, cid: 0n, savedate: 0, createdmodseq: 0n, internaldateNsec: 0, basecid: 0n },
      ...fields,
    });
    expect(virtualAnnotationsCrc(only({ savedate: 1_700_000_001 }), 17, "short")).toBe(3717004378);
    expect(virtualAnnotationsCrc(only({ createdmodseq: 4n }), 17, "short")).toBe(4239268840);
    expect(virtualAnnotationsCrc(only({ cid: FIELDS_A.cid }), 17, "short")).toBe(3984052100);
    expect(virtualAnnotationsCrc(only({ cid: FIELDS_A.cid }), 17, "padded")).toBe(568489036);
    expect(virtualAnnotationsCrc(only({ internaldateNsec: 123456789 }), 20, "padded")).toBe(
      2417023590,
    );
    expect(virtualAnnotationsCrc(only({}), 20, "padded")).toBe(0);
  });

  test("adds up to the mailbox values of the worked example", () => {
    expect(comment(OLD)).toBe(75450174);
    expect(total(OLD, virtualAnnotationsCrc(FIELDS_A, 17, OLD.thrid))).toBe(3365277254);
    expect(total(MASTER, virtualAnnotationsCrc(FIELDS_A, 17, MASTER.thrid))).toBe(67351950);
    expect(total(OLDEST, virtualAnnotationsCrc(FIELDS_A, 13, OLDEST.thrid))).toBe(3909650618);
    const wide = { ...FIELDS_A, internaldateNsec: 123456789 };
    expect(total(MASTER, virtualAnnotationsCrc(wide, 20, MASTER.thrid))).toBe(2484301800);
  });

  test("counts what the index version has, no more", () => {
    const fields = { ...FIELDS_A, internaldateNsec: 5, basecid: 0x77n };
    const of = (version: number) => virtualAnnotationsCrc(fields, version, "padded");
    expect(of(10)).toBe(0);
    expect(of(12)).toBe(0);
    expect(of(13)).toBe(of(14));
    expect(of(16)).toBe(of(19));
    expect(new Set([of(12), of(13), of(15), of(16), of(20)]).size).toBe(5);
  });

  test("hashes the same text as a real annotation of that value", () => {
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const fields = fc.record({
      uid: fc.nat({ max: 0xffff_ffff }),
      cid: u64,
      savedate: fc.nat({ max: 0xffff_ffff }),
      createdmodseq: u64,
      internaldateNsec: fc.nat({ max: 999_999_999 }),
      basecid: u64,
    });
    const version = fc.constantFrom(12, 13, 15, 16, 20);
    property(fields, version, fc.constantFrom(OLD, MASTER), (record, indexVersion, variant) => {
      let expected = 0;
      for (const { field, entry } of VIRTUAL_ANNOTATIONS) {
        if (!record[field] || !isVirtualAnnotation(entry, indexVersion)) continue;
        const hex = record.cid.toString(16);
        const text = {
          cid: variant.thrid === "short" ? hex : hex.padStart(16, "0"),
          savedate: `${record.savedate}`,
          createdmodseq: `${record.createdmodseq}`,
          internaldateNsec: `${record.internaldateNsec}`,
          basecid: record.basecid.toString(16).padStart(16, "0"),
        }[field];
        const annotation = { entry, userid: "", value: fromLatin1(text) };
        expected ^= annotationCrc(record.uid, annotation, variant);
      }
      expect(virtualAnnotationsCrc(record, indexVersion, variant.thrid)).toBe(expected >>> 0);
    });
  });
});

describe("mailSyncCrc() and mailAnnotCrc()", () => {
  const recordA: MailRecord = {
    ...RECORD_A,
    ...FIELDS_A,
    guid: GUID_A,
    size: 23,
    flags: ["\\Seen", "$Label1"],
    expunged: false,
    annotations: [COMMENT],
  };
  const bare = { cid: 0n, savedate: 0, createdmodseq: 0n, annotations: [] };
  const recordC = { ...recordA, ...RECORD_C, ...bare, guid: GUID_C, flags: [] };
  const expunged = { ...recordA, uid: 2, flags: ["\\Seen"], expunged: true };

  test("give the values of the worked example, expunged records left out", () => {
    const records = [recordA, expunged, recordC];
    expect(mailSyncCrc(records)).toBe(3716120869);
    expect(mailAnnotCrc(records, OLD)).toBe(3365277254);
    expect(mailAnnotCrc(records, MASTER)).toBe(67351950);
    const old = { ...recordA, savedate: 0, createdmodseq: 0n };
    expect(mailAnnotCrc([old, expunged, recordC], OLDEST)).toBe(3909650618);
    const wide = { ...recordA, internaldateNsec: 123456789 };
    expect(mailAnnotCrc([wide, recordC], MASTER)).toBe(2484301800);
  });

  test("are the initial values for a mailbox without messages", () => {
    expect(mailSyncCrc([])).toBe(0);
    expect(ANNOT_VARIANTS.map((variant) => mailAnnotCrc([], variant))).toEqual([
      12345678, 12345678, 0,
    ]);
  });
});

describe("annotationCrc()", () => {
  test("puts two spaces before the value of a shared annotation", () => {
    const shared = { entry: "/comment", userid: "", value: utf8("x") };
    expect(annotationCrc(7, shared, OLD)).toBe(crc32(utf8("7 /comment  x")));
  });

  test("takes values as bytes", () => {
    const value = new Uint8Array([0, 0xff, 0x0a]);
    const expected = crc32(new Uint8Array([...utf8("7 /e u "), ...value]));
    expect(annotationCrc(7, { entry: "/e", userid: "u", value }, OLD)).toBe(expected);
  });

  test("counts no empty value", () => {
    const empty = { ...COMMENT, value: new Uint8Array() };
    for (const variant of ANNOT_VARIANTS) expect(annotationCrc(1, empty, variant)).toBe(0);
  });

  test("counts a missing userid as empty up to 3.0, and not at all later", () => {
    const bare = { ...COMMENT, userid: null };
    const shared = { ...COMMENT, userid: "" };
    expect(annotationCrc(1, bare, OLDEST)).toBe(annotationCrc(1, shared, OLDEST));
    expect(annotationCrc(1, { ...COMMENT, userid: undefined }, OLD)).toBe(0);
    expect(annotationCrc(1, bare, OLD)).toBe(0);
    expect(annotationCrc(1, bare, MASTER)).toBe(0);
  });
});

describe("isVirtualAnnotation()", () => {
  test.each([
    ["thrid", 13],
    ["savedate", 15],
    ["createdmodseq", 16],
    ["internaldate.nsec", 20],
    ["basethrid", 20],
  ])("knows %s from version %d on", (name, since) => {
    const entry = `/vendor/cmu/cyrus-imapd/${name}`;
    expect(isVirtualAnnotation(entry, since - 1)).toBe(false);
    expect(isVirtualAnnotation(entry, since)).toBe(true);
  });

  test("takes other entries for real", () => {
    expect(isVirtualAnnotation("/comment", 20)).toBe(false);
  });
});
