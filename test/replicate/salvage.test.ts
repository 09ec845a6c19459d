/** What is sound of a damaged mailbox is brought; what is lost of it stays at the target. */
import { describe, expect, test } from "bun:test";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { spoolSource } from "../../src/places/cyrus/spool_source.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { granted, recordsIn } from "../support/places.ts";
import { livingUids, newStorePlace, replicate } from "../support/replication.ts";

const BOB = { kind: "user", userid: "bob" } as const;
const HEADER_BYTES = 160;
const RECORD_BYTES = 112;

/** The folder of a spool of 3.6 in which bob has six messages. */
function spoolOfBob(): { readonly data: string; readonly inbox: string } {
  const data = join(unpackFixture("cyrus-spools/legacy-paths"), "spool");
  return { data, inbox: join(data, "b/user/bob") };
}

/** Overwrites what record `number`, from 1, says of flags and GUID. */
function breakRecord(inbox: string, number: number): void {
  const path = join(inbox, "cyrus.index");
  const bytes = readFileSync(path);
  const at = HEADER_BYTES + (number - 1) * RECORD_BYTES;
  bytes.fill(0x99, at + 30, at + 80);
  writeFileSync(path, bytes);
}

async function bring(data: string, target: WritablePlace, salvages = true) {
  const source = cyrusPlace(spoolSource({ data }), { salvages });
  const told = await replicate(BOB, { source, target });
  await source.close();
  return told;
}

async function flagsOf(target: WritablePlace): Promise<unknown[]> {
  const { records } = granted(await target.readMailbox("user.bob"));
  return (await recordsIn(records)).map(({ uid, flags }) => [uid, flags]);
}

describe("a damaged mailbox", () => {
  test("is left out as a whole, or brought without the record that is damaged", async () => {
    const { data, inbox } = spoolOfBob();
    breakRecord(inbox, 3);
    const target = newStorePlace();
    const refused = await bring(data, target, false);
    expect([refused.steps, refused.failures]).toEqual([[], [expect.stringContaining("record 3")]]);
    const told = await bring(data, target);
    expect(told.failures).toEqual([
      expect.stringMatching(/user\.bob: .*record 3 of cyrus\.index \(its UID seems to be 3\)/),
    ]);
    expect(await livingUids(target, "user.bob")).toEqual([1, 2, 4, 5, 6]);
    const again = await bring(data, target);
    expect([again.steps, again.leftovers, again.failures.length]).toEqual([[], [], 1]);
    await target.close();
  });

  test("takes nothing from a target that has all of it", async () => {
    const { data, inbox } = spoolOfBob();
    const target = newStorePlace();
    expect((await bring(data, target)).failures).toEqual([]);
    const before = await flagsOf(target);
    breakRecord(inbox, 2);
    const told = await bring(data, target);
    expect([told.steps, told.leftovers, told.failures.length]).toEqual([
      ...[[], ["message user.bob 2"], 1],
    ]);
    expect(await flagsOf(target)).toEqual(before);
    // Nor its keywords, whose names only cyrus.header has.
    for (const path of globSync(`${inbox}/cyrus.header`)) rmSync(path);
    const nameless = await bring(data, target);
    expect(nameless.failures).toEqual([expect.stringContaining("uniqueid is lost")]);
    expect(await flagsOf(target)).toEqual(before);
    await target.close();
  });
});
