import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { cpSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { checkArchives } from "../../../../src/fsck/backup/check_archives.ts";
import { compareStates } from "../../../../src/fsck/backup/compare_states.ts";
import { openBackup } from "../../../../src/places/backup/read/open_backup.ts";
import { rebuildState } from "../../../../src/places/backup/rebuild.ts";
import {
  lookAtBackupTarget,
  openBackupTarget,
} from "../../../../src/places/backup/write/backup_target.ts";
import type { Place } from "../../../../src/places/place.ts";
import { differencesOf, WRITING } from "../../../support/backup.ts";
import { fixturePath } from "../../../support/fixtures.ts";
import { granted, ownersIn } from "../../../support/places.ts";
import { applyTo, newStorePlace, put, replicate } from "../../../support/replication.ts";
import { record } from "../../../support/store_fixture.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { upstreamObjections } from "../../../support/upstream_rules.ts";

const ALICE = { kind: "user", userid: "alice" } as const;
const MIRROR = { mode: "mirror", allowDelete: 100 } as const;
/** Appending to what another program has written is told. */
const OPTIONS = { ...WRITING, notice: () => undefined };

test("an archive that upstream made grows, and stays one that upstream can read", async () => {
  for (const name of ["alice", "alice-compacted"]) {
    const root = tempDir("backups");
    const folder = join(root, "alice");
    cpSync(fixturePath(`backup/${name}`), folder, { recursive: true });
    const before = await openBackup(folder, { locator: "backup:alice" });
    const source = newStorePlace();
    await replicate(ALICE, { source: before, target: source }, MIRROR);
    await before.close();
    const [gone, moved, last] = granted(await source.user("alice")).mailboxes.filter(
      ({ name, lastUid }) => lastUid > 0 && name.startsWith("user.alice."),
    );
    if (!gone || !moved || !last) throw new Error("alice has too few mailboxes");
    await applyTo(source, { kind: "unmailbox", name: gone.name });
    const newName = "user.alice.Moved";
    await applyTo(source, { kind: "rename", oldName: moved.name, newName, partition: "default" });
    await applyTo(source, {
      ...{ kind: "expunge", name: last.name, uniqueid: last.uniqueid, uids: [1] },
    });
    await put(source, "user.alice.New", [record(1), record(2)]);
    const look = await lookAtBackupTarget(root);
    const dry = await replicate(
      ALICE,
      { source, target: asDry(look) },
      { ...MIRROR, dryRun: true },
    );
    await look.close();
    const target = await openBackupTarget(root, OPTIONS);
    const told = await replicate(ALICE, { source, target }, MIRROR);
    expect([told.failures, dry.failures, dry.steps]).toEqual([[], [], [...told.steps]]);
    await target.close();
    expect(existsSync(join(root, "a/alice"))).toBe(false);

    expect(upstreamObjections(folder)).toEqual([]);
    const { findings } = await checkArchives([folder], {
      ...{ wanted: undefined, onRead: () => undefined },
    });
    expect(findings).toEqual([]);
    const [data = ""] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
    const rebuilt = new Database(":memory:", { strict: true });
    await rebuildState(rebuilt, join(folder, data));
    const kept = new Database(join(folder, "backupstate.sqlite3"), { readonly: true });
    expect([...compareStates(kept, rebuilt)]).toEqual([]);
    kept.close();
    rebuilt.close();
    const after = await openBackup(folder, { locator: "backup:alice" });
    expect(await differencesOf(ALICE, source, after)).toEqual([]);
    await Promise.all([after.close(), source.close()]);
  }
}, 30_000);

/** A place to look at, where a run would write. */
function asDry(place: Place) {
  const openSession = () => Promise.reject(new Error("a dry run opens no session"));
  return Object.assign(place, { openSession });
}

test("one archive takes its owner alone, and a folder lists those that it has", async () => {
  const root = tempDir("backups");
  const source = newStorePlace();
  await put(source, "user.ann", [record(1)]);
  await put(source, "user.bob", [record(2)]);
  const [ann, bob] = ["ann", "bob"].map((userid) => ({ kind: "user", userid }) as const);
  if (ann === undefined || bob === undefined) throw new Error("there are two");
  const folder = await openBackupTarget(root, OPTIONS);
  expect((await replicate(ann, { source, target: folder }, MIRROR)).failures).toEqual([]);
  expect(await ownersIn(folder)).toEqual([ann]);
  await folder.close();
  const one = await openBackupTarget(join(root, "a/ann"), OPTIONS);
  const refused = await replicate(bob, { source, target: one }, MIRROR);
  expect(refused.failures.join()).toContain("The backup of ann takes nothing of others");
  await one.close();
  const { counts } = await checkArchives([join(root, "a/ann")], {
    ...{ wanted: undefined, onRead: () => undefined },
  });
  expect(counts.messagesRead).toBe(1);
  await source.close();
});
