/**
 * States that a crash or a live server leaves and that Cyrus mends by itself (spool-format 9): none
 * of them is ever reported as a warning or worse. L8, L13, L16 and L18 concern the databases.
 */
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { viewOf } from "../../src/core/bytes.ts";
import { INDEX_OPTION, INTERNAL_FLAG } from "../../src/formats/cyrus/index/index_flags.ts";
import { indexTableOf } from "../../src/formats/cyrus/index/index_header.ts";
import { parseIndexRecord } from "../../src/formats/cyrus/index/index_record.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { MailboxSums, userFlagCrcs } from "../../src/mailbox/sums.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { codesOf, lookOnce } from "../support/fsck.ts";
import { plantInHeader, plantInRecord, rawRecordField } from "../support/index_bytes.ts";
import { tempDir } from "../support/temp_dir.ts";

const CLEAN = join(
  unpackFixture("cyrus-spools/damaged"),
  "spool/uuid/k/f/kf22otzf5j234px0uw69jzzw",
);
const USER_FLAGS = userFlagCrcs(["flag1", "flag2", "flag3", "flag4", "flag5"]);

interface Mailbox {
  readonly folder: string;
  at(file: string): string;
  /** Rewrites the index. */
  index(change: (bytes: Buffer) => void): void;
}

function freshMailbox(): Mailbox {
  const folder = join(tempDir("half"), "mailbox");
  cpSync(CLEAN, folder, { recursive: true });
  const at = (file: string) => join(folder, file);
  const index = (change: (bytes: Buffer) => void) => {
    const bytes = readFileSync(at("cyrus.index"));
    change(bytes);
    writeFileSync(at("cyrus.index"), bytes);
  };
  return { folder, at, index };
}

/** Marks record `number` as deleted and takes it out of the header's sums, as Cyrus commits it. */
function expunge(bytes: Buffer, number: number, flags: number): void {
  const table = indexTableOf(bytes);
  const record = () =>
    parseIndexRecord(viewOf(bytes), table.headerSize + number * table.recordSize, table);
  const before = record();
  const { header } = IndexImage.open(bytes, "cyrus.index");
  plantInHeader(bytes, "exists", BigInt(header.exists - 1));
  plantInHeader(bytes, "quotaMailboxUsed", header.quotaMailboxUsed - BigInt(before.size));
  plantInHeader(bytes, "firstExpunged", BigInt(before.lastUpdated));
  const context = { header, userFlags: USER_FLAGS, annotations: () => [], owner: undefined };
  const sums = new MailboxSums(context);
  sums.add(before);
  const crc = (header.syncCrc ^ sums.syncCrc) >>> 0;
  plantInHeader(bytes, "syncCrc", BigInt(crc));
  if ((before.systemFlags & 0x10) === 0) plantInHeader(bytes, "unseen", BigInt(header.unseen - 1));
  for (const [bit, field] of [
    [1, "answered"],
    [2, "flagged"],
    [4, "deleted"],
  ] as const) {
    if ((before.systemFlags & bit) !== 0) plantInHeader(bytes, field, BigInt(header[field] - 1));
  }
  plantInRecord(bytes, number, {
    field: "systemFlags",
    value: BigInt((before.systemFlags | flags) >>> 0),
  });
}

const EXPUNGED = INTERNAL_FLAG.expunged;
const UNLINKED = (INTERNAL_FLAG.expunged | INTERNAL_FLAG.unlinked) >>> 0;
/**
 * The uid of an expunged record has annotations that count no more: they are not the point here.
 */
const WITHOUT_ANNOTATIONS = "IX13";

const STATES: Readonly<Record<string, (mailbox: Mailbox) => void>> = {
  "L1: a file above last_uid": ({ at }) => copyFileSync(at("1."), at("99.")),
  "L2: the file of an unlinked record is gone": ({ index, at }) => {
    index((bytes) => expunge(bytes, 3, UNLINKED));
    rmSync(at("4."));
  },
  "L2: the file of an unlinked record is still there": ({ index }) =>
    index((bytes) => expunge(bytes, 3, UNLINKED)),
  "L3: an expunged message with its file": ({ index }) =>
    index((bytes) => expunge(bytes, 3, EXPUNGED)),
  "L4: bytes behind the last cache record": ({ at }) => appendFileSync(at("cyrus.cache"), "waste"),
  "L5: records behind those that the header counts": ({ at }) =>
    appendFileSync(at("cyrus.index"), Buffer.alloc(150, 7)),
  "L6: a flag set in a record, the header not yet written": ({ index }) =>
    index((bytes) => {
      const { header } = IndexImage.open(bytes, "cyrus.index");
      const systemFlags = rawRecordField(bytes, 1, "systemFlags") ^ 2n;
      plantInRecord(bytes, 1, { field: "systemFlags", value: systemFlags });
      plantInRecord(bytes, 1, { field: "modseq", value: header.highestmodseq + 1n });
    }),
  "L7: a cyrus.header younger than the index": ({ at }) => {
    const text = readFileSync(at("cyrus.header"), "latin1");
    writeFileSync(at("cyrus.header"), text.replace("lrswipkxtecdan", "lrs"), "latin1");
    const later = Date.now() / 1000 + 5;
    utimesSync(at("cyrus.header"), later, later);
  },
  "L9: the new cache not yet renamed": ({ index, at }) => {
    copyFileSync(at("cyrus.cache"), at("cyrus.cache.NEW"));
    index((bytes) => {
      const { header } = IndexImage.open(bytes, "cyrus.index");
      plantInHeader(bytes, "generationNo", BigInt(header.generationNo + 1));
    });
  },
  "L10: leftovers of writes": ({ at }) => {
    for (const file of ["cyrus.index.NEW", "cyrus.header.NEW"]) {
      writeFileSync(at(file), "x");
      utimesSync(at(file), 1e9, 1e9);
    }
  },
  "L11: work pending": ({ index }) =>
    index((bytes) => {
      const { header } = IndexImage.open(bytes, "cyrus.index");
      const pending = INDEX_OPTION.needsRepack | INDEX_OPTION.needsUnlink;
      plantInHeader(bytes, "options", BigInt((header.options | pending) >>> 0));
    }),
  "L15: checksums and ids that were never recorded": ({ index }) =>
    index((bytes) => {
      plantInHeader(bytes, "headerFileCrc", 0n);
      plantInHeader(bytes, "leakedCache", 12345n);
      plantInRecord(bytes, 0, { field: "cacheCrc", value: 0n });
    }),
  "L17: a message with more than one name": ({ at, folder }) => {
    mkdirSync(join(folder, "..", "other"));
    linkSync(at("1."), join(folder, "..", "other", "1."));
  },
};

describe("legal half-states", () => {
  for (const [name, make] of Object.entries(STATES)) {
    test(name, async () => {
      const mailbox = freshMailbox();
      make(mailbox);
      const found = codesOf(await lookOnce(mailbox.folder), "warning");
      expect(found.filter((code) => code !== WITHOUT_ANNOTATIONS)).toEqual([]);
    });
  }
});
