/** What a Cyrus place remembers of messages from before GUIDs were SHA-1 sums. */
import { describe, expect, spyOn, test } from "bun:test";
import { appendFileSync, existsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { sha1Of } from "../../../src/hash/sha1.ts";
import { isSha1 } from "../../../src/model/guid.ts";
import { cyrusPlace } from "../../../src/places/cyrus/cyrus_place.ts";
import * as content from "../../../src/places/cyrus/mailbox/message_content.ts";
import { spoolSource } from "../../../src/places/cyrus/spool_source.ts";
import type { MessageAddress, Place } from "../../../src/places/place.ts";
import { asUser } from "../../../src/replicate/owner/renamed_place.ts";
import { unpackFixture } from "../../support/fixtures.ts";
import { allMailboxes, bytesOf, granted, recordsIn } from "../../support/places.ts";

/** All messages without a SHA-1 GUID of their own. */
async function oldMessages(place: Place): Promise<MessageAddress[]> {
  const addresses: MessageAddress[] = [];
  for (const { name: mailbox, uniqueid, partition } of await allMailboxes(place)) {
    const { records } = granted(await place.readMailbox(mailbox));
    for (const { uid, guid, unlinked } of await recordsIn(records)) {
      if (isSha1(guid) || unlinked === true) continue;
      addresses.push({ mailbox, uniqueid, partition, uid, guid });
    }
  }
  return addresses;
}

describe("contentGuid()", () => {
  test("reads each old message once, until its file changes", async () => {
    const data = join(unpackFixture("cyrus-spools/index-versions"), "spool");
    const place = cyrusPlace(spoolSource({ data }));
    const addresses = await oldMessages(place);
    expect(addresses.length).toBeGreaterThan(10);
    const opened = spyOn(content, "openMessage");
    const guidOf = (address: MessageAddress) => place.contentGuid?.(address);
    try {
      for (const address of addresses) {
        const guid = granted((await guidOf(address)) ?? expect.unreachable());
        expect(guid).toBe(sha1Of(await bytesOf(place, address)));
      }
      const once = opened.mock.calls.length;
      for (const address of addresses) expect((await guidOf(address))?.kind).toBe("ok");
      expect(opened.mock.calls.length).toBe(once);

      const [first = expect.unreachable()] = addresses;
      const paths = opened.mock.calls.flatMap(([wanted]) => wanted.paths);
      const path = paths.find((one) => existsSync(one)) ?? expect.unreachable();
      appendFileSync(path, "x");
      utimesSync(path, 1, 1);
      expect(await guidOf(first)).toMatchObject({ kind: "refused", reason: "damaged" });
      expect(opened.mock.calls.length).toBe(once + 1);
    } finally {
      opened.mockRestore();
      await place.close();
    }
  });

  test("is asked for a user under another name too", async () => {
    const data = join(unpackFixture("cyrus-spools/index-versions"), "spool");
    const place = cyrusPlace(spoolSource({ data }));
    const [owner = ""] = (await oldMessages(place)).map(({ mailbox }) => mailbox.split(".")[1]);
    const renamed = asUser(place, { from: owner, to: "zoe" });
    const { mailboxes } = granted(await renamed.user("zoe"));
    expect(mailboxes.length).toBeGreaterThan(0);
    let asked = 0;
    for (const { name: mailbox, uniqueid, partition } of mailboxes) {
      const { records } = granted(await renamed.readMailbox(mailbox));
      for (const { uid, guid, unlinked } of await recordsIn(records)) {
        if (isSha1(guid) || unlinked === true) continue;
        const address = { mailbox, uniqueid, partition, uid, guid };
        const found = granted((await renamed.contentGuid?.(address)) ?? expect.unreachable());
        expect(found).toBe(sha1Of(await bytesOf(renamed, address)));
        asked++;
      }
    }
    expect(asked).toBeGreaterThan(0);
    await place.close();
  });
});
