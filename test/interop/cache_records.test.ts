/** The cache records that a real Cyrus writes are those that we make (long runs only). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cacheDialect } from "../../src/mailbox/cache/cache_dialect.ts";
import { cacheRecord } from "../../src/mailbox/cache/cache_record.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { readSpool } from "../../src/places/cyrus/layout/spool.ts";
import { cacheSpan, openCacheFile } from "../support/formats/cache.ts";
import { type Lab, labUpInMemory } from "../support/lab.ts";
import { zooMessages } from "../support/mail_zoo.ts";
import { has } from "../support/needs.ts";
import { pushMessages } from "../support/push_messages.ts";

const MESSAGES = 2500;
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

describe.skipIf(!isLong || !has("a Cyrus server"))("cache records of a running Cyrus", () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await labUpInMemory();
    await lab.run("user", "ann", "--plain");
  });

  afterAll(async () => {
    await lab.down();
  });

  test("are ours in 99 of 100 messages of the zoo", async () => {
    const messages = zooMessages(0, MESSAGES);
    await pushMessages(lab, messages);
    const same = readSpool({ data: lab.spool }).mailboxes.flatMap(({ index, cache }) => {
      const image = IndexImage.open(readFileSync(index), "cyrus.index");
      if (image.count === 0) return [];
      const file = openCacheFile(readFileSync(cache));
      return [...image.records()].map(({ uid, cacheOffset, cacheVersion }) => {
        const { offset, length } = cacheSpan(file, cacheOffset);
        const dialect = cacheDialect(cacheVersion, image.header.minorVersion);
        const message = messages[uid - 1];
        if (dialect === undefined || message === undefined) return false;
        const real = file.bytes.subarray(offset, offset + length);
        return Buffer.compare(cacheRecord(message, dialect), real) === 0;
      });
    });
    expect(same.length).toBe(MESSAGES);
    expect(same.filter(Boolean).length).toBeGreaterThanOrEqual(0.99 * MESSAGES);
  }, 120_000);
});
