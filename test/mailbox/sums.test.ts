import { describe, expect, test } from "bun:test";
import { parseHeaderFile } from "../../src/formats/cyrus/header_file.ts";
import { INTERNAL_FLAG } from "../../src/formats/cyrus/index/index_flags.ts";
import { readAnnotations } from "../../src/mailbox/annotation_image.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import {
  addSums,
  annotCrcFor,
  MailboxSums,
  recordFlagsCrc,
  type SumsContext,
  sumsAgree,
  userFlagCrcs,
  withoutSums,
} from "../../src/mailbox/sums.ts";
import { ANNOT_VARIANTS, flagsCrc } from "../../src/model/sync_crc.ts";
import {
  type GoldenMailbox,
  goldenMailboxes,
  mailboxFile,
  mailboxFileIfAny,
} from "../support/golden_mailboxes.ts";

const golden = goldenMailboxes();

/** The sums of a real mailbox, of all its records. */
function sumsOf(mailbox: GoldenMailbox): { image: IndexImage; sums: MailboxSums } {
  const image = IndexImage.open(mailboxFile(mailbox, "cyrus.index"), "cyrus.index");
  const sums = new MailboxSums(contextOf(mailbox, image));
  for (const record of image.records()) sums.add(record);
  return { image, sums };
}

function contextOf(mailbox: GoldenMailbox, { header }: IndexImage): SumsContext {
  const { name, userFlags } = parseHeaderFile(mailboxFile(mailbox, "cyrus.header"));
  const owner = /^user\.([^.]+)/.exec(name ?? "")?.[1];
  const bytes = mailboxFileIfAny(mailbox, "cyrus.annotations") ?? new Uint8Array();
  const reading = readAnnotations(bytes);
  if (reading.kind !== "read") return expect.unreachable();
  const annotations = (uid: number) => reading.byUid.get(uid) ?? [];
  return { header, userFlags: userFlagCrcs(userFlags), annotations, owner };
}

describe("MailboxSums", () => {
  test("come to what the header says in every real mailbox of version 13 and later", () => {
    const seen = { mailboxes: 0, nonZero: 0, expunged: 0, userFlags: 0, splits: 0, annotations: 0 };
    const fits = new Set<string>();
    for (const mailbox of golden) {
      const { image, sums } = sumsOf(mailbox);
      const { header, table } = image;
      if (table.version < 12) continue;
      const { exists, answered, flagged, deleted, syncCrc } = header;
      expect(sums).toMatchObject({ exists, answered, flagged, deleted });
      expect(sums.syncCrc).toBe(syncCrc);
      expect(BigInt(sums.mailboxBytes)).toBe(header.quotaMailboxUsed);
      const place = `${mailbox.archive}/${mailbox.folder}`;
      expect(sumsAgree(header, sums) ? "agrees" : place).toBe("agrees");
      const records = [...image.records()];
      seen.mailboxes += 1;
      if (syncCrc !== 0) seen.nonZero += 1;
      seen.expunged += records.filter((r) => r.systemFlags >= INTERNAL_FLAG.expunged).length;
      seen.userFlags += records.filter((r) => r.userFlags.some((word) => word !== 0)).length;
      seen.splits += records.filter((record) => record.basecid !== 0n).length;
      if (table.version < 13) continue;
      const fitting = ANNOT_VARIANTS.filter((_, at) => sums.annotCrcs[at] === header.syncCrcAnnot);
      for (const { name } of fitting) fits.add(name);
      expect(annotCrcFor(header, sums)).toBe(header.syncCrcAnnot);
      if (sums.annotationBytes > 0) seen.annotations += 1;
    }
    // The golden mailboxes must show all that counts.
    expect(seen.mailboxes).toBeGreaterThan(150);
    expect(seen.nonZero).toBeGreaterThan(50);
    expect(seen.expunged).toBeGreaterThan(3);
    expect(seen.userFlags).toBeGreaterThan(50);
    expect(seen.splits).toBeGreaterThan(0);
    expect(seen.annotations).toBeGreaterThan(3);
    expect(fits).toContain("3.2 to 3.12");
    expect(fits).toContain("3.13 and later");
  });

  test("are the same from one record in another's place as from all records", () => {
    let changed = 0;
    for (const mailbox of golden.filter((_, at) => at % 5 === 0)) {
      const { image, sums } = sumsOf(mailbox);
      const { table, header } = image;
      if (table.version < 12 || image.count < 2) continue;
      const variant = ANNOT_VARIANTS[0];
      const context = contextOf(mailbox, image);
      const old = image.record(1);
      const record = { ...old, cid: old.cid + 77n, size: old.size + 5, systemFlags: 0x1f };
      const move = new MailboxSums(context);
      move.remove(old);
      move.add(record);
      const all = new MailboxSums(context);
      for (const one of image.records()) all.add(one.uid === old.uid ? record : one);
      const blank = withoutSums(header, { variant, annotationBytes: 9 });
      const moved = addSums(addSums(blank, sums, { table, variant }), move, { table, variant });
      expect(moved).toEqual(addSums(blank, all, { table, variant }));
      changed += 1;
    }
    expect(changed).toBeGreaterThan(10);
  });

  test("hold nothing of an expunged record but its bytes, and of an unlinked one not those", () => {
    const mailbox = golden.find(({ archive }) => archive === "uuid-paths-3.12");
    const { image } = sumsOf(mailbox ?? expect.unreachable());
    const live = image.record(0);
    const sumOne = (flags: number): MailboxSums => {
      const sums = new MailboxSums(contextOf(mailbox ?? expect.unreachable(), image));
      sums.add({ ...live, systemFlags: (live.systemFlags | flags) >>> 0 });
      return sums;
    };
    const none = ANNOT_VARIANTS.map(({ init }) => init);
    expect(sumOne(0)).toMatchObject({ exists: 1, expungedBytes: 0 });
    expect(sumOne(0).syncCrc).not.toBe(0);
    expect(sumOne(0).annotCrcs).not.toEqual(none);
    for (const flags of [INTERNAL_FLAG.expunged, INTERNAL_FLAG.expunged | INTERNAL_FLAG.unlinked]) {
      const expungedBytes = flags === INTERNAL_FLAG.expunged ? live.size : 0;
      expect(sumOne(flags)).toMatchObject({ exists: 0, mailboxBytes: 0, expungedBytes });
      expect(sumOne(flags).syncCrc).toBe(0);
      expect(sumOne(flags).annotCrcs).toEqual(none);
    }
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
