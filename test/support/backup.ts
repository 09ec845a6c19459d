/** Backups in tests. */
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Owner, ownerName } from "../../src/model/names.ts";
import {
  type OpenArchiveOptions,
  openArchive,
} from "../../src/places/backup/write/open_archive.ts";
import { packMember } from "../../src/places/backup/write/pack_member.ts";
import type { Place, WritablePlace } from "../../src/places/place.ts";
import { diffOwner } from "../../src/replicate/diff.ts";
import { granted } from "./places.ts";
import { type ReplicationOptions, replicate, type Told } from "./replication.ts";
import { NOW } from "./store_fixture.ts";

/** Runs of one moment; members are packed in this thread, and nothing is to be mended. */
export const WRITING: Omit<OpenArchiveOptions, "owner"> = {
  ...{ source: "store:/there", version: "1.0", now: () => NOW * 1000 },
  pack: async (bytes) => packMember(bytes),
  notice: (text) => expect.unreachable(text),
};

/** Opens the archive of `owner` in `folder`. */
export function openBackup(
  folder: string,
  owner: Owner,
  options: Partial<OpenArchiveOptions> = {},
): Promise<WritablePlace> {
  return openArchive(folder, { ...WRITING, owner, ...options });
}

/** One run, as `backup run` does it. */
export async function backUp(
  owner: Owner,
  source: Place,
  folder: string,
  { open = {}, ...options }: ReplicationOptions & { open?: Partial<OpenArchiveOptions> } = {},
): Promise<Told> {
  const target = await openBackup(folder, owner, open);
  try {
    return await replicate(
      owner,
      { source, target },
      { mode: "mirror", allowDelete: 100, ...options },
    );
  } finally {
    await target.close();
  }
}

/** Every difference between two places in what they hold of `owner`, messages too. */
export async function differencesOf(owner: Owner, source: Place, target: Place): Promise<string[]> {
  const found: string[] = [];
  const result = await diffOwner(
    owner,
    { source, target },
    {
      deep: true,
      difference: ({ kind, name, uid, text }) => found.push(`${kind} ${name} ${uid ?? ""} ${text}`),
      failed: (name, { text }) => found.push(`${name} failed: ${text}`),
    },
  );
  const { messages } = granted(result);
  expect(messages, `messages of ${ownerName(owner)}`).toBeGreaterThan(0);
  return found;
}

/** Puts other bytes of the same length into the tar in a data file, which becomes one member. */
export function alterArchive(path: string, from: string, to: string): void {
  const tar = gunzipSync(readFileSync(path));
  const at = tar.indexOf(from);
  expect([from, at >= 0, from.length]).toEqual([from, true, to.length]);
  tar.write(to, at, "latin1");
  writeFileSync(path, gzipSync(tar));
}
