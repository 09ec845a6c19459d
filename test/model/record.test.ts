import { describe, expect, test } from "bun:test";
import { utf8 } from "../../src/core/bytes.ts";
import { type Annotation, sameAnnotations } from "../../src/model/annotation.ts";
import {
  allAnnotations,
  foldAnnotations,
  type MailRecord,
  NO_VIRTUAL_FIELDS,
  virtualAnnotations,
} from "../../src/model/record.ts";

describe("annotations of a record", () => {
  const shared = (entry: string, value: string, modseq = 0n): Annotation => {
    return { entry, userid: "", modseq, value: utf8(value) };
  };
  const PREFIX = "/vendor/cmu/cyrus-imapd/";
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

  test("foldAnnotations() makes virtual ones fields, virtualAnnotations() reverses it", () => {
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
