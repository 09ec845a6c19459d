import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FormatError } from "../../src/core/errors.ts";
import type { FileParts } from "../../src/core/file_source.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { NULL_GUID } from "../../src/model/guid.ts";
import { mailboxByName } from "../../src/places/store/catalogue/mailbox_rows.ts";
import { recordSteps } from "../../src/places/store/catalogue/redo_rows.ts";
import { peekIndex } from "../../src/places/store/commit/committed_files.ts";
import { hasRecord, openImage } from "../../src/places/store/commit/open_mailbox.ts";
import { goldenMailboxes, mailboxFile } from "../support/golden_mailboxes.ts";
import { plantInHeader } from "../support/index_bytes.ts";
import { newStore } from "../support/new_store.ts";
import { apply, fill, message, record, stateOf } from "../support/store_fixture.ts";

const INBOX = "user.fred";
const COUNT = 40_000;

/**
 * An index of `COUNT` records with every second UID, made by appending to one of the store's own.
 */
function largeIndex(): Uint8Array {
  const { root, store } = newStore();
  fill(store, INBOX, 1);
  store.close();
  const path = join(root, "user/f/fred", stateOf(INBOX, []).uniqueid, "cyrus.index");
  const image = IndexImage.openSound(readFileSync(path), "cyrus.index");
  const one = image.record(0);
  for (let at = 1; at < COUNT; at++) {
    image.append({ ...one, uid: 1 + 2 * at, guid: NULL_GUID });
  }
  return image.print();
}

const bytes = largeIndex();

function countingFile(): { file: FileParts; read: () => number } {
  let read = 0;
  const file: FileParts = {
    size: bytes.length,
    read: (offset, length) => {
      read += length;
      return bytes.slice(offset, offset + length);
    },
  };
  return { file, read: () => read };
}

const golden = goldenMailboxes();

function sample(version: number): Uint8Array {
  const indexes = golden.map((mailbox) => mailboxFile(mailbox, "cyrus.index"));
  const found = indexes.find((one) => {
    const { table, recordCount } = IndexImage.open(one, "cyrus.index");
    return table.version === version && recordCount >= 5;
  });
  return found?.slice() ?? expect.unreachable();
}

describe("IndexImage.open()", () => {
  test("finds all records of real mailboxes, in ascending order of uid", () => {
    for (const mailbox of golden) {
      const image = IndexImage.open(mailboxFile(mailbox, "cyrus.index"), "cyrus.index");
      expect(image).toMatchObject({ recordCount: image.header.numRecords, missingRecords: 0 });
      expect(image.firstBadRecord()).toBeUndefined();
      const uids = [...image.records()].map((record) => record.uid);
      expect(uids).toEqual([...new Set(uids)].sort((a, b) => a - b));
      expect(uids.every((uid) => uid > 0 && uid <= image.header.lastUid)).toBe(true);
      expect(uids.map((uid) => image.find(uid))).toEqual(uids.map((_, at) => at));
    }
  });

  test("walks only what is there when the header counts 2^32 - 1 records", () => {
    const bytes = sample(17);
    const before = [...IndexImage.open(bytes, "cyrus.index").records()];
    plantInHeader(bytes, "numRecords", 2n ** 32n - 1n);
    const image = IndexImage.open(bytes, "cyrus.index");
    expect(image.recordCount).toBe(before.length);
    expect(image.missingRecords).toBe(2 ** 32 - 1 - before.length);
    expect([...image.records()]).toEqual(before);
    expect(() => IndexImage.openSound(bytes, "cyrus.index")).toThrow(
      "bytes, 481036337200 expected",
    );
  });

  test("refuses more records than the limit", () => {
    const bytes = sample(17);
    const limits = { ...DEFAULT_LIMITS, indexRecords: 4 };
    expect(() => IndexImage.open(bytes, "cyrus.index", limits)).toThrow(FormatError);
    expect(() => IndexImage.open(bytes, "x", limits)).toThrow("at most 4 index records");
  });

  test("reads versions without checksums, which openSound() refuses", () => {
    const bytes = sample(9);
    expect([...IndexImage.open(bytes, "x").records()].length).toBeGreaterThan(4);
    expect(() => IndexImage.openSound(bytes, "x")).toThrow("version 9 has no checksums");
  });
});

describe("IndexImage over a file", () => {
  test("finds, reads and changes a record having read little of the file", () => {
    const { file, read } = countingFile();
    const image = IndexImage.openSound(file, "cyrus.index");
    const number = image.find(2 * 31_415 + 1);
    expect(number).toBe(31_415);
    const one = image.record(31_415);
    image.change(31_415, { ...one, modseq: 77n });
    image.append({ ...one, uid: 1_000_000 });
    const whole = IndexImage.openSound(bytes, "cyrus.index");
    whole.change(31_415, { ...one, modseq: 77n });
    whole.append({ ...one, uid: 1_000_000 });
    expect(image.steps("x")).toEqual(whole.steps("x"));
    expect(read()).toBeLessThan(bytes.length / 5);
  });

  test("gives every record as from all bytes, and reads the file little more than once", () => {
    const { file, read } = countingFile();
    const image = IndexImage.openSound(file, "cyrus.index");
    const whole = IndexImage.openSound(bytes, "cyrus.index");
    let same = 0;
    for (let at = 0; at < COUNT; at++)
      same += Bun.deepEquals(image.record(at), whole.record(at)) ? 1 : 0;
    expect(same).toBe(COUNT);
    expect(read()).toBeLessThan(bytes.length * 1.5);
    for (const uid of [0, 1, 2, 3, 79_998, 79_999, 80_000])
      expect(image.find(uid)).toBe(whole.find(uid));
  });

  test("refuses a record whose checksum is wrong, and a file that is too short", () => {
    const damaged = Uint8Array.from(bytes);
    const { headerSize, recordSize } = IndexImage.openSound(bytes, "cyrus.index").table;
    const at = headerSize + recordSize * 20_000 + 8;
    damaged[at] = 1 ^ (damaged[at] ?? 0);
    const part = (offset: number, length: number) => damaged.slice(offset, offset + length);
    const image = IndexImage.openSound({ size: bytes.length, read: part }, "cyrus.index");
    expect(image.record(19_999).uid).toBe(39_999);
    expect(() => image.record(20_000)).toThrow(/CRC mismatch in the record of UID 40001/);
    expect(() => IndexImage.openSound({ size: bytes.length - 1, read: part }, "x")).toThrow(
      /expected/,
    );
  });
});

describe("hasRecord()", () => {
  test("sees what is committed and not yet done to the file", () => {
    const { store } = newStore();
    const records = fill(store, INBOX, 3);
    const folder = store.make({ kind: "user", userid: "fred" });
    const row = folder.read((database) => mailboxByName(database, INBOX));
    if (row === undefined) throw new Error("no INBOX");
    expect([1, 3, 4].map((uid) => hasRecord(folder, row, uid))).toEqual([true, true, false]);
    const image = openImage(folder, row);
    image.put([{ record: { ...image.index.record(2), uid: 4 }, annotations: [] }]);
    const { uniqueid } = row;
    recordSteps(
      folder.database,
      image.steps().map((step) => ({ uniqueid, step })),
    );
    expect(peekIndex(folder, uniqueid, (file) => file.size)).toBeUndefined();
    expect(hasRecord(folder, row, 4)).toBe(true);
    folder.settleIfFree();
    expect(peekIndex(folder, uniqueid, (file) => file.size)).toBeDefined();
    expect(hasRecord(folder, row, 4)).toBe(true);
    const five = record(5);
    const state = { ...stateOf(INBOX, [...records, five]), syncCrc: 0, syncCrcAnnot: 0 };
    apply(store, { state, records: [five] }, [message(5)]);
    expect(hasRecord(folder, row, 5)).toBe(true);
    store.close();
  });
});
