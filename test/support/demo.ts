/**
 * `npm start`: shows a person what Bobbin is, on a real Cyrus spool in which 33 things were broken
 * on purpose. Fails when the binary does not find what it should.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bobbinPath } from "./cli.ts";

const fixture = join(import.meta.dir, "..", "fixtures", "cyrus-spools", "damaged.tar.gz");
const folder = mkdtempSync(join(tmpdir(), "bobbin-demo-"));

function show(...args: string[]): number {
  console.log(`\n$ bobbin ${args.join(" ")}`);
  const { exitCode } = Bun.spawnSync([bobbinPath(), ...args], {
    cwd: folder,
    stdout: "inherit",
    stderr: "inherit",
  });
  console.log(`(exit code ${exitCode})`);
  return exitCode;
}

try {
  Bun.spawnSync(["tar", "-xzf", fixture, "-C", folder, "--no-same-owner", "spool"]);
  console.log(`Bobbin is one executable for people who run mail servers: ${bobbinPath()}
It reads a Cyrus spool with no Cyrus beside it and proves every byte, or says what is not right.

First a sound mailbox: index, header, cache, annotations, and the SHA-1 of every message.`);
  const sound = show("fsck", "spool/uuid/k/f/kf22otzf5j234px0uw69jzzw");
  console.log(`
Now the whole spool of a real server, 53 mailboxes. Somebody flipped bits, cut files, swapped
UIDs and copied a uniqueid. Bobbin names the mailbox, the UID, and where it can the very byte:`);
  const damaged = show("fsck", "spool");
  console.log(`
The same for a program: bobbin fsck spool --json. More: bobbin help, and README.md.`);
  process.exitCode = sound === 0 && damaged === 1 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
