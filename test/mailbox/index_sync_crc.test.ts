import { describe, expect, test } from "bun:test";
import {
  type MessageAnnotation,
  OWNER_TOKEN,
  parseMessageAnnotation,
} from "../../src/formats/cyrus/annotations_db.ts";
import { readTwoskip } from "../../src/formats/cyrus/databases/twoskip.ts";
import { parseHeaderFile } from "../../src/formats/cyrus/header_file.ts";
import { INTERNAL_FLAG } from "../../src/formats/cyrus/index/index_flags.ts";
import type { IndexRecord } from "../../src/formats/cyrus/index/index_record.ts";
import { openIndexFile, recordsOf } from "../../src/mailbox/index_file.ts";
import {
  recordFlagsCrc,
  recordSyncCrc,
  recordVirtualCrc,
  syncCrcOf,
  userFlagCrcs,
} from "../../src/mailbox/index_sync_crc.ts";
import {
  ANNOT_VARIANTS,
  annotationCrc,
  flagsCrc,
  isVirtualAnnotation,
} from "../../src/model/sync_crc.ts";
import {
  type GoldenMailbox,
  goldenMailboxes,
  mailboxFile,
  mailboxFileIfAny,
} from "../support/golden_mailboxes.ts";

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

describe("recordVirtualCrc()", () => {
  test("makes, with cyrus.annotations, the header's annotation checksum in every real mailbox", () => {
    const seen = { mailboxes: 0, annotations: 0, splits: 0, fits: new Set<string>() };
    for (const mailbox of golden) {
      const file = openIndexFile(mailboxFile(mailbox, "cyrus.index"));
      if (file.table.version < 13) continue;
      const records = [...recordsOf(file)];
      const annotations = realAnnotations(mailbox, records, file.table.version);
      const fitting = ANNOT_VARIANTS.filter((variant) => {
        let crc: number = variant.init;
        for (const record of records) {
          crc ^= recordVirtualCrc(record, file.table.version, variant.thrid);
        }
        for (const annotation of annotations) {
          crc ^= annotationCrc(annotation.uid, annotation, variant);
        }
        return crc >>> 0 === file.header.syncCrcAnnot;
      });
      const place = `${mailbox.archive}/${mailbox.folder}`;
      expect(fitting.length === 0 ? place : "fits").toBe("fits");
      for (const { name } of fitting) seen.fits.add(name);
      seen.mailboxes += 1;
      seen.annotations += annotations.length;
      seen.splits += records.filter((record) => record.basecid !== 0n).length;
    }
    // The golden mailboxes must show all that counts.
    expect(seen.mailboxes).toBeGreaterThan(150);
    expect(seen.annotations).toBeGreaterThan(10);
    expect(seen.splits).toBeGreaterThan(0);
    expect(seen.fits).toContain("3.2 to 3.12");
    expect(seen.fits).toContain("3.13 and later");
  });
});

/**
 * The annotations of messages that count: not of expunged ones, and not virtual in this version.
 */
function realAnnotations(
  mailbox: GoldenMailbox,
  records: readonly IndexRecord[],
  version: number,
): MessageAnnotation[] {
  const bytes = mailboxFileIfAny(mailbox, "cyrus.annotations");
  if (bytes === undefined) return [];
  const live = new Set(
    records.filter((r) => r.systemFlags < INTERNAL_FLAG.expunged).map(({ uid }) => uid),
  );
  const name = parseHeaderFile(mailboxFile(mailbox, "cyrus.header")).name ?? "";
  const owner = /^user\.([^.]+)/.exec(name)?.[1] ?? "";
  return readTwoskip(bytes)
    .entries.map((entry) => parseMessageAnnotation(entry))
    .filter(({ uid, entry, deleted }) => {
      return live.has(uid) && !deleted && !isVirtualAnnotation(entry, version);
    })
    .map((one) => (one.userid === OWNER_TOKEN ? { ...one, userid: owner } : one));
}

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
