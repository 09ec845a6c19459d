import { describe, expect, test } from "bun:test";
import { parseHeaderFile } from "../../../src/formats/cyrus/header_file.ts";
import { openIndexFile, recordsOf } from "../../../src/formats/cyrus/index_file.ts";
import { INTERNAL_FLAG } from "../../../src/formats/cyrus/index_flags.ts";
import {
  recordFlagsCrc,
  recordSyncCrc,
  recordVirtualCrc,
  syncCrcOf,
  userFlagCrcs,
} from "../../../src/formats/cyrus/index_sync_crc.ts";
import { flagsCrc } from "../../../src/model/sync_crc.ts";
import { goldenMailboxes, mailboxFile } from "../../support/golden_mailboxes.ts";

const golden = goldenMailboxes();

describe("syncCrcOf()", () => {
  test("is the header's in every real mailbox of version 12 and later", () => {
    const seen = { mailboxes: 0, nonZero: 0, expunged: 0, userFlags: 0 };
    for (const mailbox of golden) {
      const file = openIndexFile(mailboxFile(mailbox, "cyrus.index"));
      if (file.table.version < 12) continue;
      const { userFlags } = parseHeaderFile(mailboxFile(mailbox, "cyrus.header"));
      const records = [...recordsOf(file)];
      expect(syncCrcOf(records, userFlagCrcs(userFlags))).toBe(file.header.syncCrc);
      seen.mailboxes += 1;
      if (file.header.syncCrc !== 0) seen.nonZero += 1;
      seen.expunged += records.filter((r) => r.systemFlags >= INTERNAL_FLAG.expunged).length;
      seen.userFlags += records.filter((r) => r.userFlags.some((word) => word !== 0)).length;
    }
    // The golden mailboxes must show all that counts.
    expect(seen.nonZero).toBeGreaterThan(50);
    expect(seen.expunged).toBeGreaterThan(3);
    expect(seen.userFlags).toBeGreaterThan(50);
  });
});

describe("recordFlagsCrc()", () => {
  test("counts every system flag and every user flag that has a name", () => {
    const names = Array.from({ length: 128 }, (_, slot) =>
      slot % 5 === 0 ? undefined : `F${slot}`,
    );
    const all = 0xffff_ffff;
    const record = { systemFlags: 0xf800_001f, userFlags: [all, all, all, all] as const };
    const expected = ["\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Seen", ...names];
    const named = expected.filter((name) => name !== undefined);
    expect(recordFlagsCrc(record, userFlagCrcs(names))).toBe(flagsCrc(named));
  });

  test("takes bit k & 31 of word k >> 5 for slot k", () => {
    const crcs = userFlagCrcs(Array.from({ length: 128 }, (_, slot) => `f${slot}`));
    for (let slot = 0; slot < 128; slot++) {
      const userFlags: [number, number, number, number] = [0, 0, 0, 0];
      userFlags[slot >> 5] = (1 << (slot & 31)) >>> 0;
      expect(recordFlagsCrc({ systemFlags: 0, userFlags }, crcs)).toBe(flagsCrc([`f${slot}`]));
    }
  });

  test("leaves names past the 128th out", () => {
    expect(userFlagCrcs(Array.from({ length: 10_000 }, () => "x"))).toHaveLength(128);
  });
});

describe("recordSyncCrc()", () => {
  test("is 0 of an expunged record, as is recordVirtualCrc()", () => {
    const mailbox = golden.find(({ archive }) => archive === "uuid-paths-3.12");
    const file = openIndexFile(mailboxFile(mailbox ?? expect.unreachable(), "cyrus.index"));
    const [record] = [...recordsOf(file)];
    const live = record ?? expect.unreachable();
    const expunged = { ...live, systemFlags: (live.systemFlags | 0x8000_0000) >>> 0 };
    const none = userFlagCrcs([]);
    expect(recordSyncCrc(live, none)).not.toBe(0);
    expect(recordSyncCrc(expunged, none)).toBe(0);
    expect(recordVirtualCrc(live, 19, "short")).not.toBe(0);
    expect(recordVirtualCrc(expunged, 19, "short")).toBe(0);
  });
});
