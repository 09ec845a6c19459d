/** Mailboxes as their raw files, against the spool that the files are of. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { readSpool } from "../../src/places/cyrus/layout/spool.ts";
import { spoolSource } from "../../src/places/cyrus/spool_source.ts";
import { type RawFiles, readingOfRaw } from "../../src/places/raw_mailbox.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { granted, ownersIn, recordsIn } from "../support/places.ts";

const data = join(unpackFixture("cyrus-spools/uuid-paths-master"), "spool");

/** Every mailbox of the spool: its folder, and its files. */
const mailboxes = readSpool({ data }).mailboxes.map(({ header, index, annotations }) => {
  const read = (path: string) => (Bun.file(path).size === 0 ? undefined : readFileSync(path));
  return { header: read(header), index: read(index), annotations: read(annotations) };
});

describe("readingOfRaw()", () => {
  test("reads what the spool's own place reads", async () => {
    const place = cyrusPlace(spoolSource({ data }));
    let compared = 0;
    for (const owner of await ownersIn(place)) {
      if (owner.kind !== "user") continue;
      for (const { name } of granted(await place.user(owner.userid)).mailboxes) {
        const wanted = granted(await place.readMailbox(name));
        const { uniqueid } = wanted.state;
        const files = mailboxes.find(({ header }) => header?.includes(uniqueid)) as RawFiles;
        const found = granted(readingOfRaw(name, files));
        expect(found.state).toEqual(wanted.state);
        expect(await recordsIn(found.records)).toEqual(await recordsIn(wanted.records));
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(5);
    await place.close();
  });

  const first: RawFiles = mailboxes[0] ?? {};
  const flipped = (file: Uint8Array | undefined, at: number) => {
    const copy = Uint8Array.from(file ?? []);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  for (const [what, files, wanted] of [
    ["an index that is missing", { ...first, index: undefined }, "but there is none"],
    ["a header that is missing", { ...first, header: undefined }, "cyrus.header"],
    [
      "an index header with a flipped bit",
      { ...first, index: flipped(first.index, 60) },
      "the CRC",
    ],
    ["an index cut short", { ...first, index: first.index?.subarray(0, 200) }, "lacks"],
    [
      "a header that is not the index's",
      { ...first, header: flipped(first.header, (first.header?.length ?? 0) - 8) },
      "by cyrus.index",
    ],
  ] as const) {
    test(`refuses ${what}`, () => {
      const found = readingOfRaw("user.ann", files);
      if (found.kind === "ok") throw new Error("it was read");
      expect([found.reason, found.text]).toEqual(["damaged", expect.stringContaining(wanted)]);
    });
  }
});
