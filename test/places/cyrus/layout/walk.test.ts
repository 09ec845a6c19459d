/** The walk over a spool: where there are links, and where it is kept out. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type WalkStep, walkMailboxes } from "../../../../src/places/cyrus/layout/walk.ts";
import type { PartitionRoots } from "../../../../src/places/cyrus/mailbox/mailbox_files.ts";
import { tempDir } from "../../../support/temp_dir.ts";

/** Makes folders with a cyrus.index in each. */
function mailboxes(root: string, ...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, "cyrus.index"), "");
  }
}

/** `mailbox b/user/bob` or `unreadable b/user/bob ENOENT`, in the order of the walk. */
function walked(roots: PartitionRoots): string[] {
  return [...walkMailboxes(roots)].map(shown);
}

function shown(step: WalkStep): string {
  const errno = step.kind === "unreadable" ? [/^\w+/.exec(step.errno)?.[0]] : [];
  return [step.kind, step.relative, ...errno].join(" ");
}

describe("walkMailboxes()", () => {
  test("follows links to folders elsewhere, at every level", () => {
    const [disk, other] = [tempDir("disk"), tempDir("other")];
    mailboxes(disk, "a/user/ann", "bob", "bob/Sub", "c/user/cat", "Sent");
    mkdirSync(join(other, "b/user"), { recursive: true });
    symlinkSync(join(disk, "a"), join(other, "a"));
    symlinkSync(join(disk, "bob"), join(other, "b/user/bob"));
    mailboxes(other, "d/user/dan");
    symlinkSync(join(disk, "Sent"), join(other, "d/user/dan/Sent"));
    const data = join(tempDir("link"), "spool");
    symlinkSync(other, data);
    expect(walked({ data })).toEqual([
      "mailbox a/user/ann",
      "mailbox b/user/bob",
      "mailbox b/user/bob/Sub",
      "mailbox d/user/dan",
      "mailbox d/user/dan/Sent",
    ]);
  });

  test("tells of links that lead nowhere, in circles, or back into the spool", () => {
    const data = tempDir("spool");
    const outside = tempDir("outside");
    mailboxes(data, "a/user/ann", "a/user/ann/Old");
    mailboxes(outside, "user/bob");
    symlinkSync("/no/such/disk", join(data, "a/user/away"));
    symlinkSync("loop", join(data, "a/user/loop"));
    symlinkSync("..", join(data, "a/user/ann/Old/Again"));
    symlinkSync(join(data, ".."), join(data, "up"));
    symlinkSync(outside, join(data, "b"));
    symlinkSync(outside, join(outside, "user/bob/Self"));
    expect(walked({ data })).toEqual([
      "unreadable up a",
      "unreadable a/user/away ENOENT",
      "unreadable a/user/loop ELOOP",
      "mailbox a/user/ann",
      "unreadable a/user/ann/Old/Again a",
      "mailbox a/user/ann/Old",
      "unreadable b/user/bob/Self a",
      "mailbox b/user/bob",
    ]);
  });

  test("tells what stands in the place of a folder, links to files too", () => {
    const data = tempDir("files");
    mailboxes(data, "user/ann");
    writeFileSync(join(data, "note"), "");
    symlinkSync(join(data, "note"), join(data, "user/ann/note"));
    symlinkSync("/no/such/disk", join(data, "user/ann/7."));
    symlinkSync("/no/such/disk", join(data, "user/ann/cyrus.cache"));
    writeFileSync(join(data, "user/ann/note.txt"), "");
    Bun.spawnSync(["mkfifo", join(data, "user/pipe")]);
    expect(walked({ data })).toEqual([
      "misplaced note",
      "misplaced user/pipe",
      "mailbox user/ann",
      "misplaced user/ann/note",
    ]);
  });

  test("tells of roots that are not there or no folders, and walks the others", () => {
    const data = join(tempDir("roots"), "spool");
    const archive = tempDir("archive");
    mailboxes(archive, "a/user/ann");
    expect(walked({ data, archive })).toEqual(["unreadable  ENOENT", "mailbox a/user/ann"]);
    writeFileSync(data, "");
    expect(walked({ data, archive })).toEqual(["unreadable  ENOTDIR", "mailbox a/user/ann"]);
  });

  test("passes over the lost+found that only root may read, and nothing else", () => {
    if (process.getuid?.() === 0) return;
    const data = tempDir("lost");
    for (const name of ["lost+found", "b"]) {
      mkdirSync(join(data, name));
      chmodSync(join(data, name), 0);
    }
    expect(walked({ data })).toEqual(["unreadable b EACCES"]);
  });
});
