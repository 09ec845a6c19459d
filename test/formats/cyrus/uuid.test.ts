import { describe, expect, test } from "bun:test";
import { utf8, viewOf } from "../../../src/core/bytes.ts";
import { parseIndexRecord } from "../../../src/formats/cyrus/index/index_record.ts";
import { tableOf } from "../../../src/formats/cyrus/index/index_table.ts";
import { classifyUuid, uuidMatchesMd5 } from "../../../src/formats/cyrus/uuid.ts";
import { md5 } from "../../../src/hash/md5.ts";
import { IndexImage } from "../../../src/mailbox/index_image.ts";
import { NULL_GUID } from "../../../src/model/guid.ts";
import { goldenMailboxes, mailboxFile } from "../../support/golden_mailboxes.ts";

const MESSAGE = utf8("Subject: one\r\n\r\nhello\r\n");
/** MD5 of the message above, by md5sum. */
const MESSAGE_MD5 = "e89608781fda22e24ee60c506999498e";
const PADDING = "0".repeat(16);

describe("classifyUuid()", () => {
  test("knows the null UUID", () => {
    expect(classifyUuid(NULL_GUID)).toEqual({ kind: "null" });
  });

  test("takes one of schema 1 apart", () => {
    expect(classifyUuid(`01022a4b3d9d5e0007000123${PADDING}`)).toEqual({
      kind: "allocated",
      machine: 2,
      generation: 0x2a,
      startTime: 0x4b3d9d5e,
      child: 7,
      counter: 0x123,
    });
  });

  test("takes schema 2 for the start of an MD5", () => {
    const uuid = classifyUuid(`02${MESSAGE_MD5.slice(0, 22)}${PADDING}`);
    expect(uuid).toEqual({ kind: "md5", prefix: MESSAGE_MD5.slice(0, 22) });
  });

  test.each([0, 3, 0x80, 0xff])("calls schema %d opaque", (schema) => {
    const first = schema.toString(16).padStart(2, "0");
    expect(classifyUuid(`${first}${"ab".repeat(11)}${PADDING}`)).toEqual({
      kind: "opaque",
      schema,
    });
  });

  test("says nothing of a SHA-1", () => {
    expect(classifyUuid("02d3b70197cb37afc4a8c9dcbcf685c9596d8abc")).toBeUndefined();
    expect(classifyUuid("01d3b70197cb37afc4a8c9dc0000000000000001")).toBeUndefined();
  });

  test("finds null UUIDs in every real record of versions 6 to 9", () => {
    let records = 0;
    for (const mailbox of goldenMailboxes()) {
      const file = IndexImage.open(mailboxFile(mailbox, "cyrus.index"), "cyrus.index");
      if (file.table.version > 9) continue;
      for (const { guid } of file.records()) {
        expect(classifyUuid(guid)).toEqual({ kind: "null" });
        records += 1;
      }
    }
    expect(records).toBeGreaterThan(50);
  });
});

describe("uuidMatchesMd5()", () => {
  test("checks the 11 bytes of schema 2, of a version 9 record too", () => {
    const table = tableOf(9) ?? expect.unreachable();
    const bytes = new Uint8Array(table.recordSize);
    bytes.set([2, ...md5(MESSAGE).subarray(0, 11)], 60);
    const { guid } = parseIndexRecord(viewOf(bytes), 0, table);
    expect(guid).toBe(`02${MESSAGE_MD5.slice(0, 22)}${PADDING}`);
    const uuid = classifyUuid(guid) ?? expect.unreachable();
    expect(uuidMatchesMd5(uuid, md5(MESSAGE))).toBe(true);
    for (let at = 0; at < MESSAGE.length; at++) {
      const flipped = MESSAGE.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(uuidMatchesMd5(uuid, md5(flipped))).toBe(false);
    }
  });

  test("says nothing of other schemas", () => {
    for (const guid of [
      NULL_GUID,
      `01${"ab".repeat(11)}${PADDING}`,
      `07${"ab".repeat(11)}${PADDING}`,
    ]) {
      expect(
        uuidMatchesMd5(classifyUuid(guid) ?? expect.unreachable(), md5(MESSAGE)),
      ).toBeUndefined();
    }
  });
});
