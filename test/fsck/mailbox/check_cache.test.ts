import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { fromLatin1, viewOf } from "../../../src/core/bytes.ts";
import { codesOf, fsckSpool } from "../../support/fsck.ts";
import { sampleMail, sha1Hex } from "../../support/spool/sample_mail.ts";
import { placeAsFile, writeMailbox } from "../../support/spool/write_mailbox.ts";
import { tempDir } from "../../support/temp_dir.ts";

/**
 * What fsck says of a mailbox whose one message is `text`, and is described as `section` says:
 * header_size, where its content begins, and how long that is.
 */
async function found(
  text: string,
  [headerSize, contentOffset, contentSize]: readonly [number, number, number],
  options: { readonly quick?: boolean } = {},
): Promise<readonly string[]> {
  const folder = tempDir("cache");
  const mail = sampleMail(1, 1000, 1_700_000_000);
  const bytes = fromLatin1(text);
  const section = mail.cacheItems.section.slice();
  const view = viewOf(section);
  view.setUint32(8, headerSize);
  view.setUint32(12, contentOffset);
  view.setUint32(16, contentSize);
  const cacheItems = { ...mail.cacheItems, section };
  const odd = { ...mail, bytes, headerSize, guid: sha1Hex(bytes), cacheItems };
  const identity = { name: "user.ann", uniqueid: "abc", user: "ann", uidvalidity: 1_700_000_000 };
  writeMailbox(join(folder, "user/ann"), identity, { mails: [odd], place: placeAsFile });
  return codesOf(await fsckSpool(folder, options));
}

const NUL = "Subject: n\0ul\r\n\r\nbody\r\n";
const NUL_IN_PART =
  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: \0y\r\n\r\npart\r\n--b--\r\n";
const PLAIN = "Subject: plain\r\n\r\nbody\r\n";

describe("fsck of a cache record", () => {
  test("takes what Cyrus keeps of messages with NUL octets for right", async () => {
    expect(await found(NUL, [10, 17, 6])).toEqual(["MS12 uid 1"]);
    expect(await found(NUL_IN_PART, [45, 45, 21])).toEqual(["MS12 uid 1"]);
    expect(await found(PLAIN, [18, 18, 6])).toEqual([]);
  });

  test("takes what Cyrus counts wrong for right", async () => {
    const open = (_: unknown, at: number) =>
      `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`;
    const deep = `${Array.from({ length: 1000 }, open).join("")}\r\nx\r\n`;
    expect(await found(deep, [46, 46, 55_726])).toEqual([]);
    const stray = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\n\n--b\r\n";
    expect(await found(stray, [45, 45, 17])).toEqual([]);
    expect(await found(stray, [45, 45, 16])).toEqual(["CA04 uid 1"]);
  });

  test("finds what no NUL explains", async () => {
    for (const [text, section] of [
      [NUL, [10, 16, 7]],
      [NUL, [10, 17, 5]],
      [NUL, [10, 17, 7]],
      [NUL_IN_PART, [45, 45, 28]],
      [PLAIN, [18, 19, 5]],
      [PLAIN, [18, 18, 5]],
    ] as const) {
      const codes = await found(text, section);
      expect({ text, section, codes, isFound: codes.includes("CA04 uid 1") }).toMatchObject({
        isFound: true,
      });
    }
    expect(await found(NUL, [9, 17, 6])).toContain("MS05 uid 1");
    expect(await found(PLAIN, [17, 17, 7])).toContain("MS05 uid 1");
  });

  test("opens no message for it when asked for that", async () => {
    expect(await found(NUL, [10, 17, 6], { quick: true })).toEqual(["CA04 uid 1"]);
  });
});
