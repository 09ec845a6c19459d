/** Locks against a real other process that locks the way Cyrus does: fcntl, whole file. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRegular } from "../../src/core/files.ts";
import { lockMailbox } from "../../src/storage/file_locks.ts";
import { tempDir } from "../support/temp_dir.ts";

function lockFiles() {
  const folder = tempDir("locks");
  const paths = {
    user: [join(folder, "user.lock")],
    mailbox: join(folder, "mailbox.lock"),
    index: join(folder, "cyrus.index"),
  };
  for (const path of [...paths.user, paths.mailbox, paths.index]) writeFileSync(path, "x");
  return paths;
}

/** What a writer gets that asks for `path` without waiting: 0 = the lock, 1 = it is taken. */
function otherWriter(path: string): number {
  const code = `import fcntl,sys
f=open(sys.argv[1],'r+')
try: fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB)
except OSError: sys.exit(1)`;
  return Bun.spawnSync(["python3", "-c", code, path]).exitCode;
}

/** A process that holds an exclusive lock on `path` until its stdin ends. */
async function holdExclusive(path: string) {
  const code = `import fcntl,sys
f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX)
print('held', flush=True); sys.stdin.read()`;
  const child = Bun.spawn(["python3", "-c", code, path], { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  return child;
}

describe("lockMailbox()", () => {
  test("keeps writers out of every file until it is released", async () => {
    const paths = lockFiles();
    const all = [...paths.user, paths.mailbox, paths.index];
    const held = await lockMailbox(paths);
    // A POSIX lock would be gone after this.
    for (const path of all) expect(readRegular(path, 100).state).toBe("read");
    expect(all.map(otherWriter)).toEqual([1, 1, 1]);
    held?.release();
    expect(all.map(otherWriter)).toEqual([0, 0, 0]);
  });

  test("lets other readers in", async () => {
    const paths = lockFiles();
    const [one, two] = [await lockMailbox(paths), await lockMailbox(paths)];
    expect(one).toBeDefined();
    expect(two).toBeDefined();
    one?.release();
    expect(otherWriter(paths.index)).toBe(1);
    two?.release();
  });

  test("waits for a writer, and gives up on one that stays", async () => {
    const paths = lockFiles();
    const brief = await holdExclusive(paths.mailbox);
    setTimeout(() => brief.stdin.end(), 60);
    const held = await lockMailbox(paths);
    expect(held).toBeDefined();
    held?.release();
    const long = await holdExclusive(paths.index);
    expect(await lockMailbox(paths)).toBeUndefined();
    expect(paths.user.map(otherWriter)).toEqual([0]);
    long.stdin.end();
    await long.exited;
  });

  test("takes what is there, and creates nothing", async () => {
    const folder = tempDir("nolocks");
    const paths = { user: [join(folder, "u")], mailbox: undefined, index: join(folder, "i") };
    const held = await lockMailbox(paths);
    expect(held).toBeDefined();
    held?.release();
    expect(readRegular(join(folder, "u"), 10).state).toBe("missing");
  });
});
