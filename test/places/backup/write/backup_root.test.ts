import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { openBackupRoot } from "../../../../src/places/backup/write/backup_root.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { initStore } from "../../../../src/places/store/store_settings.ts";
import { differencesOf, openBackup, WRITING } from "../../../support/backup.ts";
import { replicate } from "../../../support/replication.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { EXAMPLE_OWNERS, putExampleMail } from "../../example_mail.ts";

test("openBackupRoot() gives each owner an archive, and nobody one who has nothing", async () => {
  const folder = tempDir("backup");
  initStore(join(folder, "store"));
  const source = openStorePlace(join(folder, "store"));
  await putExampleMail(source);
  const root = join(folder, "b");
  const target = openBackupRoot(root, WRITING);
  const options = { mode: "mirror", allowDelete: 100 } as const;
  for (const owner of EXAMPLE_OWNERS) {
    const { failures } = await replicate(owner, { source, target }, options);
    expect(failures).toEqual([]);
  }
  const nobody = await replicate({ kind: "user", userid: "ghost" }, { source, target }, options);
  expect(nobody.outcome.kind).toBe("refused");
  await target.close();
  expect(existsSync(join(root, "g/ghost"))).toBe(false);
  const archives = ["f/fred", "shared/l/lists"].map((path) => join(root, path));
  for (const [at, owner] of EXAMPLE_OWNERS.entries()) {
    const archive = archives[at] ?? "";
    expect(readdirSync(archive).sort()).toEqual([
      ".lock",
      "backupdata-1800000000.tar.gz",
      "backupstate.sqlite3",
    ]);
    const backup = await openBackup(archive, owner);
    // The example puts shared mailboxes below a quota of fred's, which is in the archive of fred.
    const ofOthers = owner.kind === "shared" ? ["setting user.fred  the quota differs"] : [];
    expect(await differencesOf(owner, source, backup)).toEqual(ofOthers);
    await backup.close();
  }
  await source.close();
}, 30_000);
