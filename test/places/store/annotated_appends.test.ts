import { describe, expect, test } from "bun:test";
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readAnnotations } from "../../../src/mailbox/annotation_image.ts";
import type { MailRecord } from "../../../src/model/record.ts";
import { newStore } from "../../support/new_store.ts";
import { apply, message, record, stateOf } from "../../support/store_fixture.ts";
import { verifyStore } from "../../support/store_verify.ts";

const INBOX = "user.fred";

/** A record with what an index of version 17 has no field for. */
function threaded(uid: number, change: Partial<MailRecord> = {}): MailRecord {
  return record(uid, { internaldateNsec: 1_000_000 + uid, basecid: BigInt(uid), ...change });
}

describe("a delivery from a peer that sends nanoseconds and basecids", () => {
  test("adds as many bytes to cyrus.annotations of 10,000 messages as to that of 1,000", () => {
    const grown = [1_000, 10_000].map((count) => {
      const { root, store } = newStore();
      // Expunged records need no message to be sent, and keep their annotations.
      const first = Array.from({ length: count }, (_, at) => threaded(at + 1, { expunged: true }));
      apply(store, { state: stateOf(INBOX, first), records: first });
      const { uniqueid } = stateOf(INBOX, []);
      const path = join(root, "user/f/fred", uniqueid, "cyrus.annotations");
      const before = lstatSync(path);
      const next = threaded(count + 1);
      const state = stateOf(INBOX, [...first, next]);
      apply(store, { state, records: [next] }, [message(next.uid)]);
      const after = lstatSync(path);
      expect(after.ino).toBe(before.ino); // changed in place: another file would be a rewritten one
      const reading = readAnnotations(readFileSync(path));
      if (reading.kind !== "read") return expect.unreachable();
      expect(reading.problems).toEqual([]);
      expect(reading.byUid.size).toBe(count + 1);
      store.close();
      verifyStore(root);
      return after.size - before.size;
    });
    for (const bytes of grown) expect(bytes).toBeWithin(1, 1_000);
  });

  test("leaves the file alone when only flags change", () => {
    const { root, store } = newStore();
    const records = [threaded(1), threaded(2)];
    apply(store, { state: stateOf(INBOX, records), records }, [message(1), message(2)]);
    const path = join(root, "user/f/fred", stateOf(INBOX, []).uniqueid, "cyrus.annotations");
    const before = readFileSync(path);
    const seen = threaded(2, { flags: ["\\Seen"], modseq: 90n });
    apply(store, { state: stateOf(INBOX, [threaded(1), seen]), records: [seen] });
    expect(readFileSync(path).equals(before)).toBe(true);
    store.close();
    verifyStore(root);
  });
});
