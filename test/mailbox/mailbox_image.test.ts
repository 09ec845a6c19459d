import { describe, expect, test } from "bun:test";
import { utf8 } from "../../src/core/bytes.ts";
import type { MessageAnnotation } from "../../src/formats/cyrus/annotations_db.ts";
import type { FileStep } from "../../src/mailbox/file_step.ts";
import { newRecord } from "../../src/mailbox/mail_record.ts";
import { type CrcForm, type ImageFiles, MailboxImage } from "../../src/mailbox/mailbox_image.ts";
import { ANNOT_VARIANTS } from "../../src/model/sync_crc.ts";
import { overlay } from "../../src/places/store/commit/journal.ts";
import { record } from "../support/store_fixture.ts";

const FORM: CrcForm = { variant: ANNOT_VARIANTS[0], owner: "fred" };
const NEW = { uniqueid: "id1", indexVersion: 17, header: { name: "user.fred" }, index: {} };

function note(uid: number, text: string): MessageAnnotation {
  const value = utf8(text);
  return { uid, entry: "/comment", userid: "", modseq: 3n, deleted: false, value };
}

/** The files after `steps`, by the journal's own reading of them. */
function done(files: ImageFiles, steps: readonly FileStep[]): ImageFiles {
  const all = steps.map((step) => ({ uniqueid: "id1", step }));
  return Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [name, overlay(`id1/${name}`, bytes, all)]),
  ) as ImageFiles;
}

function put(image: MailboxImage, uid: number, flags: string[], text?: string): void {
  const slotOf = (name: string): number => image.header.flagSlot(name, 128);
  const one = record(uid, { flags, cid: BigInt(uid) });
  const own = text === undefined ? [] : [note(uid, text)];
  const stored = newRecord(one, { headerSize: 5, size: 10 * uid }, slotOf);
  image.put([{ record: stored, annotations: own }]);
}

const NO_FILES = {
  "cyrus.index": undefined,
  "cyrus.header": undefined,
  "cyrus.annotations": undefined,
};

describe("MailboxImage", () => {
  test("keeps every sum along that a recount finds, in each form, over many transactions", () => {
    const made = MailboxImage.make(NEW, FORM);
    put(made, 1, ["\\Seen"], "one");
    let files = done(NO_FILES, made.steps());
    for (let round = 0; round < 30; round++) {
      const image = MailboxImage.open("id1", files, FORM);
      for (const variant of ANNOT_VARIANTS) image.annotCrc(variant); // to be kept along from here
      put(image, round + 2, ["\\Flagged", `$F${round % 5}`], "note".repeat(round % 3));
      put(image, 1 + (round >> 1), ["\\Deleted", "\\Answered"]);
      files = done(files, image.steps());
      const found = MailboxImage.open("id1", files, FORM);
      const before = found.index.header;
      for (const variant of ANNOT_VARIANTS) {
        expect(found.annotCrc(variant)).toBe(image.annotCrc(variant));
      }
      found.recount(0);
      expect(found.index.header).toEqual(before);
      expect(before.exists).toBe(round + 2);
    }
  });

  test("writes a new mailbox whole with its cache, and nothing where nothing changed", () => {
    const made = MailboxImage.make(NEW, FORM);
    const steps = made.steps();
    expect(steps.map(({ kind, path }) => [kind, path])).toEqual([
      ["replace", "id1/cyrus.header"],
      ["replace", "id1/cyrus.cache"],
      ["replace", "id1/cyrus.index"],
    ]);
    const files = done(NO_FILES, steps);
    expect(MailboxImage.open("id1", files, FORM).steps()).toEqual([]);
  });

  test("refuses a header that the index did not record, and files that are not there", () => {
    const files = done(NO_FILES, MailboxImage.make(NEW, FORM).steps());
    const other = MailboxImage.make({ ...NEW, header: { name: "user.anne" } }, FORM);
    const swapped = { ...files, "cyrus.header": done(NO_FILES, other.steps())["cyrus.header"] };
    expect(() => MailboxImage.open("id1", swapped, FORM)).toThrow("cyrus.header: CRC mismatch");
    const lost = { ...files, "cyrus.index": undefined };
    expect(() => MailboxImage.open("id1", lost, FORM)).toThrow("there is no cyrus.index");
  });
});
