/** Messages that are larger than the buffer they are read into. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { BUFFER_BYTES } from "../../src/hash/hash_file.ts";
import { codesOf, fsckSpool } from "../support/fsck.ts";
import { type SampleMail, sampleMail } from "../support/spool/sample_mail.ts";
import { placeAsFile, writeMailbox } from "../support/spool/write_mailbox.ts";
import { tempDir } from "../support/temp_dir.ts";

const IDENTITY = { name: "user.fred", user: "fred", uniqueid: "ab-large", uidvalidity: 1 };

/** A mail whose body is full of what would be remarked upon in a header. */
function largeMail(number: number, size: number): SampleMail {
  const mail = sampleMail(number, size, 1_700_000_000);
  const bytes = mail.bytes.slice();
  for (let at = mail.headerSize + 100; at + 10 < bytes.length; at += 1001) {
    bytes.set([0x0d, 0x0a, 0x0d, 0x0a, 0xe9, 0x0a], at);
  }
  return { ...mail, bytes, guid: createHash("sha1").update(bytes).digest("hex") };
}

describe("fsck of large messages", () => {
  test("judges a header by the start of its message, not by what was read last", async () => {
    const folder = tempDir("large");
    const sizes = [1, 2, 3, 4].map((parts) => parts * BUFFER_BYTES + 5000);
    const mails = sizes.map((size, number) => largeMail(number, size));
    writeMailbox(folder, IDENTITY, { mails, place: placeAsFile });
    expect(codesOf(await fsckSpool(folder), "info")).toEqual([]);
  });
});
