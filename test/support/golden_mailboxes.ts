/** Every mailbox folder of the fixtures that a real Cyrus wrote and nobody damaged. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Glob } from "bun";
import { readOnlyFixture } from "./fixtures.ts";

/** A mailbox folder on disk, and the archive that it comes from. */
export interface GoldenMailbox {
  readonly archive: string;
  /** Below the root of the archive. */
  readonly folder: string;
  readonly path: string;
}

/** Archives of sound servers. `cyrus-V` is one of that version, with the files as it wrote them. */
export const CLEAN_SPOOLS = [
  ...["conversations-3.6", "index-versions", "index-versions-master", "legacy-paths"],
  ...["uuid-paths", "uuid-paths-3.12", "uuid-paths-master"],
  ...["2.4", "2.5", "3.0", "3.2", "3.4", "3.8", "3.10", "master"].map((one) => `cyrus-${one}`),
];

let found: readonly GoldenMailbox[] | undefined;

/** All of them, unpacked once per run. */
export function goldenMailboxes(): readonly GoldenMailbox[] {
  found ??= CLEAN_SPOOLS.flatMap((name) =>
    mailboxesIn(name, readOnlyFixture(`cyrus-spools/${name}`)),
  );
  return found;
}

function mailboxesIn(archive: string, root: string): GoldenMailbox[] {
  const indexes = [...new Glob("**/cyrus.index").scanSync({ cwd: root, dot: true })].sort();
  return indexes.map((index) => {
    const folder = dirname(index);
    return { archive, folder, path: join(root, folder) };
  });
}

/** The bytes of one of a mailbox's files. */
export function mailboxFile(mailbox: GoldenMailbox, name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(mailbox.path, name)));
}

/** As `mailboxFile`, or undefined: mailboxes without messages have no cyrus.cache. */
export function mailboxFileIfAny(mailbox: GoldenMailbox, name: string): Uint8Array | undefined {
  return existsSync(join(mailbox.path, name)) ? mailboxFile(mailbox, name) : undefined;
}
