import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openBackupFolder } from "../../../../src/places/backup/read/backup_folder.ts";
import type { Place } from "../../../../src/places/place.ts";
import { backUp, differencesOf } from "../../../support/backup.ts";
import { fixturePath } from "../../../support/fixtures.ts";
import { tempDir } from "../../../support/temp_dir.ts";
import { upstreamObjections } from "../../../support/upstream_rules.ts";

const STATE = "backupstate.sqlite3";
const ALICE = { kind: "user", userid: "alice" } as const;

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, n) => (n === at ? byte ^ 4 : byte));
}

describe("recoverArchive()", () => {
  let upstream: Place;
  /** A folder with alice's archive as `change` makes it. */
  function archive(change: (folder: string, data: string) => void): string {
    const folder = join(tempDir("recover"), "alice");
    cpSync(fixturePath("backup/alice"), folder, { recursive: true });
    change(folder, join(folder, dataOf(folder)));
    return folder;
  }

  function dataOf(folder: string): string {
    const [name = "", ...more] = readdirSync(folder).filter((one) => one.startsWith("backupdata"));
    expect(more).toEqual([]);
    return name;
  }

  beforeAll(async () => {
    upstream = await openBackupFolder(
      archive(() => undefined),
      { locator: "backup:upstream" },
    );
  });

  test.each<[string, boolean, (folder: string, data: string) => void]>([
    ["a state of upstream", false, () => undefined],
    ["no state", false, (folder) => rmSync(join(folder, STATE))],
    ["a cut in its last member", true, (_, data) => truncateSync(data, 41_000)],
    ["a cut in its first member", true, (_, data) => truncateSync(data, 20_000)],
    [
      "noise behind its end",
      true,
      (_, data) => writeFileSync(data, Buffer.concat([readFileSync(data), Buffer.alloc(700, 7)])),
    ],
    [
      "a flipped bit in its second member",
      true,
      (_, data) => writeFileSync(data, flipped(readFileSync(data), 39_000)),
    ],
  ])(
    "lets a run go on in an archive with %s, and lose nothing of it",
    async (_, isTorn, change) => {
      const folder = archive(change);
      const before = dataOf(folder);
      const notices: string[] = [];
      const open = { notice: (text: string) => notices.push(text) };
      const done = await backUp(ALICE, upstream, folder, { open });
      expect(done.failures).toEqual([]);
      expect(notices[0]).toContain("the state is made anew");
      const place = await openBackupFolder(folder, { locator: "backup:after" });
      expect(place.caveat).toBeUndefined();
      expect(await differencesOf(ALICE, upstream, place)).toEqual([]);
      await place.close();
      // Others read it to its end, too.
      expect(upstreamObjections(folder)).toEqual([]);
      const data = dataOf(folder);
      expect(data === before).toBe(!isTorn);
      if (isTorn) expect(readdirSync(join(folder, "cut-off"))).toEqual([before]);
    },
  );
});
