import { describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { cyrusPlace } from "../../../../src/places/cyrus/cyrus_place.ts";
import { spoolSource } from "../../../../src/places/cyrus/spool_source.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { initStore } from "../../../../src/places/store/store_settings.ts";
import { backUp, differencesOf, openBackup } from "../../../support/backup.ts";
import { readOnlyFixture } from "../../../support/fixtures.ts";
import { ownersIn } from "../../../support/places.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "../../example_mail.ts";

async function exampleStore() {
  const root = join(tempDir("backup"), "store");
  initStore(root);
  const place = openStorePlace(root);
  await putExampleMail(place);
  return place;
}

function sizeOf(folder: string): number {
  const [name = ""] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
  return statSync(join(folder, name)).size;
}

/** Bobbin's own spools of real servers, of which each mailbox is of another kind. */
const SPOOLS = ["uuid-paths-master", "conversations-3.6", "legacy-paths", "index-versions"];

describe("openArchive()", () => {
  for (const name of SPOOLS) {
    test(`takes every owner of ${name}, and a second run writes nothing`, async () => {
      const data = join(readOnlyFixture(`cyrus-spools/${name}`), "spool");
      const source = cyrusPlace(spoolSource({ data }));
      for (const [at, owner] of (await ownersIn(source)).entries()) {
        const folder = join(tempDir("backup"), String(at));
        const first = await backUp(owner, source, folder);
        const backup = await openBackup(folder, owner);
        expect([first.failures, await differencesOf(owner, source, backup)]).toEqual([[], []]);
        await backup.close();
        const second = await backUp(owner, source, folder);
        expect([second.steps, second.failures]).toEqual([[], []]);
      }
      await source.close();
    }, 60_000);
  }

  test("takes all of an owner, says the same back, and a second run writes nothing", async () => {
    const source = await exampleStore();
    for (const [at, owner] of EXAMPLE_OWNERS.entries()) {
      const folder = join(tempDir("backup"), "b", String(at));
      const first = await backUp(owner, source, folder);
      expect(first.failures).toEqual([]);
      const { size, mode } = statSync(folder);
      expect([mode & 0o777, size > 0]).toEqual([0o700, true]);
      const backup = await openBackup(folder, owner);
      expect(await differencesOf(owner, source, backup)).toEqual([]);
      await backup.close();
      const before = sizeOf(folder);
      const second = await backUp(owner, source, folder);
      expect([second.steps, second.failures]).toEqual([[], []]);
      expect(sizeOf(folder)).toBe(before);
    }
    await source.close();
  }, 30_000);
});
