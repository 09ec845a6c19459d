/** Locks against a real other process that locks the way Cyrus does: fcntl, whole file. */
import { describe, expect, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
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

type Kind = "LOCK_SH" | "LOCK_EX";

/** What another process gets that asks for each path without waiting: 0 = the lock, 1 = taken. */
function askElsewhere(kind: Kind, paths: readonly string[]): number[] {
  const code = `import fcntl,sys
def ask(path):
  with open(path,'r+') as f:
    try: fcntl.lockf(f, fcntl.${kind}|fcntl.LOCK_NB)
    except OSError: return '1'
  return '0'
print(*map(ask, sys.argv[1:]))`;
  const { stdout } = Bun.spawnSync(["python3", "-c", code, ...paths]);
  return stdout.toString().trim().split(" ").map(Number);
}

const otherWriter = (...paths: string[]): number[] => askElsewhere("LOCK_EX", paths);
const otherReader = (...paths: string[]): number[] => askElsewhere("LOCK_SH", paths);

/** A process that holds a lock on `path` until its stdin ends. */
async function hold(kind: Kind, path: string) {
  const code = `import fcntl,sys
f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.${kind})
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
    expect(otherWriter(...all)).toEqual([1, 1, 1]);
    held?.release();
    expect(otherWriter(...all)).toEqual([0, 0, 0]);
  });

  test("lets other readers in", async () => {
    const paths = lockFiles();
    const [one, two] = [await lockMailbox(paths), await lockMailbox(paths)];
    expect(one).toBeDefined();
    expect(two).toBeDefined();
    one?.release();
    expect(otherWriter(paths.index)).toEqual([1]);
    two?.release();
  });

  test("waits for a writer, and gives up on one that stays", async () => {
    const paths = lockFiles();
    const brief = await hold("LOCK_EX", paths.mailbox);
    setTimeout(() => brief.stdin.end(), 60);
    const held = await lockMailbox(paths);
    expect(held).toBeDefined();
    held?.release();
    const long = await hold("LOCK_EX", paths.index);
    expect(await lockMailbox(paths)).toBeUndefined();
    expect(otherWriter(...paths.user)).toEqual([0]);
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

  test("takes each lock as Cyrus does for what is done under it", async () => {
    const paths = lockFiles();
    const all = [...paths.user, paths.mailbox, paths.index];
    for (const [purpose, readers] of [
      ["read", [0, 0, 0]],
      ["write", [1, 0, 1]],
      ["replace", [1, 1, 1]],
    ] as const) {
      const held = await lockMailbox(paths, purpose);
      expect(held).toBeDefined();
      expect([purpose, otherReader(...all)]).toEqual([purpose, [...readers]]);
      expect(otherWriter(...all)).toEqual([1, 1, 1]);
      held?.release();
      expect(otherWriter(...all)).toEqual([0, 0, 0]);
    }
  }, 20_000);

  test("gives a writer nothing while another process reads, and frees what it got", async () => {
    const paths = lockFiles();
    const reader = await hold("LOCK_SH", paths.index);
    expect(await lockMailbox(paths, "write")).toBeUndefined();
    expect(otherWriter(paths.mailbox)).toEqual([0]);
    const beside = await lockMailbox(paths);
    expect(beside).toBeDefined();
    beside?.release();
    reader.stdin.end();
    await reader.exited;
    const held = await lockMailbox(paths, "write");
    expect(held).toBeDefined();
    held?.release();
  }, 20_000);

  test("makes the lock files of a writer, so that Cyrus cannot make and take them", async () => {
    const folder = tempDir("nolocks");
    const paths = {
      user: [join(folder, "lock/user/u.lock")],
      mailbox: join(folder, "lock/m.lock"),
      index: join(folder, "cyrus.index"),
    };
    const held = await lockMailbox(paths, "replace");
    expect(otherReader(...paths.user, paths.mailbox)).toEqual([1, 1]);
    expect(readRegular(paths.index, 10).state).toBe("missing");
    held?.release();
  });

  test("holds no lock on a file that was replaced while it was taken", async () => {
    const paths = lockFiles();
    const brief = await hold("LOCK_EX", paths.index);
    const locking = lockMailbox(paths, "write");
    renameSync(paths.mailbox, paths.index); // as a repack puts a new index in place
    brief.stdin.end();
    const held = await locking;
    expect(held).toBeDefined();
    expect(otherReader(paths.index)).toEqual([1]);
    held?.release();
  });
});
