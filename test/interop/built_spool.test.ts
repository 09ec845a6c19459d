/** The spools that benches and large tests are made of are sound, by our word and by Cyrus'. */
import { describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { reconstructCommand, writeCyrusConfig } from "../bench/cyrus_peer.ts";
import { fsckSpool } from "../support/fsck.ts";
import { has } from "../support/needs.ts";
import {
  type BuiltSpool,
  buildLinkedSpool,
  buildSpool,
  type SpoolSize,
} from "../support/spool/build_spool.ts";
import { tempDir } from "../support/temp_dir.ts";

const SIZE = { messages: 180, mailboxes: 6 };

const BUILDERS: readonly (readonly [
  string,
  (partition: string, size: SpoolSize) => BuiltSpool,
  string[],
])[] = [
  ["buildSpool", buildSpool, []],
  // The same few messages over and over are legal, and worth a remark.
  ["buildLinkedSpool", buildLinkedSpool, ["MS11", "MS13"]],
];

/** Names, times of messages, and SHA-1 of everything. */
function digestOf(folder: string): string[] {
  const sums = Bun.spawnSync({
    cmd: [
      "sh",
      "-c",
      "find . -name '*.' -type f -printf '%p %T@\\n' && find . -type f -exec sha1sum {} +",
    ],
    cwd: folder,
  });
  expect(sums.exitCode).toBe(0);
  return sums.stdout.toString().split("\n").sort();
}

describe.each(BUILDERS)("%s()", (_, builder, codes) => {
  const folder = tempDir("built");
  const partition = join(folder, "spool");
  const built = builder(partition, SIZE);

  test("gives a spool that fsck has nothing against", async () => {
    expect(built).toMatchObject({ messages: 180 });
    expect(built.mailboxes.length).toBe(6);
    const found = await fsckSpool(partition);
    expect([...new Set(found.map(({ code }) => `${code}`))].sort()).toEqual(codes);
    expect(found.filter(({ severity }) => severity !== "info")).toEqual([]);
  });

  test("gives the same bytes and times every time", () => {
    const again = join(tempDir("built"), "spool");
    expect(builder(again, SIZE)).toEqual(built);
    expect(digestOf(again)).toEqual(digestOf(partition));
  });

  test.skipIf(!has("Cyrus' tools"))(
    "gives a spool that reconstruct -n -G has nothing against",
    () => {
      chmodSync(folder, 0o755);
      writeCyrusConfig(folder, partition, built.mailboxes);
      const command = reconstructCommand(folder);
      expect(command).toBeArray();
      const run = Bun.spawnSync([...command]);
      expect(run.exitCode).toBe(0);
      const names = ["", "/Archive", "/Lists", "/Sent"].map((name) => `user/u0000${name}`);
      expect(run.stdout.toString().trimEnd().split("\n").sort()).toEqual(
        [...names, "user/u0001", "user/u0001/Archive"].sort(),
      );
      expect(run.stderr.toString()).toBe("");
    },
  );
});
