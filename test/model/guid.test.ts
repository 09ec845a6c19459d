import { describe, expect, test } from "bun:test";
import { hexOf, utf8, viewOf } from "../../src/core/bytes.ts";
import { parseIndexRecord } from "../../src/formats/cyrus/index/index_record.ts";
import { tableOf } from "../../src/formats/cyrus/index/index_table.ts";
import { md5 } from "../../src/hash/md5.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { isLegacyUuid, isSha1, md5PrefixOf, NULL_GUID } from "../../src/model/guid.ts";
import { goldenMailboxes, mailboxFile } from "../support/golden_mailboxes.ts";

const MESSAGE = utf8("Subject: one\r\n\r\nhello\r\n");
/** MD5 of the message above, by md5sum. */
const MESSAGE_MD5 = "e89608781fda22e24ee60c506999498e";
const PADDING = "0".repeat(16);
/** One of schema 1: machine 2, generation 42, start time, child 7, counter 291. */
const ALLOCATED = `01022a4b3d9d5e0007000123${PADDING}`;
const SHA1S = [
  "02d3b70197cb37afc4a8c9dcbcf685c9596d8abc",
  "01d3b70197cb37afc4a8c9dc0000000000000001",
];

describe("isSha1() and isLegacyUuid()", () => {
  test.each(SHA1S)("take %s for a SHA-1", (guid) => {
    expect([isSha1(guid), isLegacyUuid(guid)]).toEqual([true, false]);
  });

  test.each([0, 1, 2, 3, 0x80, 0xff])("take 12 bytes of schema %d for a UUID", (schema) => {
    const guid = `${schema.toString(16).padStart(2, "0")}${"ab".repeat(11)}${PADDING}`;
    expect([isSha1(guid), isLegacyUuid(guid)]).toEqual([false, true]);
  });

  test("take the null GUID for neither", () => {
    expect([isSha1(NULL_GUID), isLegacyUuid(NULL_GUID)]).toEqual([false, false]);
  });

  test("find null GUIDs in every real record of versions 6 to 9", () => {
    let records = 0;
    for (const mailbox of goldenMailboxes()) {
      const file = IndexImage.open(mailboxFile(mailbox, "cyrus.index"), "cyrus.index");
      if (file.table.version > 9) continue;
      for (const { guid } of file.records()) {
        expect(guid).toBe(NULL_GUID);
        records += 1;
      }
    }
    expect(records).toBeGreaterThan(50);
  });
});

describe("md5PrefixOf()", () => {
  test("gives the 11 bytes of schema 2, of a version 9 record too", () => {
    const table = tableOf(9) ?? expect.unreachable();
    const bytes = new Uint8Array(table.recordSize);
    bytes.set([2, ...md5(MESSAGE).subarray(0, 11)], 60);
    const { guid } = parseIndexRecord(viewOf(bytes), 0, table);
    expect(guid).toBe(`02${MESSAGE_MD5.slice(0, 22)}${PADDING}`);
    expect(md5PrefixOf(guid)).toBe(MESSAGE_MD5.slice(0, 22));
    expect(hexOf(md5(MESSAGE))).toBe(MESSAGE_MD5);
  });

  test.each([NULL_GUID, ALLOCATED, `07${"ab".repeat(11)}${PADDING}`, ...SHA1S])(
    "says nothing of %s",
    (guid) => {
      expect(md5PrefixOf(guid)).toBeUndefined();
    },
  );
});
