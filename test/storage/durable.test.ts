import { describe, expect, spyOn, test } from "bun:test";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../src/core/bytes.ts";
import {
  DurableBatch,
  keepBeside,
  openBeside,
  replaceFile,
  SyncDescriptors,
} from "../../src/storage/durable.ts";
import * as libc from "../../src/storage/libc.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("replaceFile()", () => {
  test("makes a file, and puts another in its place, for its owner alone", () => {
    const folder = tempDir("replace");
    const path = join(folder, "users");
    replaceFile(path, utf8("one"));
    writeFileSync(path, "somebody wrote here", { mode: 0o644 });
    replaceFile(path, utf8("two"));
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["users"]);
  });

  test("writes to no file that a killed process left beside, be it a link to mail", () => {
    const folder = tempDir("replace");
    const [path, mail] = [join(folder, "cyrus.header"), join(folder, "mail")];
    for (const make of [linkSync, symlinkSync]) {
      writeFileSync(mail, "mail of somebody");
      make(mail, `${path}.NEW`);
      replaceFile(path, utf8("header"));
      expect(readFileSync(mail, "utf8")).toBe("mail of somebody");
      expect(readFileSync(path, "utf8")).toBe("header");
    }
  });

  test("leaves the old file and nothing beside where it cannot be replaced, and names it", () => {
    const folder = tempDir("replace");
    mkdirSync(join(folder, "taken"));
    expect(() => replaceFile(join(folder, "taken"), utf8("x"))).toThrow(
      `Cannot replace at ${folder}/taken: EISDIR`,
    );
    expect(() => replaceFile(join(folder, "no/file"), utf8("x"))).toThrow(/ENOENT/);
    expect(readdirSync(folder)).toEqual(["taken"]);
  });
});

describe("keepBeside()", () => {
  test("gives no name to what another process has put in the place of its file", () => {
    const folder = tempDir("beside");
    const [beside, path] = [join(folder, "dump.part"), join(folder, "dump")];
    const [first, second] = [openBeside(beside), openBeside(beside)];
    for (const fd of [first, second]) {
      writeSync(fd, `by ${fd}`);
      fsyncSync(fd);
    }
    expect(keepBeside(first, beside, path)).toBe(false);
    expect(keepBeside(second, beside, path)).toBe(true);
    expect(readFileSync(path, "utf8")).toBe(`by ${second}`);
    for (const fd of [first, second]) closeSync(fd);
  });
});

describe("DurableBatch", () => {
  function batchOf(folder: string, syncs: SyncDescriptors, count: number): DurableBatch {
    const batch = new DurableBatch(syncs);
    for (let at = 0; at < count; at++) {
      const path = join(folder, `${at}.`);
      writeFileSync(path, "x");
      batch.file(path);
    }
    return batch;
  }

  test("asks for many files by the one descriptor that was opened at the start", () => {
    const folder = tempDir("batch");
    const sync = spyOn(libc, "syncFileSystem");
    const syncs = new SyncDescriptors([folder]);
    // Whatever number a descriptor opened now would get, the old one stays open and is used.
    for (let round = 0; round < 3; round++) batchOf(folder, syncs, 20).flush();
    const fds = sync.mock.calls.map(([fd]) => fd);
    sync.mockRestore();
    expect(fds.length).toBe(3);
    const used = new Set(fds);
    expect(used.size).toBe(1);
    for (const fd of used) closeSync(fd);
    expect(() => batchOf(folder, syncs, 20).flush()).toThrow(/syncfs failed/);
  });

  test("syncs every file by itself too where syncfs tells of no lost write", () => {
    const folder = tempDir("batch");
    const tells = spyOn(libc, "syncfsTellsLosses").mockReturnValue(false);
    const syncs = new SyncDescriptors([folder]);
    const batch = batchOf(folder, syncs, 20);
    renameSync(join(folder, "7."), join(folder, "8."));
    expect(() => batch.flush()).toThrow(`Cannot make durable at ${folder}/7.: ENOENT`);
    tells.mockReturnValue(true);
    expect(batchOf(folder, syncs, 20).flush()).toBeUndefined();
    tells.mockRestore();
    syncs.close();
  });

  test("syncs what lies on another file system than the store's root by that one's own", () => {
    const other = "/dev/shm";
    const folder = tempDir("batch");
    expect(statSync(other).dev).not.toBe(statSync(folder).dev);
    const sync = spyOn(libc, "syncFileSystem");
    const syncs = new SyncDescriptors([folder]);
    syncs.syncAround(new Set([folder, other, join(folder, "gone")]));
    expect(sync.mock.calls.map(([, path]) => path)).toEqual([folder, other]);
    sync.mockRestore();
    syncs.close();
  });
});
